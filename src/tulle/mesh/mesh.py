"""The mesh of one peer, without I/O: told what arrives and what time it is, it says what to send and to do.

Whoever does the I/O reports connections and bytes, calls ``pull`` when a socket has room, ``tick`` when
``next_deadline`` has come, and after every call drains ``collect``.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from random import Random

from tulle.instant import Instant
from tulle.mesh import comparing
from tulle.mesh.addresses import format_address
from tulle.mesh.channel import Channel
from tulle.mesh.config import MeshConfig
from tulle.mesh.connection import Link
from tulle.mesh.connector import Connector
from tulle.mesh.dialect import Control, Message
from tulle.mesh.dialect.weave.session import WeaveSession
from tulle.mesh.dialect.weave.topology import decode_topology, encode_topology
from tulle.mesh.events import Address, LinkId, Log, MeshEvent, Writable
from tulle.mesh.gossip import GossipRouter
from tulle.mesh.hearing import Hearing
from tulle.mesh.keeper import LinkKeeper, SessionFactory
from tulle.mesh.links import LinkTable
from tulle.mesh.lookup import find_peer, label
from tulle.mesh.neighbourhood import Neighbourhood
from tulle.mesh.peername import PeerName
from tulle.mesh.ratelimit import TokenBucket
from tulle.mesh.routes import Routes
from tulle.mesh.sendqueue import StatePart
from tulle.mesh.shortids import draw
from tulle.mesh.summary import PeerSummary
from tulle.mesh.terms import Term
from tulle.mesh.topology import Topology
from tulle.mesh.topology_gossip import CHANNEL, TopologyCodec, TopologyGossip
from tulle.mesh.troubles import About, Troubles
from tulle.mesh.views import LinkView, TargetView

ACCEPT_BURST = 20
ACCEPTS_PER_SECOND = 20
MAX_HANDSHAKES = 64
"""Inbound connections in their handshake, or waiting as rivals, at a time."""

PULL_BYTES = 64 * 1024
"""``pull`` stops adding messages beyond this size."""

__all__ = ["Mesh", "MeshConfig"]


class _WeaveTopology:
    encode = staticmethod(encode_topology)
    decode = staticmethod(decode_topology)


TOPOLOGY_CODECS: Mapping[str, TopologyCodec] = {"weave": _WeaveTopology()}


class Mesh:
    """One peer's end of the network. ``rng`` also makes keys: in a daemon it must be ``SystemRandom``."""

    def __init__(
        self, config: MeshConfig, rng: Random, session_factory: SessionFactory = WeaveSession
    ) -> None:
        self._config = config
        self._events: list[MeshEvent] = []
        self._writable: dict[LinkId, None] = {}
        short_id = draw(rng) if config.short_id is None else config.short_id
        self._topology = Topology(PeerSummary(config.name, config.nickname, config.uid, 0, short_id, ()))
        self._routes = Routes(self._topology.graph, config.name)
        self._links = LinkTable()
        emit, wake = self._events.append, self._wake
        news = TopologyGossip(self._topology, self._routes, self._links, TOPOLOGY_CODECS, rng, wake)
        self._troubles = Troubles(config.name)
        self._gossip = GossipRouter(
            config.name,
            self._routes,
            self._links,
            self._troubles,
            rng,
            emit,
            wake,
            announce=news.release_to,
        )
        self._connector = Connector(config, rng, self._topology, self._links, emit)
        self._neighbourhood = Neighbourhood(
            self._topology,
            self._routes,
            self._links,
            news,
            self._gossip,
            self._troubles,
            rng,
            emit,
            wake,
            disturb=self._connector.disturb,
        )
        self._keeper = LinkKeeper(
            config,
            rng,
            self._topology,
            self._links,
            self._connector,
            self._troubles,
            session_factory,
            emit,
            wake,
            risen=self._neighbourhood.link_up,
            fallen=self._neighbourhood.link_down,
        )
        self._hearing = Hearing(
            self._links, self._keeper, self._neighbourhood, self._gossip, self._troubles, emit, wake
        )
        self._accepts = TokenBucket(ACCEPT_BURST, ACCEPTS_PER_SECOND)

    def set_terms(self, terms: Callable[[], Sequence[Term]]) -> None:
        """Connect only to peers that agree on these; asked anew for each connection."""
        self._keeper.terms = terms

    def add_channel(self, channel: Channel) -> None:
        """Keep this channel's state alike on all peers."""
        self._gossip.add_channel(channel)

    # -- told by I/O -------------------------------------------------------------------------------------

    def accepted(self, link: LinkId, remote: Address, local: Address, now: Instant) -> bool:
        """Somebody connected. False: there are too many new connections just now, close it.

        One more than the limit on links is not turned away here, but told the reason after its handshake.
        """
        unfinished = len(self._links.all) - len(self._links.up)
        if unfinished >= MAX_HANDSHAKES or not self._accepts.take(now.mono):
            self._events.append(Log("debug", f"connection from {format_address(remote)} refused: too many"))
            return False
        self._keeper.open(link, remote, local, False, now)
        return True

    def dialled(self, link: LinkId, target: Address, local: Address, now: Instant) -> None:
        """A Dial succeeded."""
        opened = self._keeper.open(link, target, local, True, now)
        pursuit = self._connector.pursuit(target)
        if pursuit is None or not pursuit.busy:
            self._keeper.close(opened, "this target is not wanted any more", now)
        else:
            pursuit.opened(opened)

    def dial_failed(self, target: Address, reason: str, now: Instant) -> None:
        """A Dial failed."""
        self._connector.dial_failed(target, reason, now)

    def resolved(self, host: str, ips: Sequence[str], now: Instant) -> None:
        """The answer to a Resolve."""
        self._connector.resolved(host, ips, now)

    def received(self, link: LinkId, data: bytes, now: Instant) -> None:
        """Bytes arrived on a connection (one that is closed already is ignored)."""
        known = self._links.all.get(link)
        if known is not None:
            self._hearing.received(known, data, now)
            self._hearing.catch_up(now)

    def closed(self, link: LinkId, reason: str, now: Instant) -> None:
        """A connection was closed by the other end, or failed."""
        known = self._links.all.get(link)
        if known is not None:
            self._keeper.ended(known, reason, now)
            self._hearing.catch_up(now)

    def pull(self, link: LinkId, now: Instant) -> bytes:
        """The next bytes to write, with the newest state there is; empty when there are none for now."""
        known = self._links.all.get(link)
        if known is None:
            return b""
        self._gossip.drain()
        if not known.queue:
            return b""
        chunk = bytearray(known.queue.take_raw())
        while len(chunk) < PULL_BYTES:
            item = known.queue.take()
            if item is None:
                break
            for message in self._encode(known, item, now):
                chunk += known.session.encode(message)
        known.count_sent(len(chunk))
        return bytes(chunk)

    def tick(self, now: Instant) -> None:
        """Do what is due."""
        self._keeper.tick(now)
        self._hearing.catch_up(now)
        self._gossip.tick(now, also=CHANNEL)
        self._neighbourhood.tick(now)
        self._connector.tick(now)

    def next_deadline(self) -> float:
        """When to call ``tick`` next, on the monotonic clock."""
        return min(
            self._keeper.next_deadline(),
            self._gossip.next_deadline(),
            self._neighbourhood.next_deadline(),
            self._connector.next_deadline(),
        )

    def collect(self) -> list[MeshEvent]:
        """What is to be done and known since the last call."""
        self._gossip.drain()
        if not (self._events or self._writable):
            return []
        events: list[MeshEvent] = [*self._events]
        events.extend(Writable(link) for link in self._writable if link in self._links.all)
        self._events.clear()
        self._writable.clear()
        return events

    # -- told by the datapath ----------------------------------------------------------------------------

    def set_established(self, link: LinkId, established: bool, now: Instant) -> None:
        """A carrier found that frames pass on this link, or that they no longer do."""
        known = self._links.all.get(link)
        if known is None or known.peer is None or not known.is_up:
            return
        known.establish(established)
        if not established:
            self._keeper.doubt(known, now)
        self._neighbourhood.established(known.peer, established, now)

    def send_control(self, link: LinkId, carrier: int, tag: int, payload: bytes, now: Instant) -> None:
        """Pass a message to the carrier at the other end; ignored if the link is gone."""
        known = self._links.all.get(link)
        if known is None or not known.is_up:
            return
        if not 0 <= carrier < len(known.carriers):
            raise ValueError(f"carrier {carrier} was not agreed on this link")
        if known.queue.add_message(Control(carrier, tag, payload)):
            self._wake(known)
        else:
            self._keeper.close(known, "the peer does not read what we send", now)

    # -- told by the operator ----------------------------------------------------------------------------

    def connect(self, targets: Sequence[str], replace: bool, now: Instant) -> None:
        """Connect to these peers (and with ``replace`` to no others). Raises UserError."""
        self._connector.connect(targets, replace, now)

    def forget(self, targets: Sequence[str], now: Instant) -> None:
        """Do not connect to these peers any more."""
        self._connector.forget(targets, now)

    def found(self, peer: PeerName, address: Address | None, now: Instant) -> None:
        """This peer was met at this address (None: it is there no longer): it may be possible to dial it."""
        self._connector.found(peer, address, now)

    def reached(self, peers: Set[PeerName], now: Instant) -> None:
        """These peers are reached directly without a connection: there is no hurry to dial them."""
        self._connector.reached(peers, now)

    def moved(self, ips: Set[str], now: Instant) -> None:
        """These are this host's IPv4 addresses now: dial where it failed and where a link is stale by it."""
        for link in self._links.moved(ips):
            if not link.is_up:
                self._keeper.close(link, "the address it was made from is gone", now)
        self._connector.moved(now)

    def forget_peer(self, peer: PeerName) -> None:
        """A peer is gone for good: do not look for it after a restart."""
        self._connector.forget_peer(peer)

    def targets(self) -> list[str]:
        """The peers the operator named."""
        return self._connector.targets()

    # -- views -------------------------------------------------------------------------------------------

    @property
    def self_name(self) -> PeerName:
        """Our own name."""
        return self._config.name

    @property
    def config(self) -> MeshConfig:
        """What we were told at the start."""
        return self._config

    @property
    def routes(self) -> Routes:
        """Routes to all peers, always up to date."""
        return self._routes

    @property
    def short_ids(self) -> Mapping[int, PeerName]:
        """The peer that each short id stands for."""
        return self._topology.short_ids.owners

    def peers(self) -> Mapping[PeerName, PeerSummary]:
        """Every known peer, ourselves and those nobody has described yet among them."""
        return self._topology.peers

    def links(self) -> list[LinkView]:
        """Every open connection."""
        return [link.view() for link in self._links.all.values()]

    def target_views(self) -> list[TargetView]:
        """How every wanted address fares."""
        return self._connector.views()

    def address_of(self, name: PeerName) -> Address | None:
        """Where this peer was when we last had a link to it; None if we never had, or have forgotten."""
        return self._connector.last_address(name)

    def peer_at(self, address: Address) -> PeerName | None:
        """The neighbour that we have a link to at this address."""
        return next((name for name in self._links.up if self.address_of(name) == address), None)

    def known(self, name: PeerName) -> bool:
        """Whether there is such a peer."""
        return name in self._topology.peers

    def nickname(self, name: PeerName) -> str:
        """What this peer calls itself; empty if it is not known."""
        peer = self._topology.peers.get(name)
        return peer.nickname if peer else ""

    def label(self, name: PeerName) -> str:
        """A peer for people to read: name, and nickname if there is one."""
        return label(name, self.nickname(name))

    def natives(self) -> frozenset[PeerName]:
        """The neighbours that run tulle."""
        return frozenset(self._links.alike())

    @property
    def terminations(self) -> int:
        """How many links have ended since the start."""
        return self._keeper.terminations

    def troubles(self, about: About, now: Instant) -> list[str]:
        """What kept hosts from being peers lately: a line for each, which says what to do."""
        return self._troubles.current(about, now.mono)

    def find_peer(self, text: str) -> PeerName:
        """The known peer with this name or nickname. Raises UserError if there is none, or more than one."""
        return find_peer(self._topology.peers, text)

    # -- inside ------------------------------------------------------------------------------------------

    def _wake(self, link: Link) -> None:
        self._writable[link.id] = None

    def _encode(self, link: Link, item: Message | StatePart, now: Instant) -> list[Message]:
        if not isinstance(item, StatePart):
            return [item]
        topology = item.channel in (CHANNEL, comparing.CHANNEL)
        source = self._neighbourhood if topology else self._gossip
        return source.encode(link, item, now)
