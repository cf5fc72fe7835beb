"""Our own place in the topology: what links that come and go, and news from neighbours, do to it."""

from collections.abc import Callable
from random import Random

from tulle.instant import Instant
from tulle.mesh import comparing, descriptions
from tulle.mesh.addresses import format_address
from tulle.mesh.comparing import Comparing
from tulle.mesh.connection import Link
from tulle.mesh.dialect import GossipMessage, Message
from tulle.mesh.events import Log, MeshEvent
from tulle.mesh.gossip import GossipRouter
from tulle.mesh.introduction import Introductions
from tulle.mesh.keeper import describe
from tulle.mesh.links import LinkTable
from tulle.mesh.membership import Membership
from tulle.mesh.peername import PeerName
from tulle.mesh.routes import Routes
from tulle.mesh.sendqueue import StatePart
from tulle.mesh.summary import ConnectionSummary, PeerSummary
from tulle.mesh.topology import Topology, is_placeholder
from tulle.mesh.topology_gossip import CHANNEL, TopologyGossip
from tulle.mesh.troubles import Troubles


class Neighbourhood:
    """Keeps the topology true and everybody informed of it; ``disturb`` hears of every change."""

    def __init__(
        self,
        topology: Topology,
        routes: Routes,
        links: LinkTable,
        news: TopologyGossip,
        gossip: GossipRouter,
        troubles: Troubles,
        rng: Random,
        emit: Callable[[MeshEvent], None],
        wake: Callable[[Link], None],
        disturb: Callable[[Instant], None],
    ) -> None:
        self._topology = topology
        self._routes = routes
        self._news = news
        self._gossip = gossip
        self._troubles = troubles
        self._emit = emit
        self._wake = wake
        self._disturb = disturb
        self._me = topology.me.name
        self._membership = Membership(topology, rng, emit)
        self._introductions = Introductions(links)
        self._comparing = Comparing()
        self._digested = (-1, b"")

    def link_up(self, link: Link, now: Instant) -> None:
        """There is a link to this peer now. One that is new to us, or has restarted, is told everything."""
        greeting = link.greeting
        assert greeting is not None
        name = greeting.name
        known = self._topology.peers.get(name)
        new = name not in self._routes.unicast_all
        restarted = known is not None and not is_placeholder(known) and known.uid != greeting.uid
        met = self._topology.introduce(
            PeerSummary(name, greeting.nickname, greeting.uid, 0, greeting.short_id, ())
        )
        self._topology.connect(ConnectionSummary(name, format_address(link.remote), link.outbound, False))
        self._news.neighbour_up(name, now)
        if new or restarted:
            self._introductions.plan(link, now)
            self._introduce(now)
        if met and not greeting.tells_all:
            self._news.changed((name,), now)
        self._me_changed(now)

    def link_down(self, link: Link, now: Instant) -> None:
        """The link to this peer is gone."""
        peer = link.peer
        assert peer is not None
        self._news.neighbour_down(peer, now)
        self._introductions.cancel(peer)
        self._comparing.same(peer)
        self._topology.disconnect(peer)
        self._me_changed(now)

    def established(self, peer: PeerName, established: bool, now: Instant) -> None:
        """Frames pass on the link to this peer, or no longer do."""
        if self._topology.establish(peer, established):
            self._me_changed(now)

    def hear(self, link: Link, payload: bytes, short: bool, now: Instant) -> None:
        """A neighbour told us of peers, in the ``short`` form or its dialect's. Raises BadMessage."""
        merge = self._news.receive(link, payload, short, now)
        if merge.refused:
            self._emit(Log("warning", f"{describe(link)}: told of more peers than we can remember"))
        if merge.contested:
            self._emit(Log("info", "another peer, or an earlier run of this one, speaks in our name"))
            self._troubles.spoken_for(now.mono)
        if merge.fresh or merge.contested:
            self._changed(now)

    def compare(self, link: Link, theirs: bytes, now: Instant) -> None:
        """A neighbour of our kind told the digest of what it knows; others have nothing to say here."""
        peer = link.peer
        if peer is None or link.greeting is None or not link.greeting.tells_all:
            return
        if theirs == self._digest():
            self._comparing.same(peer)
        elif self._comparing.differs(peer, self._news.calm(now), now.mono):
            link.queue.add_full(CHANNEL)
            self._wake(link)

    def encode(self, link: Link, part: StatePart, now: Instant) -> list[Message]:
        """The messages that tell a neighbour of peers."""
        if part.channel == comparing.CHANNEL:
            return [GossipMessage(part.channel, self._me, self._digest())]
        names = None
        if part.keys is not None:
            names = frozenset(PeerName(key) for key in part.keys if isinstance(key, int))
        short = link.greeting is not None and link.greeting.records
        payloads = self._news.payloads(link, names, short, now)
        if names is None:
            self._gossip.note_size(CHANNEL, sum(map(len, payloads)))
        channel = descriptions.CHANNEL if short else CHANNEL
        return [GossipMessage(channel, self._me, payload) for payload in payloads]

    def tick(self, now: Instant) -> None:
        """Do what is due."""
        self._introduce(now)
        self._news.tick(now)
        gone = self._membership.tick(now)
        if gone:
            self._news.forget(gone)
            self._disturb(now)
            if self._membership.keep_short_id():
                self._news.changed((self._me,), now)

    def next_deadline(self) -> float:
        """When ``tick`` must be called next."""
        return min(
            self._introductions.next_deadline(),
            self._news.next_deadline(),
            self._membership.next_deadline(),
        )

    def _digest(self) -> bytes:
        edition, digest = self._digested
        if edition != self._topology.edition:
            digest = comparing.digest(self._topology.peers.values())
            self._digested = self._topology.edition, digest
        return digest

    def _introduce(self, now: Instant) -> None:
        for link in self._introductions.due(now):
            self._news.introduce(link)
            for channel in self._gossip.channel_names:
                link.queue.add_full(channel)
            self._wake(link)

    def _me_changed(self, now: Instant) -> None:
        self._news.changed((self._me,), now)
        self._changed(now)

    def _changed(self, now: Instant) -> None:
        self._gossip.unsettled(now)
        if self._membership.changed(now):
            self._news.changed((self._me,), now)
        self._disturb(now)
