"""What the names want done outside of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Save:
    """A record that must survive a crash; ``value`` None deletes it."""

    kind: str
    key: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Log:
    """A line for the log. ``level`` is that of the logging module, in lower case."""

    level: str
    text: str


Event = Save | Log
