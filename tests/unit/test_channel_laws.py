"""What every channel must do with what it hears, whoever says it, in whatever order and however often.

For each kind there are *authors*, who say ever new things, and *readers*, who hear some of them, from the
authors or from each other. Merging loses nothing and never goes back; what a reader has heard, alone or as
part of what another knows, is no news to it; and readers who have heard the same know the same.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network
from random import Random
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tulle.datapath.groups.channel import GroupChannel
from tulle.datapath.groups.record import group_of
from tulle.instant import Instant
from tulle.ipam import weave
from tulle.ipam.allocator import Allocator
from tulle.ipam.config import IpamConfig
from tulle.ipam.ring import Ring
from tulle.mesh.channel import Channel
from tulle.mesh.descriptions import Descriptions
from tulle.mesh.peername import PeerName
from tulle.mesh.summary import ConnectionSummary, PeerSummary
from tulle.mesh.topology import Topology
from tulle.names.nameserver import Nameserver
from tulle.node.keys import PublicKeys

NOW = Instant(1000.0, 1_700_000_000.0)
READER = PeerName(9)
AUTHORS = [PeerName(1), PeerName(2), PeerName(3)]
ALL = [*AUTHORS, READER]
RANGE = IPv4Network("10.32.0.0/28")
BOUNDS = int(RANGE.network_address), int(RANGE.broadcast_address) + 1
READERS = range(3)


class Kind(ABC):
    """One kind of state: how to make those who hold it, and what they say."""

    @abstractmethod
    def reader(self) -> Any:
        """Somebody who says nothing of its own."""

    @abstractmethod
    def say(self, author: PeerName, chance: Random) -> list[bytes]:
        """Something new of one author."""

    @abstractmethod
    def everything(self, reader: Any) -> list[bytes]:
        """All that a reader knows, in the same form for the same knowledge."""

    @abstractmethod
    def hear(self, reader: Any, payload: bytes) -> bool:
        """Whether anything of this was news."""


class OfChannel(Kind):
    """Those that the mesh knows as a ``Channel``; the authors are of the same kind."""

    def __init__(self) -> None:
        self.authors = {name: self.make(name) for name in AUTHORS}

    @abstractmethod
    def make(self, name: PeerName) -> Any:
        """A channel of this peer."""

    def reader(self) -> Channel:
        made: Channel = self.make(READER)
        return made

    def everything(self, reader: Channel) -> list[bytes]:
        return reader.encode_all("weave", NOW)

    def hear(self, reader: Channel, payload: bytes) -> bool:
        return bool(reader.merge("weave", payload, AUTHORS[0], False, NOW).fresh)


class Groups(OfChannel):
    """Who listens to which multicast."""

    def make(self, name: PeerName) -> GroupChannel:
        made = GroupChannel(name)
        made.known_peers(frozenset(ALL))
        return made

    def say(self, author: PeerName, chance: Random) -> list[bytes]:
        wanted = {
            group_of(IPv4Address("239.1.1.0") + chance.randrange(4)) for _ in range(chance.randrange(3))
        }
        self.authors[author].want(wanted, "", NOW)
        self.authors[author].tick(Instant(NOW.mono + 10, NOW.wall))
        return self.everything(self.authors[author])


class Keys(OfChannel):
    """Public keys: an author has another in each of its lives."""

    def make(self, name: PeerName, seed: int = 1) -> PublicKeys:
        made = PublicKeys(name, 7, b"secret", 1376, Random(seed))
        made.known_peers({one: PeerSummary(one, "", 7, 1, None, ()) for one in ALL})
        return made

    def say(self, author: PeerName, chance: Random) -> list[bytes]:
        before = self.everything(self.authors[author])
        self.authors[author] = self.make(author, chance.getrandbits(32))
        for payload in before:
            self.hear(self.authors[author], payload)
        return self.everything(self.authors[author])


class Names(OfChannel):
    """Names that come and go."""

    def make(self, name: PeerName) -> Nameserver:
        made = Nameserver(name, "tulle.internal")
        made.known_peers(frozenset(ALL))
        return made

    def say(self, author: PeerName, chance: Random) -> list[bytes]:
        server, container = self.authors[author], f"c{chance.randrange(3)}"
        if chance.random() < 0.4:
            server.container_gone(container, NOW)
        else:
            server.add(container, chance.choice(("web", "db")), RANGE[1 + chance.randrange(3)], NOW)
        return self.everything(server)


class Rings(OfChannel):
    """Who owns which addresses: each author gives away what it has, and says how much is free."""

    def make(self, name: PeerName) -> Allocator:
        allocator = Allocator(IpamConfig(name, 7, RANGE, RANGE), Random(1))
        if name != READER:
            allocator.merge("weave", _written(Ring(*BOUNDS).claim_for_peers(AUTHORS)), READER, False, NOW)
        return allocator

    def say(self, author: PeerName, chance: Random) -> list[bytes]:
        allocator, heir = self.authors[author], chance.choice(AUTHORS)
        ring, owned = allocator.ring, allocator.ring.owned_ranges(author)
        if owned and heir != author:
            ring = ring.grant(chance.choice(owned), heir)
        ring = ring.report_free(author, lambda piece: chance.randrange(piece.size + 1))
        self.hear(allocator, _written(ring))
        return [_written(ring)]

    def everything(self, reader: Allocator) -> list[bytes]:
        return [_written(reader.ring)] if reader.ring.entries else []


class Peers(Kind):
    """The topology, in the form that peers of our kind use."""

    def __init__(self) -> None:
        self.versions = dict.fromkeys(AUTHORS, 1)

    def reader(self) -> Topology:
        return Topology(PeerSummary(READER, "reader", 7, 1, 9, ()))

    def say(self, author: PeerName, chance: Random) -> list[bytes]:
        self.versions[author] += chance.randrange(1, 3)
        others = chance.sample([one for one in ALL if one != author], chance.randrange(3))
        links = tuple(ConnectionSummary(one, "192.0.2.1:6783", True, chance.random() < 0.5) for one in others)
        peer = PeerSummary(author, "", 7, self.versions[author], author, links)
        return [Descriptions({}).encode([peer])]

    def everything(self, reader: Topology) -> list[bytes]:
        known = sorted(reader.peers.items())
        said = [peer for name, peer in known if name != READER and name not in reader.undescribed]
        return [Descriptions({}).encode(said)]

    def hear(self, reader: Topology, payload: bytes) -> bool:
        return bool(reader.merge(Descriptions(reader.peers).decode(payload)).fresh)


def _written(ring: Ring) -> bytes:
    return weave.encode_state(weave.State({}, None, ring), READER, NOW.wall)


class Laws(RuleBasedStateMachine):
    """Authors say things; readers hear them from anybody, late, twice, or never until the end."""

    kind_of_state: ClassVar[type[Kind]]

    def __init__(self) -> None:
        super().__init__()
        self.kind = self.kind_of_state()
        self.readers = [self.kind.reader() for _ in READERS]
        self.said: list[bytes] = []

    @rule(author=st.sampled_from(AUTHORS), chance=st.randoms(use_true_random=False))
    def says(self, author: PeerName, chance: Random) -> None:
        self.said += self.kind.say(author, chance)

    @precondition(lambda self: self.said)
    @rule(reader=st.sampled_from(READERS), which=st.integers(0, 1000))
    def hears(self, reader: int, which: int) -> None:
        self._hear(reader, [self.said[which % len(self.said)]])

    @rule(reader=st.sampled_from(READERS), other=st.sampled_from(READERS))
    def hears_all_that_another_knows(self, reader: int, other: int) -> None:
        self._hear(reader, self.kind.everything(self.readers[other]))

    @invariant()
    def nobody_hears_news_from_itself(self) -> None:
        for reader in self.readers:
            assert not any(self.kind.hear(reader, payload) for payload in self.kind.everything(reader))

    def teardown(self) -> None:
        orders: list[Sequence[bytes]] = [self.said, self.said[::-1], sorted(self.said)]
        for reader, order in zip(self.readers, orders, strict=True):
            for payload in order:
                self.kind.hear(reader, payload)
        assert len({tuple(self.kind.everything(reader)) for reader in self.readers}) == 1

    def _hear(self, number: int, payloads: list[bytes]) -> None:
        """Once it is heard it is no news, and nor is what the reader knew before."""
        reader = self.readers[number]
        before = self.kind.everything(reader)
        for payload in payloads:
            self.kind.hear(reader, payload)
        after = self.kind.everything(reader)
        assert not any(self.kind.hear(reader, payload) for payload in [*payloads, *before])
        assert self.kind.everything(reader) == after


_PROFILE = settings(max_examples=40, stateful_step_count=25, deadline=None)


def _laws_of(kind: type[Kind]) -> Any:
    machine = type(f"LawsOf{kind.__name__}", (Laws,), {"kind_of_state": kind})
    machine.TestCase.settings = _PROFILE  # type: ignore[attr-defined]
    return machine.TestCase  # type: ignore[attr-defined]


TestGroups = _laws_of(Groups)
TestKeys = _laws_of(Keys)
TestNames = _laws_of(Names)
TestRings = _laws_of(Rings)
TestPeers = _laws_of(Peers)
