"""The parsed form of a template."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant."""

    value: Any


@dataclass(frozen=True, slots=True)
class Variable:
    """``$name``; the empty name is the data that the template was given."""

    name: str


@dataclass(frozen=True, slots=True)
class Dot:
    """The value that the surrounding block works on."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function, by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Fields:
    """``base.A.B``: fields taken one after the other."""

    base: "Operand"
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """One stage of a pipeline: a function and its arguments, or a single value."""

    words: tuple["Operand", ...]
    line: int


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands of which each gives its value to the next; ``names`` receive the last one.

    ``assign`` tells ``$x = ...`` (an existing variable) from ``$x := ...`` (a new one).
    """

    commands: tuple[Command, ...]
    names: tuple[str, ...] = ()
    assign: bool = False


Operand = Literal | Variable | Dot | Function | Fields | Pipeline


@dataclass(frozen=True, slots=True)
class Text:
    """Output as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Print:
    """Output of a pipeline's value; nothing when it only sets a variable."""

    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Block:
    """``if``, ``with`` or ``range``, as ``kind`` says."""

    kind: str
    pipeline: Pipeline
    body: tuple["Node", ...]
    otherwise: tuple["Node", ...]


Node = Text | Print | Block
