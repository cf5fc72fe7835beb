"""How news of the topology travels.

In a full mesh a peer's description goes from that peer straight to everybody, so relaying it to random
neighbours, as plain gossip would, sends each description many times over. Two pieces of knowledge avoid that:
for each description we remember which neighbours have it, and nobody gets it twice; and neighbours of our own
kind promise to tell what is news to them, so that we know whom the sender has told already (see
``Audience``).

What is to be told is held back for a moment, the longer the busier, so that several changes make one message;
a budget of bytes per second bounds the work however large the mesh. When a link ends, what may have been lost
with it is told again by those who know.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import NamedTuple, Protocol

from tulle.instant import Instant
from tulle.mesh.audience import Audience
from tulle.mesh.connection import Link
from tulle.mesh.descriptions import Descriptions
from tulle.mesh.knowledge import Hearsay, Knowledge
from tulle.mesh.links import LinkTable
from tulle.mesh.peername import PeerName
from tulle.mesh.ratelimit import TokenBucket
from tulle.mesh.repair import Enquiry, Rebuttal
from tulle.mesh.routes import Routes
from tulle.mesh.summary import PeerSummary
from tulle.mesh.topology import Merge, Topology

CHANNEL = "topology"

FIRST_HOLD_SECONDS = 0.02
SHORTEST_GAP_SECONDS = 0.25
LONGEST_GAP_SECONDS = 1.0
LONGEST_HOLD_SECONDS = 5.0
"""News waits no longer than this, whatever it costs."""

LATELY_SECONDS = 10.0
"""News that is older than this has arrived wherever it was sent."""

ARRIVAL_SECONDS = 3.0
"""News that is younger than this may still be under way."""

BURST_BYTES = 1024 * 1024
BYTES_PER_SECOND = 256 * 1024
_CONNECTIONS_PER_PAYLOAD = 10_000


class TopologyCodec(Protocol):
    """A dialect's form of the topology."""

    def encode(self, peers: Iterable[PeerSummary]) -> bytes:
        """The payload that tells about these peers."""

    def decode(self, payload: bytes) -> list[PeerSummary]:
        """The peers a payload tells about. Raises BadMessage."""


class _Parted(NamedTuple):
    """A link that ended, and the descriptions that its other end may not have received."""

    at: float
    doubtful: frozenset[PeerName]


class TopologyGossip:
    """Takes in, holds back and hands out descriptions of peers."""

    def __init__(
        self,
        topology: Topology,
        routes: Routes,
        links: LinkTable,
        codecs: Mapping[str, TopologyCodec],
        rng: Random,
        wake: Callable[[Link], None],
    ) -> None:
        self._topology = topology
        self._links = links
        self._codecs = codecs
        self._wake = wake
        self._audience = Audience(topology, routes, links, rng)
        self._descriptions = Descriptions(topology.peers)
        self._knowledge = Knowledge()
        self._hearsay = Hearsay()
        self._enquiry = Enquiry(topology, routes, links, rng, self._queue)
        self._rebuttal = Rebuttal()
        self._parted: dict[PeerName, _Parted] = {}
        self._held: dict[PeerName, set[PeerName]] = {}
        self._release_at = math.inf
        self._released_at = -math.inf
        self._gap = SHORTEST_GAP_SECONDS
        self._budget = TokenBucket(BURST_BYTES, BYTES_PER_SECOND)

    # -- neighbours --------------------------------------------------------------------------------------

    def neighbour_up(self, peer: PeerName, now: Instant) -> None:
        """There is a link to this peer now.

        What is being held back for others is news to it too: they will count on us to tell it. And if there
        was a link a moment ago, what was sent on it last may be lost.
        """
        self._knowledge.neighbour_up(peer)
        held = set().union(*self._held.values())
        owed = {teller: self._audience.owes(peer, teller) for teller in map(self._hearsay.teller, held)}
        news = {name for name in held if owed[self._hearsay.teller(name)]}
        parted = self._parted.pop(peer, None)
        if parted is not None:
            news |= parted.doubtful
        if news:
            self._hold(peer, self._audience.beyond(peer, news), now)

    def neighbour_down(self, peer: PeerName, now: Instant) -> None:
        """The link to this peer is gone."""
        lately = now.mono - LATELY_SECONDS
        sent = self._knowledge.neighbour_down(peer) & self._hearsay.since(lately)
        unsent = self._held.pop(peer, set())
        self._parted = {name: parted for name, parted in self._parted.items() if parted.at > lately}
        self._parted[peer] = _Parted(now.mono, sent | unsent)
        self._stand_in(peer, self._audience.listed_by(peer), now)

    # -- news --------------------------------------------------------------------------------------------

    def changed(self, names: Iterable[PeerName], now: Instant) -> None:
        """We ourselves changed the descriptions of these peers (or met them): tell everybody."""
        news = frozenset(names)
        for name in news:
            self._knowledge.renew(name)
            self._hearsay.note(name, None, now.mono)
        self._spread(news, None, now)

    def receive(self, sender: Link, payload: bytes, short: bool, now: Instant) -> Merge:
        """A neighbour told us of peers, in the ``short`` form or its dialect's. Raises BadMessage."""
        codec = self._descriptions if short else self._codecs[sender.session.dialect]
        peers = codec.decode(payload)
        before = {peer.name: self._topology.peers.get(peer.name) for peer in peers}
        merge = self._topology.merge(peers)
        for name in merge.fresh:
            self._knowledge.renew(name)
            self._hearsay.note(name, sender.peer, now.mono)
            lost = _ends(before[name]) - _ends(self._topology.peers[name])
            if lost:
                self._stand_in(name, lost, now)
        self._note_known(sender, peers, now)
        if merge.fresh:
            self._spread(merge.fresh, sender.peer, now)
        if merge.outdated:
            self._correct(sender, merge.outdated, peers, now)
        if merge.contested:
            self._rebuttal.provoked(now.mono)
        self._enquiry.consider(now.mono)
        return merge

    def forget(self, names: Iterable[PeerName]) -> None:
        """These peers are gone from the topology."""
        gone = frozenset(names)
        self._knowledge.forget(gone)
        self._hearsay.forget(gone)
        self._descriptions.forget(gone)
        for held in self._held.values():
            held -= gone

    # -- sending -----------------------------------------------------------------------------------------

    def payloads(
        self, link: Link, keys: frozenset[PeerName] | None, short: bool, now: Instant
    ) -> list[bytes]:
        """What to tell a neighbour now: everything (``keys`` None), or what it lacks of these peers.

        In the ``short`` form or that of its dialect. Of peers that nobody described to us we tell just
        that: it is how we ask.
        """
        peers = self._topology.peers
        if keys is None:
            chosen = [peer for name, peer in peers.items() if name not in self._topology.undescribed]
        else:
            lacking = self._knowledge.lacking(link.peer, sorted(keys))
            chosen = [peers[name] for name in lacking if name in peers]
        described = (peer.name for peer in chosen if peer.name not in self._topology.undescribed)
        self._knowledge.note_all(link.peer, described)
        codec = self._descriptions if short else self._codecs[link.session.dialect]
        payloads = [codec.encode(portion) for portion in _portions(chosen)]
        self._budget.spend(now.mono, sum(map(len, payloads)))
        return payloads

    def introduce(self, link: Link) -> None:
        """Queue what a new neighbour should know: all but what its own neighbours say of themselves."""
        greeting = link.greeting
        if greeting is None or not greeting.tells_all:
            link.queue.add_full(CHANNEL)
            return
        names = self._audience.beyond(greeting.name, self._topology.peers.keys())
        link.queue.add_gossip(CHANNEL, names | {self._topology.me.name})

    def release_to(self, link: Link, about: PeerName) -> None:
        """Do not hold back what this neighbour should be told about ``about``: a message from it follows."""
        held = self._held.get(link.peer) if link.peer is not None else None
        if held and about in held and link.peer is not None:
            held.discard(about)
            self._queue(link.peer, about)

    def calm(self, now: Instant) -> bool:
        """Whether there was no news lately, so that all who were told know the same."""
        return not self._held and not self._hearsay.since(now.mono - ARRIVAL_SECONDS)

    # -- time --------------------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When ``tick`` must be called next."""
        return min(self._release_at, self._rebuttal.due, self._enquiry.due)

    def tick(self, now: Instant) -> None:
        """Let go what was held back long enough."""
        if self._rebuttal.tick(now.mono):
            self.changed((self._topology.me.name,), now)
        self._enquiry.tick(now.mono)
        if now.mono < self._release_at:
            return
        self._release_at = math.inf
        calm = now.mono - self._released_at > 2 * LONGEST_GAP_SECONDS
        self._gap = SHORTEST_GAP_SECONDS if calm else min(2 * self._gap, LONGEST_GAP_SECONDS)
        self._released_at = now.mono
        held, self._held = self._held, {}
        for neighbour, names in held.items():
            self._queue(neighbour, *names)

    # -- inside ------------------------------------------------------------------------------------------

    def _queue(self, neighbour: PeerName, *names: PeerName) -> None:
        link = self._links.up.get(neighbour)
        if link is not None and names:
            link.queue.add_gossip(CHANNEL, frozenset(names))
            self._wake(link)

    def _hold(self, neighbour: PeerName, names: Iterable[PeerName], now: Instant) -> None:
        self._held.setdefault(neighbour, set()).update(names)
        if self._release_at == math.inf:
            paced = max(self._released_at + self._gap, self._budget.ready_at(now.mono, 0))
            latest = now.mono + LONGEST_HOLD_SECONDS
            self._release_at = max(now.mono + FIRST_HOLD_SECONDS, min(paced, latest))

    def _spread(self, news: frozenset[PeerName], teller: PeerName | None, now: Instant) -> None:
        for neighbour in self._audience.of(teller):
            self._hold(neighbour, news, now)

    def _correct(
        self, sender: Link, outdated: Iterable[PeerName], said: Iterable[PeerSummary], now: Instant
    ) -> None:
        """Tell a neighbour what we know better, unless it will hear it anyway.

        It will if our news is young, or comes from a peer it has a connection to. It will not if it takes an
        earlier run of that peer for the later one, or if it asked.
        """
        if sender.peer is None or not sender.is_up:
            return
        uids = {peer.name: peer.uid for peer in said}
        ours = self._topology.peers
        apart = [name for name in outdated if uids[name] != ours[name].uid]
        lately = now.mono - ARRIVAL_SECONDS
        settled = [name for name in outdated if not self._hearsay.came_after(name, lately)]
        self._hold(sender.peer, self._audience.beyond(sender.peer, settled).union(apart), now)

    def _stand_in(self, teller: PeerName, lost: Iterable[PeerName], now: Instant) -> None:
        """``teller`` no longer reaches these peers: what it told us lately, it may not have told them."""
        neighbours = self._links.up.keys() & lost
        names = self._hearsay.told_by(teller, now.mono - LATELY_SECONDS) if neighbours else frozenset()
        for neighbour in neighbours if names else ():
            self._hold(neighbour, names, now)

    def _note_known(self, sender: Link, said: Iterable[PeerSummary], now: Instant) -> None:
        """Learn what the sender has: perhaps less than we thought, if it forgot in the meantime."""
        known = self._topology.peers
        pairs = [(theirs, known[theirs.name]) for theirs in said if theirs.name in known]
        odd = [(theirs, ours) for theirs, ours in pairs if not _same(theirs, ours)]
        self._knowledge.note_all(sender.peer, (ours.name for theirs, ours in pairs if _same(theirs, ours)))
        lately = now.mono - ARRIVAL_SECONDS
        for theirs, ours in odd:
            if ours.uid != theirs.uid or not self._hearsay.came_after(ours.name, lately):
                self._knowledge.doubt(sender.peer, theirs.name)


def _ends(peer: PeerSummary | None) -> set[PeerName]:
    """Whom this peer lists."""
    return {connection.name for connection in peer.connections} if peer else set()


def _same(one: PeerSummary, other: PeerSummary) -> bool:
    return one is other or (one.version, one.uid) == (other.version, other.uid)


def _portions(peers: list[PeerSummary]) -> list[list[PeerSummary]]:
    """Cut into pieces that stay far below the limit of a message."""
    portions: list[list[PeerSummary]] = []
    room = 0
    for peer in peers:
        size = len(peer.connections) + 4
        if size > room or not portions:
            portions.append([])
            room = _CONNECTIONS_PER_PAYLOAD
        portions[-1].append(peer)
        room -= size
    return portions
