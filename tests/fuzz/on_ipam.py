"""Fuzzing of address management: any messages and requests, in any order, over an allocator's life."""

from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from random import Random
from typing import Any

from on_wire import payloads
from source import Source

from recordings import all_bodies
from tulle.errors import BadMessage, UserError
from tulle.instant import Instant
from tulle.ipam import weave
from tulle.ipam.allocator import Allocator
from tulle.ipam.config import Consensus, IpamConfig, Observer, Seed
from tulle.mesh.channel import Unicast
from tulle.mesh.dialect import UnicastMessage
from tulle.mesh.dialect.weave import gob
from tulle.mesh.dialect.weave.messages import decode_message
from tulle.mesh.peername import PeerName

UNIVERSE = IPv4Network("10.32.0.0/12")
SMALL = IPv4Network("10.32.0.0/28")
ME = PeerName(0x020000000001)
PEERS = tuple(PeerName(0x020000000000 + number) for number in range(1, 5))
BOOTSTRAPS = (Consensus(3), Consensus(1), Seed(PEERS[:3]), Observer())

_NODE = gob.Struct("", (("Name", gob.UINT), ("UID", gob.UINT)))
_PROPOSAL = gob.Struct("", (("Round", gob.UINT), ("Proposer", _NODE)))
_ACCEPTED = gob.Struct("", (("Value", gob.Slice(gob.UINT)), ("Origin", _PROPOSAL)))
_CLAIMS = gob.Struct("", (("Promise", _PROPOSAL), ("Accepted", _PROPOSAL), ("AcceptedVal", _ACCEPTED)))
_ENTRY = gob.Struct("", (("Token", gob.UINT), ("Peer", gob.UINT), ("Version", gob.UINT), ("Free", gob.UINT)))
_RING = gob.Struct(
    "",
    (
        ("Start", gob.UINT),
        ("End", gob.UINT),
        ("Peer", gob.UINT),
        ("Entries", gob.Slice(_ENTRY)),
        ("Seeds", gob.Slice(gob.UINT)),
    ),
)
_STATE = gob.Struct(
    "",
    (
        ("Now", gob.INT),
        ("Nicknames", gob.Map(gob.UINT, gob.STRING)),
        ("Paxos", gob.Optional(gob.Map(_NODE, _CLAIMS))),
        ("Ring", gob.Optional(_RING)),
    ),
)
_RANGE = gob.Struct("", (("Start", gob.UINT), ("End", gob.UINT)))


class Life:
    """One allocator and what befalls it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.universe = source.pick((UNIVERSE, SMALL))
        config = IpamConfig(ME, 77, self.universe, self.universe, source.pick(BOOTSTRAPS))
        self.allocator = Allocator(config, Random(1))
        self.now = Instant(1000.0, 1_700_000_000.0)
        self.ticket = 0

    def run(self) -> None:
        """Do what the input says, and look after each step."""
        steps: tuple[Callable[[], None], ...] = (
            self.hear_state,
            self.hear_unicast,
            self.hear_raw,
            self.ask,
            self.release,
            self.take_over,
            self.meet,
            self.wait,
        )
        while self.source.more():
            self.source.pick(steps)()
            self.look()

    def look(self) -> None:
        """What it would say now must be what a peer can read."""
        self.allocator.collect()
        for payload in self.allocator.encode_all("weave", self.now):
            weave.decode_state(payload)
        for message in self.allocator.outbox:
            if isinstance(message, Unicast):
                weave.decode_direct(message.payload)
        self.allocator.outbox.clear()

    # -- what others say

    def hear_state(self) -> None:
        sender, broadcast = self.source.pick(PEERS[1:]), bool(self.source.number() % 2)
        with suppress(BadMessage):
            self.allocator.merge("weave", gob.encode((_STATE, self.state())), sender, broadcast, self.now)

    def hear_unicast(self) -> None:
        kind = self.source.number() % 4
        if kind == 1:
            body = gob.encode((_STATE, self.state()))
        else:
            body = gob.encode((_RANGE, {"Start": self.token(), "End": self.token()}))
        with suppress(BadMessage):
            self.allocator.receive("weave", bytes((kind,)) + body, self.source.pick(PEERS[1:]), self.now)

    def hear_raw(self) -> None:
        payload, sender = self.source.piece(), self.source.pick(PEERS[1:])
        with suppress(BadMessage):
            if self.source.number() % 2:
                self.allocator.receive("weave", payload, sender, self.now)
            else:
                self.allocator.merge("weave", payload, sender, False, self.now)

    def state(self) -> dict[str, Any]:
        return {
            "Now": 1_700_000_000,
            "Nicknames": {peer: f"h{peer & 15}" for peer in self.source.some(PEERS, 3)},
            "Paxos": self.claims() if self.source.number() % 2 else None,
            "Ring": self.ring() if self.source.number() % 2 else None,
        }

    def ring(self) -> dict[str, Any]:
        entries = [
            {
                "Token": self.token(),
                "Peer": self.source.pick(PEERS),
                "Version": self.source.number(),
                "Free": self.source.number(3),
            }
            for _ in range(self.source.number() % 6)
        ]
        if self.source.number() % 8:
            entries.sort(key=lambda entry: entry["Token"])
        start = int(self.universe.network_address)
        return {
            "Start": start,
            "End": start + self.universe.num_addresses,
            "Peer": self.source.pick(PEERS),
            "Entries": entries,
            "Seeds": list(PEERS[:3]) if self.source.number() % 8 else self.source.some(PEERS, 3),
        }

    def claims(self) -> dict[tuple[int, int], Any]:
        return {self.node(): self.claim() for _ in range(self.source.number() % 4)}

    def claim(self) -> dict[str, Any]:
        accepted = {"Value": self.source.some(PEERS, 4), "Origin": self.proposal()}
        return {"Promise": self.proposal(), "Accepted": self.proposal(), "AcceptedVal": accepted}

    def proposal(self) -> dict[str, Any]:
        name, uid = self.node()
        return {"Round": self.source.number() % 5, "Proposer": {"Name": name, "UID": uid}}

    def node(self) -> tuple[int, int]:
        return self.source.pick(PEERS), self.source.pick((77, 78))

    def token(self) -> int:
        """An address of the range, mostly a round one."""
        step = self.universe.num_addresses // 8
        offset = self.source.pick((0, 0, 0, 1, -1)) + step * (self.source.number() % 9)
        return max(0, int(self.universe.network_address) + offset)

    # -- what its own host wants

    def ask(self) -> None:
        self.ticket += 1
        ident = self.source.pick(("c1", "c2", "c3"))
        if self.source.number() % 2:
            self.allocator.allocate(self.ticket, ident, self.universe, self.now)
        else:
            address = IPv4Address(self.token())
            self.allocator.claim(self.ticket, ident, address, self.universe.prefixlen, self.now)

    def release(self) -> None:
        self.allocator.release(self.source.pick(("c1", "c2", "c3")), None, self.now)

    def take_over(self) -> None:
        self.ticket += 1
        with suppress(UserError):
            peer, force = self.source.pick(PEERS), bool(self.source.number() % 2)
            self.allocator.takeover(self.ticket, peer, self.now, force)

    def meet(self) -> None:
        reachable = frozenset((ME, *self.source.some(PEERS, 4)))
        self.allocator.peers_changed(reachable, dict.fromkeys(reachable, "h"), self.now)

    def wait(self) -> None:
        self.now = self.now.later(self.source.number() + 0.5)
        self.allocator.tick(self.now)
        assert self.allocator.next_deadline() > self.now.mono


def fuzz_ipam(data: bytes) -> None:
    """See the module text."""
    Life(Source(data)).run()


def ipam_seeds() -> list[bytes]:
    messages = map(decode_message, all_bodies())
    unicasts = {message.payload for message in messages if isinstance(message, UnicastMessage)}
    start = b"\x00\x00"
    heard = [b"\x02" + _piece(payload) + b"\x00\x00" for payload in payloads("IPallocation")]
    told = [b"\x02" + _piece(payload) + b"\x00\x01" for payload in sorted(unicasts)]
    return [
        start + b"".join(heard[:8]),
        start + b"\x03\x00\x01".join(told),
        *(start + step for step in heard),
    ]


def _piece(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data
