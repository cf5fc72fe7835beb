"""One gob value from bytes, by the sender's definition of its type.

``reader`` pairs a type of ours with one of the sender's and returns a function that reads such a value; all
decisions are made then, and none per value. Positions past the end surface as IndexError, which the caller
turns into BadMessage, so that no byte needs a check of its own; slices of bytes are checked.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tulle.errors import BadMessage
from tulle.mesh.dialect.weave.gob.definitions import Sent, SentMap, SentOpaque, SentSlice, SentStruct
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

MAX_ELEMENTS = 1 << 18
"""Elements in one slice or map: far above a real state, low enough to bound the memory of a hostile one."""

SPARE_ELEMENTS = 512
BYTES_PER_ELEMENT = 8
"""All slices and maps of a value together have as many elements as its bytes allow at this size each, and
some to spare. Real elements are larger; a message of millions of tiny ones is there to cost time."""

MAX_SKIP_DEPTH = 32
"""Nesting of values that we skip; those that we read are as deep as our own schema."""

FLOAT_ID, COMPLEX_ID = 4, 7


class Measured(bytes):
    """The bytes of one value, and how many elements it may still have."""

    left: int

    @classmethod
    def of(cls, message: bytes) -> "Measured":
        """What to read a message from."""
        measured = cls(message)
        measured.left = SPARE_ELEMENTS + len(message) // BYTES_PER_ELEMENT
        return measured


Read = Callable[[bytes, int], tuple[Any, int]]
"""Reads one value of a buffer from a position; returns it and the position after it."""

_TRUNCATED = "a value is longer than its message"

# -- basic kinds ------------------------------------------------------------------------------------------


def read_uint(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned number and the position after it."""
    first = data[at]
    if first < 128:
        return first, at + 1
    end = at + 257 - first
    if first < 248:
        raise BadMessage("a number has more than 64 bits")
    if end > len(data):
        raise BadMessage(_TRUNCATED)
    return int.from_bytes(data[at + 1 : end], "big"), end


def read_int(data: bytes, at: int) -> tuple[int, int]:
    """A signed number and the position after it."""
    raw, at = read_uint(data, at)
    return (~(raw >> 1) if raw & 1 else raw >> 1), at


def _read_bool(data: bytes, at: int) -> tuple[bool, int]:
    raw, at = read_uint(data, at)
    return raw != 0, at


def _read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = read_uint(data, at)
    end = at + size
    if end > len(data):
        raise BadMessage(_TRUNCATED)
    return data[at:end], end


def _read_string(data: bytes, at: int) -> tuple[str, int]:
    raw, at = _read_bytes(data, at)
    try:
        return raw.decode(), at
    except UnicodeDecodeError:
        raise BadMessage("a text is not UTF-8") from None


_BASIC: dict[Basic, Read] = {
    BOOL: _read_bool,
    INT: read_int,
    UINT: read_uint,
    BYTES: _read_bytes,
    STRING: _read_string,
}
_ZERO: dict[Basic, Any] = {BOOL: False, INT: 0, UINT: 0, BYTES: b"", STRING: ""}


def _read_count(data: bytes, at: int) -> tuple[int, int]:
    """How many elements follow; each takes a byte at least."""
    count, at = read_uint(data, at)
    if count > len(data) - at:
        raise BadMessage(_TRUNCATED)
    if count > MAX_ELEMENTS:
        raise BadMessage(f"a list has {count} elements, more than {MAX_ELEMENTS}")
    if isinstance(data, Measured):
        data.left -= count
        if data.left < 0:
            raise BadMessage("a message has more elements than its size explains")
    return count, at


# -- pairing our type with the sender's -------------------------------------------------------------------


def reader(kind: Plain, number: int, sent: Mapping[int, Sent]) -> Read:
    """How to read our ``kind`` where the sender wrote its type ``number``.

    Raises BadMessage if the two do not match.
    """
    if isinstance(kind, Basic):
        if number != kind.wire_id:
            raise BadMessage(f"a value has the wrong type: {kind.name} expected")
        return _BASIC[kind]
    definition = sent.get(number)
    if isinstance(kind, Struct) and isinstance(definition, SentStruct):
        return _struct_reader(kind, definition, sent)
    if isinstance(kind, Slice) and isinstance(definition, SentSlice):
        return _slice_reader(reader(plain(kind.element), definition.element, sent))
    if isinstance(kind, Map) and isinstance(definition, SentMap):
        read_key = reader(kind.key, definition.key, sent)
        return _map_reader(kind, read_key, reader(plain(kind.value), definition.value, sent))
    raise BadMessage(f"a value has the wrong type: {type(kind).__name__.lower()} {kind.name} expected")


def _zero(kind: Type) -> Any:
    match kind:
        case Optional():
            return None
        case Basic():
            return _ZERO[kind]
        case Slice():
            return []
        case Map():
            return {}
        case Struct():
            return {name: _zero(part) for name, part in kind.fields}


def _struct_reader(kind: Struct, definition: SentStruct, sent: Mapping[int, Sent]) -> Read:
    ours = dict(kind.fields)
    if definition.fields and ours and not any(name in ours for name, _ in definition.fields):
        raise BadMessage(f"a value has the wrong type: it shares no field with {kind.name}")
    fields: list[tuple[str | None, Read]] = []
    for name, number in definition.fields:
        if name in ours:
            fields.append((name, reader(plain(ours[name]), number, sent)))
        else:
            fields.append((None, _skipper(number, sent)))
    simple = {name: _zero(part) if isinstance(part, Basic) else None for name, part in kind.fields}
    mutable = [(name, part) for name, part in kind.fields if not isinstance(part, Basic | Optional)]
    count = len(fields)

    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        values = simple.copy()
        number = -1
        while True:
            step = data[at]
            at += 1
            if step == 0:
                break
            if step >= 128:
                step, at = read_uint(data, at - 1)
            number += step
            if number >= count or step == 0:
                raise BadMessage(f"a value of {kind.name} has a field that its definition lacks")
            name, read_field = fields[number]
            value, at = read_field(data, at)
            if name is not None:
                values[name] = value
        for name, part in mutable:
            if values[name] is None:
                values[name] = _zero(part)
        return values, at

    return read


def _slice_reader(read_element: Read) -> Read:
    def read(data: bytes, at: int) -> tuple[list[Any], int]:
        count, at = _read_count(data, at)
        values = []
        for _ in range(count):
            value, at = read_element(data, at)
            values.append(value)
        return values, at

    return read


def _map_reader(kind: Map, read_key: Read, read_value: Read) -> Read:
    struct_key = isinstance(kind.key, Struct)

    def read(data: bytes, at: int) -> tuple[dict[Any, Any], int]:
        count, at = _read_count(data, at)
        values: dict[Any, Any] = {}
        for _ in range(count):
            key, at = read_key(data, at)
            value, at = read_value(data, at)
            values[tuple(key.values()) if struct_key else key] = value
        return values, at

    return read


# -- what we do not know ----------------------------------------------------------------------------------


def _skipper(number: int, sent: Mapping[int, Sent]) -> Read:
    def read(data: bytes, at: int) -> tuple[None, int]:
        return None, _skip(number, sent, data, at, MAX_SKIP_DEPTH)

    return read


def _skip(number: int, sent: Mapping[int, Sent], data: bytes, at: int, depth: int) -> int:
    """The position after a value of the sender's type ``number``."""
    if depth == 0:
        raise BadMessage("a value is nested too deeply")
    if number in (BOOL.wire_id, INT.wire_id, UINT.wire_id, FLOAT_ID):
        return read_uint(data, at)[1]
    if number == COMPLEX_ID:
        return read_uint(data, read_uint(data, at)[1])[1]
    definition = sent.get(number)
    if number in (BYTES.wire_id, STRING.wire_id) or isinstance(definition, SentOpaque):
        return _read_bytes(data, at)[1]
    match definition:
        case SentSlice(element):
            return _skip_each((element,), sent, data, at, depth)
        case SentMap(key, value):
            return _skip_each((key, value), sent, data, at, depth)
        case SentStruct(fields):
            return _skip_struct(fields, sent, data, at, depth)
    raise BadMessage(f"a value is of type {number}, which was not defined")


def _skip_each(numbers: tuple[int, ...], sent: Mapping[int, Sent], data: bytes, at: int, depth: int) -> int:
    count, at = _read_count(data, at)
    for _ in range(count):
        for number in numbers:
            at = _skip(number, sent, data, at, depth - 1)
    return at


def _skip_struct(
    fields: tuple[tuple[str, int], ...], sent: Mapping[int, Sent], data: bytes, at: int, depth: int
) -> int:
    number = -1
    while True:
        step, at = read_uint(data, at)
        if step == 0:
            return at
        number += step
        if number >= len(fields):
            raise BadMessage("a value has a field that its definition lacks")
        at = _skip(fields[number][1], sent, data, at, depth - 1)
