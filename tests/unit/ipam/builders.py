"""Short ways to write rings, claims and allocators, and the recorded reference vectors."""

import json
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from random import Random
from typing import Any

from tulle.instant import Instant
from tulle.ipam.allocator import Allocator
from tulle.ipam.config import Consensus, IpamConfig, Observer, Seed
from tulle.ipam.events import Done, Failed, Log, Save
from tulle.ipam.paxos import NO_PROPOSAL, Claims, NodeId, Proposal
from tulle.ipam.ring import Entry, Range, Ring
from tulle.mesh.peername import PeerName

DATA = Path(__file__).parents[2] / "data" / "ipam"
A, B, C = PeerName(0x0200_0000_0001), PeerName(0x0200_0000_0002), PeerName(0x0200_0000_0003)
NOW = Instant(100.0, 1_700_000_000.0)


def vectors(file: str, op: str = "") -> list[Any]:
    """Recorded calls of the original: those of one operation, or all of a file."""
    lines = (DATA / f"{file}.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return [row for row in rows if row["req"]["Op"].startswith(op)]


def address(text: str) -> int:
    return int(IPv4Address(text))


def peer(text: str) -> PeerName:
    return PeerName(int(text.replace(":", ""), 16))


def ring_of(row: dict[str, Any]) -> Ring:
    """A ring as vectors write it."""
    entries = tuple(
        Entry(address(entry["Token"]), peer(entry["Peer"]), entry["Version"], entry["Free"])
        for entry in row["Entries"] or []
    )
    return Ring(row["Start"], row["End"], entries, tuple(map(peer, row["Seeds"] or [])))


def proposal_of(row: dict[str, Any] | None) -> Proposal:
    if not row:
        return NO_PROPOSAL
    return Proposal(row["Round"], NodeId(peer(row["Name"]), int(row["UID"])))


def claims_of(rows: Iterable[dict[str, Any]] | None) -> dict[NodeId, Claims]:
    return {
        NodeId(peer(row["Name"]), int(row["UID"])): Claims(
            promise=proposal_of(row.get("Promise")),
            accepted=proposal_of(row.get("Accepted")),
            value=tuple(map(peer, row.get("Value") or [])),
            origin=proposal_of(row.get("Origin")),
        )
        for row in rows or []
    }


def ring(
    *entries: tuple[int, PeerName, int, int], size: int = 16, seeds: tuple[PeerName, ...] = (A,)
) -> Ring:
    """A ring over [0, size) with entries (token, peer, version, free)."""
    return Ring(0, size, tuple(Entry(*entry) for entry in entries), seeds)


def config(
    universe: str = "10.32.0.0/24",
    bootstrap: Consensus | Seed | Observer | None = None,
    me: PeerName = A,
    uid: int = 77,
) -> IpamConfig:
    network = IPv4Network(universe)
    return IpamConfig(me, uid, network, network, bootstrap or Consensus(1))


def span(first: str, last: str) -> Range:
    return Range(address(first), address(last) + 1)


class Desk:
    """One allocator with its disk, used the way the node does."""

    def __init__(
        self, conf: IpamConfig | None = None, disk: dict[tuple[str, str], bytes] | None = None
    ) -> None:
        self.disk = disk if disk is not None else {}
        records = [(kind, key, value) for (kind, key), value in self.disk.items()]
        self.ipam = Allocator(conf or config(), Random(1), records)
        self.done: dict[int, Any] = {}
        self.failed: dict[int, Exception] = {}
        self.logs: list[Log] = []
        self.saves = 0
        self.settle()

    def settle(self) -> None:
        for event in self.ipam.collect():
            match event:
                case Save(kind, key, None):
                    self.disk.pop((kind, key), None)
                case Save(kind, key, value):
                    assert value is not None
                    self.disk[kind, key] = value
                case Done(ticket, result):
                    self.done[ticket] = result
                case Failed(ticket, error):
                    self.failed[ticket] = error
                case Log():
                    self.logs.append(event)

    def allocate(self, ticket: int, ident: str, subnet: str = "10.32.0.0/24", now: Instant = NOW) -> Any:
        self.ipam.allocate(ticket, ident, IPv4Network(subnet), now)
        self.settle()
        return self.done.get(ticket)

    def claim(self, ticket: int, ident: str, interface: str, now: Instant = NOW) -> Any:
        text, _, length = interface.partition("/")
        self.ipam.claim(ticket, ident, IPv4Address(text), int(length), now)
        self.settle()
        return self.done.get(ticket)

    def restarted(self, conf: IpamConfig | None = None) -> "Desk":
        return Desk(conf or config(uid=78), dict(self.disk))
