"""What address management tells the node, from ``Allocator.collect``."""

from dataclasses import dataclass

from tulle.errors import UserError


@dataclass(frozen=True, slots=True)
class Save:
    """Write this record, or delete it when the value is None. All Saves of one batch are one transaction."""

    kind: str
    key: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Done:
    """The request with this ticket succeeded; what ``result`` is depends on the request."""

    ticket: int
    result: object


@dataclass(frozen=True, slots=True)
class Failed:
    """The request with this ticket cannot be done."""

    ticket: int
    error: UserError


@dataclass(frozen=True, slots=True)
class Log:
    """A line for the log; level is debug, info, warning or error."""

    level: str
    text: str


Event = Save | Done | Failed | Log
