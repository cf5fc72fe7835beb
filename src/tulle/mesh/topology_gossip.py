"""How news of the topology travels.

In a full mesh a peer's description goes from that peer straight to everybody, so relaying it to random
neighbours, as plain gossip would, sends each description many times over. Two pieces of knowledge avoid that:

* For each description we remember which neighbours have it (they sent it, or we did). Nobody gets it twice.
* Neighbours of our own kind promise to tell all neighbours of that kind what is news to them, except those
  that the sender reaches. So we pass news on only to neighbours that its sender has no link with. Towards
  other neighbours, and for news from them, the rule is that of gossip: some at random.

What is to be told is held back for a moment, the longer the busier, so that several changes make one message;
a budget of bytes per second bounds the work however large the mesh.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Protocol

from tulle.instant import Instant
from tulle.mesh.connection import Link
from tulle.mesh.links import LinkTable
from tulle.mesh.neighbours import random_neighbours
from tulle.mesh.peername import PeerName
from tulle.mesh.ratelimit import TokenBucket
from tulle.mesh.routes import Routes
from tulle.mesh.summary import PeerSummary
from tulle.mesh.topology import Merge, Topology, is_placeholder

CHANNEL = "topology"

FIRST_HOLD_SECONDS = 0.02
SHORTEST_GAP_SECONDS = 0.25
LONGEST_GAP_SECONDS = 1.0
BURST_BYTES = 1024 * 1024
BYTES_PER_SECOND = 256 * 1024
CONTEST_SECONDS = 1.0
LONGEST_CONTEST_SECONDS = 30.0
_CONNECTIONS_PER_PAYLOAD = 10_000


class TopologyCodec(Protocol):
    """A dialect's form of the topology."""

    def encode(self, peers: Iterable[PeerSummary]) -> bytes:
        """The payload that tells about these peers."""

    def decode(self, payload: bytes) -> list[PeerSummary]:
        """The peers a payload tells about. Raises BadMessage."""


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
        self._routes = routes
        self._links = links
        self._codecs = codecs
        self._rng = rng
        self._wake = wake
        self._slots: dict[PeerName, int] = {}
        self._told: dict[PeerName, int] = {}
        self._held: dict[PeerName, set[PeerName]] = {}
        self._release_at = math.inf
        self._released_at = -math.inf
        self._gap = SHORTEST_GAP_SECONDS
        self._budget = TokenBucket(BURST_BYTES, BYTES_PER_SECOND)
        self._contest_gap = 0.0
        self._contest_free_at = -math.inf
        self._contest_due = math.inf

    # -- neighbours --------------------------------------------------------------------------------------

    def neighbour_up(self, peer: PeerName) -> None:
        """There is a link to this peer now; what it knows we do not know."""
        used = set(self._slots.values())
        self._slots[peer] = next(slot for slot in range(len(used) + 1) if slot not in used)

    def neighbour_down(self, peer: PeerName) -> None:
        """The link is gone, and with it perhaps what we sent last."""
        keep = ~(1 << self._slots.pop(peer))
        for name in self._told:
            self._told[name] &= keep
        self._held.pop(peer, None)

    # -- news --------------------------------------------------------------------------------------------

    def changed(self, names: Iterable[PeerName], now: Instant) -> None:
        """We ourselves changed the descriptions of these peers (or met them): tell everybody."""
        news = frozenset(names)
        for name in news:
            self._told[name] = 0
        self._spread(news, None, now)

    def receive(self, sender: Link, payload: bytes, now: Instant) -> Merge:
        """A neighbour told us of peers. Raises BadMessage."""
        peers = self._codecs[sender.session.dialect].decode(payload)
        merge = self._topology.merge(peers)
        for name in merge.fresh:
            self._told[name] = 0
        self._note_known(sender, peers)
        if merge.fresh:
            self._spread(merge.fresh, sender, now)
        if merge.outdated and sender.is_up and sender.peer is not None:
            self._hold(sender.peer, self._beyond(sender.peer, merge.outdated), now)
        if merge.contested:
            self._contest(now)
        return merge

    def forget(self, names: Iterable[PeerName]) -> None:
        """These peers are gone from the topology."""
        for name in names:
            self._told.pop(name, None)
            for held in self._held.values():
                held.discard(name)

    # -- sending -----------------------------------------------------------------------------------------

    def payloads(self, link: Link, keys: frozenset[PeerName] | None, now: Instant) -> list[bytes]:
        """What to tell a neighbour now: everything (``keys`` None), or what it lacks of these peers."""
        mask = self._mask(link)
        peers = self._topology.peers
        if keys is None:
            chosen = [peer for peer in peers.values() if not is_placeholder(peer)]
        else:
            known = [peers[name] for name in sorted(keys & peers.keys())]
            lacking = [peer for peer in known if not self._told.get(peer.name, 0) & mask]
            chosen = [peer for peer in lacking if not is_placeholder(peer)]
        for peer in chosen:
            self._told[peer.name] = self._told.get(peer.name, 0) | mask
        codec = self._codecs[link.session.dialect]
        payloads = [codec.encode(portion) for portion in _portions(chosen)]
        self._budget.spend(now.mono, sum(map(len, payloads)))
        return payloads

    def introduce(self, link: Link) -> None:
        """Queue what a new neighbour should know: everything, but what its other neighbours say of
        themselves."""
        greeting = link.greeting
        if greeting is None or not greeting.tells_all:
            link.queue.add_full(CHANNEL)
            return
        names = self._beyond(greeting.name, self._topology.peers.keys())
        link.queue.add_gossip(CHANNEL, names | {self._topology.me.name})

    def release_to(self, link: Link, about: PeerName) -> None:
        """Do not hold back what this neighbour should be told about ``about``: a message from it follows."""
        held = self._held.get(link.peer) if link.peer is not None else None
        if held and about in held:
            held.discard(about)
            link.queue.add_gossip(CHANNEL, frozenset((about,)))
            self._wake(link)

    # -- time --------------------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When ``tick`` must be called next."""
        return min(self._release_at, self._contest_due)

    def tick(self, now: Instant) -> None:
        """Let go what was held back long enough."""
        if now.mono >= self._contest_due:
            self._contest_due = math.inf
            self.changed((self._topology.me.name,), now)
        if now.mono < self._release_at:
            return
        self._release_at = math.inf
        calm = now.mono - self._released_at > 2 * LONGEST_GAP_SECONDS
        self._gap = SHORTEST_GAP_SECONDS if calm else min(2 * self._gap, LONGEST_GAP_SECONDS)
        self._released_at = now.mono
        held, self._held = self._held, {}
        for name, news in held.items():
            link = self._links.up.get(name)
            if link is not None and news:
                link.queue.add_gossip(CHANNEL, frozenset(news))
                self._wake(link)

    # -- inside ------------------------------------------------------------------------------------------

    def _mask(self, link: Link) -> int:
        slot = self._slots.get(link.peer) if link.is_up and link.peer is not None else None
        return 0 if slot is None else 1 << slot

    def _listed_by(self, name: PeerName) -> set[PeerName]:
        peer = self._topology.peers.get(name)
        return {connection.name for connection in peer.connections} if peer else set()

    def _beyond(self, name: PeerName, names: Iterable[PeerName]) -> frozenset[PeerName]:
        """Those of ``names`` that this peer has no connection to, and so will not hear from."""
        return frozenset(names) - self._listed_by(name)

    def _note_known(self, sender: Link, peers: Iterable[PeerSummary]) -> None:
        mask = self._mask(sender)
        for theirs in peers:
            ours = self._topology.peers.get(theirs.name)
            if ours is not None and (ours.version, ours.uid) == (theirs.version, theirs.uid):
                self._told[theirs.name] = self._told.get(theirs.name, 0) | mask

    def _spread(self, news: frozenset[PeerName], sender: Link | None, now: Instant) -> None:
        for name in self._audience(sender):
            self._hold(name, news, now)

    def _audience(self, sender: Link | None) -> set[PeerName]:
        """The neighbours that we are to tell what ``sender`` told us (None: what we found out ourselves)."""
        up = self._links.up
        source = sender.peer if sender else None
        alike = {name for name, link in up.items() if link.greeting and link.greeting.tells_all}
        others = up.keys() - alike
        if sender is not None and sender.greeting is not None and sender.greeting.tells_all:
            alike -= self._listed_by(sender.greeting.name)
        audience = alike
        if others:
            audience |= others.intersection(random_neighbours(self._routes, self._rng, up.keys(), source))
        return audience - {source} if source is not None else audience

    def _hold(self, neighbour: PeerName, news: Iterable[PeerName], now: Instant) -> None:
        self._held.setdefault(neighbour, set()).update(news)
        if self._release_at == math.inf:
            self._release_at = max(
                now.mono + FIRST_HOLD_SECONDS,
                self._released_at + self._gap,
                self._budget.ready_at(now.mono, 0),
            )

    def _contest(self, now: Instant) -> None:
        """Somebody else speaks for us. Answer at once, but ever more slowly if that goes on and on."""
        if now.mono > self._contest_free_at + 2 * LONGEST_CONTEST_SECONDS:
            self._contest_gap = 0.0
        if self._contest_due == math.inf:
            self._contest_due = max(now.mono, self._contest_free_at)
            self._contest_gap = min(max(2 * self._contest_gap, CONTEST_SECONDS), LONGEST_CONTEST_SECONDS)
            self._contest_free_at = self._contest_due + self._contest_gap


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
