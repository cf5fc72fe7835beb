"""Short ways to make what the tests of names need."""

import json
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from tulle.instant import Instant
from tulle.mesh.peername import PeerName, parse_name
from tulle.names.entry import Entry, Key
from tulle.names.events import Save
from tulle.names.nameserver import Nameserver

ME, OTHER, THIRD = PeerName(1), PeerName(2), PeerName(3)
START = Instant(1000.0, 1_700_000_000.0)
DOMAIN = "tulle.internal"
VECTORS = Path(__file__).parents[2] / "data" / "names" / "vectors.jsonl"


def vectors(operation: str) -> list[dict[str, Any]]:
    """What the original answered to requests of this kind."""
    found = [json.loads(line) for line in VECTORS.read_text().splitlines()]
    return [vector for vector in found if vector["req"]["Op"] == operation]


def vector_entry(row: dict[str, Any]) -> Entry:
    key = Key(row["Hostname"], parse_name(row["Origin"]), row["ContainerID"], int(IPv4Address(row["Addr"])))
    return Entry(key, row["Version"], row["Tombstone"])


def entry(
    hostname: str = "web", origin: PeerName = OTHER, address: str = "10.32.0.1", *, version: int = 0,
    tombstone: int = 0, container: str = "c1",
) -> Entry:  # fmt: skip
    """An entry in the test domain."""
    key = Key(f"{hostname}.{DOMAIN}.", origin, container, int(IPv4Address(address)))
    return Entry(key, version, tombstone)


def nameserver(peer: PeerName = ME, restored: list[tuple[str, str, bytes]] | None = None) -> Nameserver:
    """A nameserver that knows the three peers."""
    made = Nameserver(peer, DOMAIN, restored or [])
    made.known_peers(frozenset({ME, OTHER, THIRD}))
    return made


def ip(text: str) -> IPv4Address:
    return IPv4Address(text)


class Disk(dict[tuple[str, str], bytes]):
    """The records that a nameserver asked to be saved."""

    def keep(self, server: Nameserver) -> None:
        for event in server.collect():
            if isinstance(event, Save):
                if event.value is None:
                    self.pop((event.kind, event.key), None)
                else:
                    self[event.kind, event.key] = event.value

    def records(self) -> list[tuple[str, str, bytes]]:
        return [(kind, key, value) for (kind, key), value in self.items()]
