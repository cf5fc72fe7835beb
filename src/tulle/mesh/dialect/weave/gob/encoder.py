"""Values to gob bytes. A type is turned into a function once; encoding a value only runs it."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from tulle.mesh.dialect.weave.gob.definitions import WIRE, describe, number_of, numbering, parts
from tulle.mesh.dialect.weave.gob.schema import (
    BOOL,
    BYTES,
    INT,
    STRING,
    UINT,
    Basic,
    Map,
    Optional,
    Plain,
    Slice,
    Struct,
    Type,
    plain,
)

Write = Callable[[bytearray, Any], None]


class Encoder:
    """Writes one stream: each type is defined once, before its first value."""

    def __init__(self) -> None:
        self._out = bytearray()
        self._seen: tuple[Plain, ...] = ()
        self._prefixes: dict[int, tuple[Type, bytes]] = {}

    def write(self, kind: Type, value_body: bytes) -> None:
        """Add a value, given as its ``body``."""
        known = self._prefixes.get(id(kind))
        prefix = known[1] if known else self._define(kind)
        write_uint(self._out, len(prefix) + len(value_body))
        self._out += prefix
        self._out += value_body

    def finish(self) -> bytes:
        """The stream so far."""
        return bytes(self._out)

    def _define(self, kind: Type) -> bytes:
        """Define the type if that is needed; return what goes before each of its values."""
        target = plain(kind)
        if target not in self._seen:
            self._out += _definitions(self._seen, target)
            self._seen += (target,)
        prefix = bytearray()
        write_int(prefix, number_of(target, numbering(self._seen)))
        if not isinstance(target, Struct):
            prefix.append(0)
        self._prefixes[id(kind)] = (kind, bytes(prefix))
        return bytes(prefix)


def encode(*pairs: tuple[Type, Any]) -> bytes:
    """One stream with these values, each given with its type."""
    encoder = Encoder()
    for kind, value in pairs:
        encoder.write(kind, body(kind, value))
    return encoder.finish()


def body(kind: Type, value: Any) -> bytes:
    """The bytes of a value, which are the same in every stream."""
    out = bytearray()
    _writer(plain(kind))(out, value)
    return bytes(out)


# -- numbers ----------------------------------------------------------------------------------------------


def write_uint(out: bytearray, value: int) -> None:
    """One byte below 128, else the negated byte count and the bytes."""
    if value < 128:
        out.append(value)
        return
    size = (value.bit_length() + 7) // 8
    if size > 8:
        raise ValueError(f"{value} does not fit 64 bits")
    out.append(256 - size)
    out += value.to_bytes(size, "big")


def write_int(out: bytearray, value: int) -> None:
    """The sign goes to the lowest bit, so that small negative numbers are short too."""
    write_uint(out, ~value << 1 | 1 if value < 0 else value << 1)


def _write_bool(out: bytearray, value: bool) -> None:
    out.append(1 if value else 0)


def _write_bytes(out: bytearray, value: bytes) -> None:
    write_uint(out, len(value))
    out += value


def _write_string(out: bytearray, value: str) -> None:
    _write_bytes(out, value.encode())


_BASIC: dict[Basic, Write] = {
    BOOL: _write_bool,
    INT: write_int,
    UINT: write_uint,
    BYTES: _write_bytes,
    STRING: _write_string,
}

# -- values -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _writer(kind: Plain) -> Write:
    match kind:
        case Basic():
            return _BASIC[kind]
        case Struct():
            return _struct_writer(kind)
        case Slice():
            return _slice_writer(_writer(plain(kind.element)))
        case Map():
            return _map_writer(kind)


_OMIT_ZERO, _OMIT_NONE, _ALWAYS = range(3)


def _when_omitted(kind: Type) -> int:
    inner = plain(kind)
    if isinstance(inner, Basic | Slice):
        return _OMIT_ZERO
    return _OMIT_NONE if isinstance(inner, Map) or isinstance(kind, Optional) else _ALWAYS


def _struct_writer(struct: Struct) -> Write:
    fields = tuple(
        (number, name, _when_omitted(kind), _writer(plain(kind)))
        for number, (name, kind) in enumerate(struct.fields, start=1)
    )

    def write(out: bytearray, value: Mapping[str, Any]) -> None:
        previous = 0
        for number, name, omitted, write_field in fields:
            item = value.get(name)
            if omitted == _OMIT_ZERO:
                if not item:
                    continue
            elif item is None:
                if omitted == _OMIT_NONE:
                    continue
                item = {}
            out.append(number - previous)
            previous = number
            write_field(out, item)
        out.append(0)

    return write


def _slice_writer(write_element: Write) -> Write:
    def write(out: bytearray, value: Sequence[Any]) -> None:
        write_uint(out, len(value))
        for element in value:
            write_element(out, element)

    return write


def _map_writer(kind: Map) -> Write:
    write_value = _writer(plain(kind.value))
    write_key = _key_writer(kind.key)

    def write(out: bytearray, value: Mapping[Any, Any]) -> None:
        write_uint(out, len(value))
        for key, item in value.items():
            write_key(out, key)
            write_value(out, item)

    return write


def _key_writer(kind: Basic | Struct) -> Write:
    write_key = _writer(kind)
    if not isinstance(kind, Struct):
        return write_key
    names = [name for name, _ in kind.fields]

    def write(out: bytearray, key: tuple[Any, ...]) -> None:
        write_key(out, dict(zip(names, key, strict=True)))

    return write


# -- definitions ------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _definitions(seen: tuple[Plain, ...], new: Plain) -> bytes:
    """The definitions that ``new`` needs in a stream which already defined all of ``seen``."""
    out = bytearray()
    numbers = numbering((*seen, new))
    done = set(numbering(seen))

    def visit(kind: Plain) -> None:
        if isinstance(kind, Basic) or kind in done:
            return
        done.add(kind)
        message = bytearray()
        write_int(message, -numbers[kind])
        _writer(WIRE)(message, describe(kind, numbers))
        write_uint(out, len(message))
        out.extend(message)
        for part in parts(kind):
            visit(part)

    visit(new)
    return bytes(out)
