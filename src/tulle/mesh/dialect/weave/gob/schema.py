"""The shapes of gob values, as plain immutable values."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Basic:
    """A kind that needs no definition; ``wire_id`` is its number in every stream."""

    name: str
    wire_id: int


BOOL = Basic("bool", 1)
INT = Basic("int", 2)
UINT = Basic("uint", 3)
BYTES = Basic("bytes", 5)
STRING = Basic("string", 6)


@dataclass(frozen=True, slots=True)
class Struct:
    """Named fields in order. At most 127, so that every field step is one byte.

    Everything that is worked out once for a type is looked up by it, so its hash is kept.
    """

    name: str
    fields: tuple[tuple[str, "Type"], ...]
    _hash: int = field(init=False, repr=False, compare=False)

    def __hash__(self) -> int:
        return self._hash

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.name, self.fields)))
        names = [name for name, _ in self.fields]
        if len(set(names)) != len(names) or len(names) > 127:
            raise TypeError(f"struct {self.name}: field names must be unique, at most 127 of them")


@dataclass(frozen=True, slots=True)
class Slice:
    """Any number of values of one type. ``name`` is empty unless the original named the type."""

    element: "Type"
    name: str = ""


@dataclass(frozen=True, slots=True)
class Map:
    """Values by key. A key is a basic kind, or a struct of basic kinds (given as a tuple)."""

    key: "Basic | Struct"
    value: "Type"
    name: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.key, Struct) and not all(isinstance(kind, Basic) for _, kind in self.key.fields):
            raise TypeError("a struct used as a map key must hold basic kinds only")


@dataclass(frozen=True, slots=True)
class Optional:
    """In a struct: the value or None. Leaves no trace on the wire but the field's absence."""

    inner: "Basic | Struct | Slice | Map"


Type = Basic | Struct | Slice | Map | Optional
Plain = Basic | Struct | Slice | Map
"""A type as the wire knows it, with no Optional around it."""


def plain(kind: Type) -> Plain:
    """The type without an Optional around it."""
    return kind.inner if isinstance(kind, Optional) else kind
