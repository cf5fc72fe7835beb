"""The node's own records: its short id, so that a restart changes nothing on the wire, and its peers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec

from tulle.datapath.tables import SHORT_IDS, ShortId
from tulle.mesh.addresses import format_address, parse_address
from tulle.mesh.events import Address
from tulle.mesh.peername import PeerName, format_name, parse_name

_KIND, _KEY, _PEERS = "node", "short-id", "peers"
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


def acquaintances_record(peers: Mapping[PeerName, Address]) -> NodeRecord:
    """What to save of the peers to go to after a restart."""
    rows = [(format_name(peer), format_address(address)) for peer, address in peers.items()]
    return NodeRecord(_KIND, _PEERS, msgspec.json.encode(rows))


def restored_acquaintances(records: Iterable[tuple[str, str, bytes]]) -> dict[PeerName, Address]:
    """The peers of a previous life, as far as the record makes sense."""
    peers: dict[PeerName, Address] = {}
    for value in (value for kind, key, value in records if (kind, key) == (_KIND, _PEERS)):
        try:
            rows = msgspec.json.decode(value, type=list[tuple[str, str]])
            peers = {parse_name(name): at for name, text in rows if (at := parse_address(text)) is not None}
        except ValueError:
            return {}
    return peers
