"""Streams of gob values: messages, the sender's definitions among them, and limits."""

from functools import lru_cache
from typing import Any, NamedTuple

from tulle.errors import BadMessage
from tulle.mesh.dialect.weave.gob.definitions import FIRST_ID, WIRE, Sent, known_to_both, understand
from tulle.mesh.dialect.weave.gob.reading import Measured, Read, read_int, read_uint, reader
from tulle.mesh.dialect.weave.gob.schema import Plain, Struct, Type, plain

MAX_DEFINITIONS = 100
"""Types in one stream. The original needs twelve."""

MAX_DEFINITION_BYTES = 1 << 14
"""All definitions of one stream. The original needs less than a kilobyte."""

_TRUNCATED = "a message ends in the middle of a value"


class Encoded(NamedTuple):
    """A value not yet read, with all that reading it depends on; equal ones hold equal values."""

    definitions: tuple[bytes, ...]
    message: bytes

    def read(self, kind: Type) -> Any:
        """The value, read as ``kind``. Raises BadMessage if it is of another type, or broken."""
        try:
            number, at = read_int(self.message, 0)
            definitions = self.definitions if number >= FIRST_ID else ()
            read = _top_level_reader(plain(kind), number, definitions)
            value, at = read(Measured.of(self.message), at)
        except IndexError:
            raise BadMessage(_TRUNCATED) from None
        if at != len(self.message):
            raise BadMessage("a message is longer than its value")
        return value


class Decoder:
    """Reads the values of one stream, one after another."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._definitions: tuple[bytes, ...] = ()
        self._definition_bytes = 0

    def more(self) -> bool:
        """Whether anything is left to read."""
        return self._at < len(self._data)

    def next(self, kind: Type) -> Any:
        """The next value, read as ``kind``. Raises BadMessage if there is none, or of another type."""
        return self.take().read(kind)

    def take(self) -> Encoded:
        """The next value, unread. Raises BadMessage if there is none."""
        try:
            while True:
                size, start = read_uint(self._data, self._at)
                self._at = start + size
                if self._at > len(self._data):
                    raise BadMessage(_TRUNCATED)
                message = self._data[start : self._at]
                if read_int(message, 0)[0] > 0:
                    return Encoded(self._definitions, message)
                self._add_definition(message)
        except IndexError:
            raise BadMessage(_TRUNCATED) from None

    def _add_definition(self, message: bytes) -> None:
        self._definition_bytes += len(message)
        if self._definition_bytes > MAX_DEFINITION_BYTES or len(self._definitions) == MAX_DEFINITIONS:
            raise BadMessage("a message defines too many types")
        self._definitions += (message,)


def decode(data: bytes, *kinds: Type) -> list[Any]:
    """Exactly these values, one of each kind. Raises BadMessage if there are more, fewer or others."""
    decoder = Decoder(data)
    values = [decoder.next(kind) for kind in kinds]
    if decoder.more():
        raise BadMessage("a message is longer than its values")
    return values


@lru_cache(maxsize=128)
def _top_level_reader(kind: Plain, number: int, definitions: tuple[bytes, ...]) -> Read:
    """Kept across streams: a peer repeats its definitions in every message, and they are always the same."""
    read = reader(kind, number, _parse(definitions))
    if isinstance(kind, Struct):
        return read

    def read_single(data: bytes, at: int) -> tuple[Any, int]:
        if data[at] != 0:
            raise BadMessage("a value that is not a struct lacks its zero byte")
        return read(data, at + 1)

    return read_single


def _wire_reader() -> Read:
    number, sent = known_to_both()
    return reader(WIRE, number, sent)


_READ_WIRE = _wire_reader()


def _parse(definitions: tuple[bytes, ...]) -> dict[int, Sent]:
    sent: dict[int, Sent] = {}
    for message in definitions:
        number, definition = _parse_definition(message)
        if number < FIRST_ID or number in sent:
            raise BadMessage("a type is defined twice, or under a reserved number")
        sent[number] = definition
    return sent


@lru_cache(maxsize=256)
def _parse_definition(message: bytes) -> tuple[int, Sent]:
    number, at = read_int(message, 0)
    described, at = _READ_WIRE(message, at)
    if at != len(message):
        raise BadMessage("a type definition is longer than it should be")
    return -number, understand(described)
