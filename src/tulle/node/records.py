"""The node's own record: its short id, kept so that a restart changes nothing on the wire."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from tulle.datapath.tables import SHORT_IDS, ShortId

_KIND, _KEY = "node", "short-id"
_MOST_DIGITS = 4


class Record(Protocol):
    """Something to be written to disk; ``value`` None deletes it."""

    @property
    def kind(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def value(self) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A record of the node's own."""

    kind: str
    key: str
    value: bytes | None


def short_id_record(short_id: ShortId) -> NodeRecord:
    """What to save."""
    return NodeRecord(_KIND, _KEY, str(short_id).encode())


def restored_short_id(records: Iterable[tuple[str, str, bytes]]) -> ShortId | None:
    """The short id of a previous life, if it was saved and makes sense."""
    for kind, key, value in records:
        plain = (kind, key) == (_KIND, _KEY) and value.isdigit() and len(value) <= _MOST_DIGITS
        if plain and int(value) < SHORT_IDS:
            return ShortId(int(value))
    return None
