"""How a stream describes its own types: numbering and writing them, and reading the sender's.

A definition is itself a gob value, of the type ``WIRE`` that both ends know without a definition.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tulle.errors import BadMessage
from tulle.mesh.dialect.weave.gob.schema import INT, STRING, Basic, Map, Optional, Plain, Slice, Struct, plain

FIRST_ID = 65
"""The first number Go gives to a type of the program itself."""

_FIELD = Struct("fieldType", (("Name", STRING), ("Id", INT)))
_COMMON = Struct("CommonType", (("Name", STRING), ("Id", INT)))
_ARRAY = Struct("arrayType", (("CommonType", _COMMON), ("Elem", INT), ("Len", INT)))
_SLICE = Struct("sliceType", (("CommonType", _COMMON), ("Elem", INT)))
_STRUCT = Struct("structType", (("CommonType", _COMMON), ("Field", Slice(_FIELD))))
_MAP = Struct("mapType", (("CommonType", _COMMON), ("Key", INT), ("Elem", INT)))
_OPAQUE = Struct("gobEncoderType", (("CommonType", _COMMON),))
WIRE = Struct(
    "wireType",
    (
        ("ArrayT", Optional(_ARRAY)),
        ("SliceT", Optional(_SLICE)),
        ("StructT", Optional(_STRUCT)),
        ("MapT", Optional(_MAP)),
        ("GobEncoderT", Optional(_OPAQUE)),
        ("BinaryMarshalerT", Optional(_OPAQUE)),
        ("TextMarshalerT", Optional(_OPAQUE)),
    ),
)

# -- ours, for writing ------------------------------------------------------------------------------------


def parts(kind: Plain) -> list[Plain]:
    """The types that this type is directly made of, in definition order."""
    match kind:
        case Basic():
            return []
        case Struct():
            return [plain(part) for _, part in kind.fields]
        case Slice():
            return [plain(kind.element)]
        case Map():
            return [kind.key, plain(kind.value)]


@lru_cache(maxsize=256)
def numbering(kinds: tuple[Plain, ...]) -> Mapping[Plain, int]:
    """Number the types of a stream that uses ``kinds``, as Go does.

    A struct comes before what it holds, a slice or map after.
    """
    numbers: dict[Plain, int] = {}

    def visit(kind: Plain) -> None:
        if isinstance(kind, Basic) or kind in numbers:
            return
        if isinstance(kind, Struct):
            numbers[kind] = FIRST_ID + len(numbers)
        for part in parts(kind):
            visit(part)
        if not isinstance(kind, Struct):
            numbers[kind] = FIRST_ID + len(numbers)

    for kind in kinds:
        visit(kind)
    return numbers


def number_of(kind: Plain, numbers: Mapping[Plain, int]) -> int:
    """The number of a type: fixed for basic kinds, else from ``numbers``."""
    return kind.wire_id if isinstance(kind, Basic) else numbers[kind]


def describe(kind: Struct | Slice | Map, numbers: Mapping[Plain, int]) -> dict[str, Any]:
    """The definition of a type, as a value of ``WIRE``."""
    common = {"Name": kind.name, "Id": numbers[kind]}
    match kind:
        case Struct():
            fields = [{"Name": name, "Id": number_of(plain(part), numbers)} for name, part in kind.fields]
            return {"StructT": {"CommonType": common, "Field": fields}}
        case Slice():
            return {"SliceT": {"CommonType": common, "Elem": number_of(plain(kind.element), numbers)}}
        case Map():
            key, value = number_of(kind.key, numbers), number_of(plain(kind.value), numbers)
            return {"MapT": {"CommonType": common, "Key": key, "Elem": value}}


# -- the sender's, for reading ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SentStruct:
    """Fields in the sender's order: name and type number."""

    fields: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class SentSlice:
    """A slice or array; an array is a slice whose length the reader may not choose, so we read both alike."""

    element: int


@dataclass(frozen=True, slots=True)
class SentMap:
    """A map from one numbered type to another."""

    key: int
    value: int


@dataclass(frozen=True, slots=True)
class SentOpaque:
    """A type with an encoding of its own: a byte count and bytes. It can only be skipped."""


Sent = SentStruct | SentSlice | SentMap | SentOpaque


def understand(described: Mapping[str, Any]) -> Sent:
    """A definition as the reader uses it. Raises BadMessage if it defines nothing or two things."""
    given = [(form, body) for form, body in described.items() if body is not None]
    if len(given) != 1:
        raise BadMessage("a type definition is empty or ambiguous")
    form, body = given[0]
    if form == "StructT":
        return SentStruct(tuple((field["Name"], field["Id"]) for field in body["Field"]))
    if form in ("SliceT", "ArrayT"):
        return SentSlice(body["Elem"])
    if form == "MapT":
        return SentMap(body["Key"], body["Elem"])
    return SentOpaque()


def known_to_both() -> tuple[int, dict[int, Sent]]:
    """The number and definitions of ``WIRE`` itself, which no stream carries."""
    numbers = numbering((WIRE,))
    everything: dict[str, Any] = dict.fromkeys(name for name, _ in WIRE.fields)
    sent: dict[int, Sent] = {}
    for kind, number in numbers.items():
        if not isinstance(kind, Basic):
            sent[number] = understand({**everything, **describe(kind, numbers)})
    return numbers[WIRE], sent
