"""One whole peer without I/O: mesh, addresses, names and carriers, joined.

The daemon pumps one of these with sockets and clocks, a simulator thousands with a virtual network; both run
this very object. Call the parts directly (``node.ipam.allocate(...)``), then ``collect``: it carries what the
parts have to say to each other until they are quiet, and hands out what is left for the world outside.

The disk leads the wire: what a part wants saved is committed before any of its messages or answers leaves, so
nothing was ever promised that a crash could forget.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from ipaddress import IPv4Interface

from tulle.datapath.carrier import Answered, CarrierStatus, Met, Parted, SendControl, SendFrame
from tulle.datapath.forwarding import Forwarding, MeshPicture
from tulle.datapath.sleeve.carrier import SleeveCarrier
from tulle.datapath.sleeve.orders import AimPath, Arrival, Count, KnowPeers, PathId, Refused
from tulle.datapath.tables import CarrierKind, ShortId, Tables
from tulle.datapath.vxlan import VxlanCarrier
from tulle.errors import StorageError
from tulle.instant import Instant
from tulle.ipam.allocator import Allocator
from tulle.mesh.events import (
    Acquainted,
    CarrierControl,
    CloseLink,
    Dial,
    LinkDown,
    LinkId,
    LinkUp,
    Log,
    MeshEvent,
    PeersGone,
    Resolve,
    ShortIdChanged,
    TopologyChanged,
    Writable,
)
from tulle.mesh.mesh import Mesh
from tulle.mesh.peername import PeerName
from tulle.names.nameserver import Nameserver
from tulle.node.carriers import Carriers, Chosen, Doubtful, Widened
from tulle.node.events import ForgetPathMtus, Frame, NodeEvent, Note, SleeveDo, UseGroups, UseTables
from tulle.node.keys import PublicKeys
from tulle.node.ledger import Commit, Ledger
from tulle.node.lingering import Lingering
from tulle.node.multicast import Multicast
from tulle.node.picture import hop_of, picture_of
from tulle.node.records import acquaintances_record, short_id_record
from tulle.node.shortcuts import Shortcuts, ShortcutView

TABLES_PACE = 0.1
"""Seconds between two computations of the tables for what happens elsewhere in the mesh; what happens to our
own links counts at once."""

TABLES_PACE_OF_PEER = 0.5e-3
"""Seconds more for each peer, so that a host among hundreds is not busy with this alone."""

_BUSY_LIMIT = 10_000
"""Rounds after which parts that never stop talking to each other are a bug, not work."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a node is made of.

    ``ipam`` and ``names`` None: turned off; the mesh relays their channels. ``shortcuts`` None: peers without
    a link are reached over relays alone. ``keys`` None: relays can read what they pass on.
    """

    mesh: Mesh
    ipam: Allocator | None
    names: Nameserver | None
    vxlan: VxlanCarrier
    sleeve: SleeveCarrier
    shortcuts: Shortcuts | None = None
    keys: PublicKeys | None = None


class Node:
    """See the module text. ``adopted`` is what an earlier daemon left in the kernel."""

    def __init__(self, parts: Parts, commit: Commit, now: Instant, adopted: Tables | None = None) -> None:
        self.mesh = parts.mesh
        self.ipam = parts.ipam
        self.names = parts.names
        self._vxlan = parts.vxlan
        self._sleeve = parts.sleeve
        self._shortcuts = parts.shortcuts
        self.keys = parts.keys
        self._carriers = Carriers([parts.vxlan, parts.sleeve])
        self.carrier_changes = Counter(dict.fromkeys((parts.vxlan.name, parts.sleeve.name), 0))
        """How often frames to a neighbour went over to this carrier from another."""
        self._named: Mapping[ShortId, PeerName] = {}
        self._forwarding = Forwarding(now, _lawful(adopted, parts.mesh))
        self._lingering = Lingering()
        self._ledger = Ledger(commit)
        self._stale_tables = True
        self._tables_done = self._tables_due = -math.inf
        self._events: list[NodeEvent] = []
        self.multicast = Multicast(parts.mesh)
        for channel in (parts.ipam, parts.names, parts.keys):
            if channel is not None:
                parts.mesh.add_channel(channel)
        if parts.ipam is not None:
            parts.mesh.set_terms(parts.ipam.terms)
        if parts.names is not None:
            parts.names.known_peers(parts.mesh.peers())
        if parts.keys is not None:
            parts.keys.known_peers(parts.mesh.peers())
        own_id = parts.mesh.peers()[parts.mesh.self_name].short_id
        if own_id is not None:
            self._own_short_id(ShortId(own_id), now)
        self._topology_changed(now)

    # -- told by the daemon --------------------------------------------------------------------------------

    def frame(self, data: bytes, now: Instant) -> None:
        """A frame for the daemon itself came out of the data path."""
        self._carriers.frame(data, now)

    def arrived(self, arrival: Arrival, now: Instant) -> None:
        """A message came over a path of the sleeve."""
        self._sleeve.arrived(arrival, now)

    def counted(self, counts: Mapping[PathId, Count], now: Instant) -> None:
        """What those paths of the sleeve have carried that carried anything since the last time; before
        ``tick``."""
        self._sleeve.counted(counts, now)

    def relayed(self, ways: Set[tuple[ShortId, ShortId]], now: Instant) -> None:
        """By the sleeve went frames from somebody to somebody, as these say, whose next stop is a third."""
        if self._shortcuts is not None:
            mine = {dst for src, dst in ways if self._named.get(src) == self.mesh.self_name}
            self._shortcuts.relayed({self._named[dst] for dst in mine if dst in self._named}, now)

    def refused(self, refusal: Refused, now: Instant) -> None:
        """The kernel would not send a message of the sleeve's."""
        self._sleeve.refused(refusal, now)

    def moved(self, addresses: Sequence[IPv4Interface], now: Instant) -> None:
        """These are the addresses of this host now."""
        self.mesh.moved({str(address.ip) for address in addresses}, now)
        if self._shortcuts is not None:
            self._shortcuts.moved(addresses, now)

    def tick(self, now: Instant) -> None:
        """Do what is due in every part."""
        self.mesh.tick(now)
        self._carriers.tick(now)
        if self._shortcuts is not None:
            self._shortcuts.tick(now)
            for short_id in self._shortcuts.names():
                self._forwarding.answered(short_id, now)
        self.multicast.channel.tick(now)
        for part in (self.ipam, self.names, self.keys):
            if part is not None:
                part.tick(now)
        if self._forwarding.expire(now) | self._lingering.expire(now.mono):
            self._stale_tables = True

    def next_deadline(self) -> float:
        """When to call ``tick`` next, on the monotonic clock."""
        parts = (self.ipam, self.names, self.keys, self._shortcuts)
        return min(
            self._tables_due,
            self._ledger.retry_at,
            self.mesh.next_deadline(),
            self._carriers.next_deadline(),
            self._forwarding.next_deadline(),
            self.multicast.next_deadline(),
            self._lingering.next_expiry(),
            *[part.next_deadline() for part in parts if part is not None],
        )

    def connect(self, targets: Sequence[str], replace: bool, now: Instant) -> None:
        """Connect to these peers (and with ``replace`` to no others). Raises UserError."""
        self.mesh.connect(targets, replace, now)
        self._count_cluster()

    def forget(self, targets: Sequence[str], now: Instant) -> None:
        """Do not connect to these peers any more."""
        self.mesh.forget(targets, now)
        self._count_cluster()

    def forget_ghost(self, peer: PeerName) -> None:
        """A peer was removed for good: send its kernel nothing any more, and never look for it."""
        self.mesh.forget_peer(peer)
        self._lingering.drop(peer)
        self._forwarding.forget(peer)
        self._stale_tables = True

    # -- asked by the daemon -------------------------------------------------------------------------------

    def carrier(self, link: LinkId) -> str | None:
        """The name of the carrier that takes the frames of a link."""
        return self._carriers.chosen(link)

    def carrier_status(self, link: LinkId, now: float) -> list[tuple[str, CarrierStatus]]:
        """How each carrier of a link stands, best first (``now``: monotonic)."""
        return self._carriers.statuses(link, now)

    def shortcuts(self) -> list[ShortcutView]:
        """How each peer is reached that has no link to us, or none by which frames pass."""
        return [] if self._shortcuts is None else self._shortcuts.views()

    def seals_for(self, peer: PeerName) -> bool:
        """Whether only this peer can open what goes to it over relays (broadcasts are for everybody)."""
        hop = self._forwarding.tables.routes.get(self._short_id_of(peer) or ShortId(-1))
        known = self.keys is not None and self.keys.knows(peer)
        return known and hop is not None and hop.carrier is CarrierKind.SLEEVE

    @property
    def storage_error(self) -> StorageError | None:
        """What keeps a record of ours from the disk, if something does."""
        return self._ledger.error

    def raise_unsaved(self) -> None:
        """Raise the StorageError that keeps a record of names from the disk, if there is one."""
        if self._ledger.error is not None:
            raise self._ledger.error

    def collect(self, now: Instant) -> list[NodeEvent]:
        """Let the parts talk until they are quiet; what the world outside is to do then."""
        for _ in range(_BUSY_LIMIT):
            self._save(now)
            moved = self._hear_mesh(now) + self._hear_carriers(now) + self._take_shortcuts(now)
            if not moved:
                break
        else:
            raise RuntimeError("the parts of a node do not come to rest")
        if self._stale_tables or now.mono >= self._tables_due:
            self._compute_tables(now)
        self._prune_multicast(now)
        if self.keys is not None:
            self._events += [SleeveDo(order) for order in self.keys.collect()]
        events, self._events = self._events, []
        return events

    # -- inside --------------------------------------------------------------------------------------------

    def _save(self, now: Instant) -> None:
        """Commit what the parts want saved, then let out what rests on it."""
        if self.ipam is not None:
            self._events += self._ledger.save_addresses(self.ipam)
        self._events += self._ledger.save_the_rest(self.names, now)

    def _hear_mesh(self, now: Instant) -> int:
        events = self.mesh.collect()
        for event in events:
            self._hear(event, now)
        return len(events)

    def _hear(self, event: MeshEvent, now: Instant) -> None:
        match event:
            case Dial() | Resolve() | CloseLink() | Writable():
                self._events.append(event)
            case Log(level, text):
                self._note(level, text)
            case LinkUp():
                self._name_peers()
                self._lingering.drop(event.peer)
                self._carriers.link_up(event, self._short_id_of(event.peer), now)
                self._stale_tables = True
            case LinkDown():
                hop = hop_of(self._carriers, event.link)
                if hop is not None and hop.carrier is CarrierKind.VXLAN:
                    self._lingering.add(event.peer, hop, now.mono)
                self._carriers.link_down(event, now)
                self._stale_tables = True
            case CarrierControl(link, carrier, tag, payload):
                self._carriers.control(link, carrier, tag, payload, now)
            case Acquainted(peers):
                self._ledger.keep(acquaintances_record(peers))
            case ShortIdChanged(short_id):
                self._own_short_id(ShortId(short_id), now)
            case TopologyChanged():
                self._topology_changed(now)
            case PeersGone(names):
                self._peers_gone(names, now)

    def _hear_carriers(self, now: Instant) -> int:
        happenings = self._carriers.collect(now)
        for name, happening in happenings:
            match happening:
                case SendFrame(data):
                    self._events.append(Frame(data))
                case SendControl(link, tag, payload):
                    self.mesh.send_control(link, self._carriers.index(link, name), tag, payload, now)
                case Doubtful(link):
                    self.mesh.set_established(link, False, now)
                case Widened():
                    self._events.append(ForgetPathMtus())
                case Answered(short_id):
                    self._forwarding.answered(short_id, now)
                case Chosen():
                    self._chosen(happening, now)
                case Met() | Parted():
                    self._hear_shortcut(happening, now)
                case AimPath() if self._shortcuts is not None:
                    self._shortcuts.aimed(happening, now)
                    self._events.append(SleeveDo(happening))
                case _:
                    self._events.append(SleeveDo(happening))
        return len(happenings)

    def _hear_shortcut(self, news: Met | Parted, now: Instant) -> None:
        text = self._shortcuts.heard(news, now) if self._shortcuts is not None else None
        if text is not None:
            self._note("info", text)
        self._stale_tables = True

    def _take_shortcuts(self, now: Instant) -> int:
        if self._shortcuts is None or not self._shortcuts.carry_out(self._short_ids(), now):
            return 0
        self._stale_tables = True
        return 1

    def _short_ids(self) -> dict[PeerName, ShortId]:
        return {peer: short_id for short_id, peer in self._named.items()}

    def _chosen(self, chosen: Chosen, now: Instant) -> None:
        who, carrier, before = self.mesh.label(chosen.peer), chosen.carrier, chosen.before
        if carrier is None:
            self._note("warning", f"no frames get through to {who}: {chosen.reason}")
        elif before is None:
            self._note("info", f"frames to {who} go by {carrier}: {chosen.reason}")
        else:
            self._note("info", f"frames to {who} go by {carrier} now, no longer by {before}: {chosen.reason}")
            self.carrier_changes[carrier] += 1
        self._sleeve.stand_by(chosen.link, carrier not in (None, self._sleeve.name), now)
        self.mesh.set_established(chosen.link, carrier is not None, now)
        self._stale_tables = True

    def _own_short_id(self, short_id: ShortId, now: Instant) -> None:
        self._ledger.keep(short_id_record(short_id))
        self._vxlan.own_short_id(short_id, now)
        self._stale_tables = True

    def _count_cluster(self) -> None:
        """Tell the election how many peers were configured: our targets, except where we met ourselves."""
        if self.ipam is not None:
            others = [view for view in self.mesh.target_views() if view.configured and not view.never]
            self.ipam.expect_cluster(len(others) + 1)

    def _topology_changed(self, now: Instant) -> None:
        self._count_cluster()
        if self.ipam is not None:
            peers = self.mesh.peers()
            self.ipam.peers_changed(
                frozenset(self.mesh.routes.unicast_all),
                {name: peer.nickname for name, peer in peers.items()},
                now,
                self.mesh.natives(),
            )
        for lane in list(self._carriers.courses.values()):
            self._carriers.short_id_changed(lane.neighbour.link, self._short_id_of(lane.neighbour.peer), now)
        self._name_peers()
        if self.keys is not None:
            self.keys.topology_changed()
        if self._shortcuts is not None:
            self._shortcuts.topology_changed(self._short_ids(), now)
        pace = TABLES_PACE + TABLES_PACE_OF_PEER * len(self.mesh.peers())
        self._tables_due = min(self._tables_due, self._tables_done + pace)

    def _name_peers(self) -> None:
        named = {} if self._shortcuts is None else self._shortcuts.names()
        named |= {ShortId(short_id): peer for short_id, peer in self.mesh.short_ids.items()}
        if named != self._named:
            self._named = named
            self._events.append(SleeveDo(KnowPeers(named)))

    def _peers_gone(self, names: tuple[PeerName, ...], now: Instant) -> None:
        if self.ipam is not None:
            self.ipam.peers_gone(names, now)
        if self.names is not None:
            self.names.peers_gone(names)
        self.multicast.channel.peers_gone(names)
        if self.keys is not None:
            self.keys.peers_gone(names)
        self._topology_changed(now)

    def _picture(self) -> MeshPicture:
        shortcuts = self._shortcuts.hops() if self._shortcuts is not None else {}
        return picture_of(self.mesh, self._carriers, self._lingering, shortcuts)

    def _compute_tables(self, now: Instant) -> None:
        self._stale_tables = False
        self._tables_done, self._tables_due = now.mono, math.inf
        tables = self._forwarding.update(self._picture(), now)
        self._vxlan.watch(self._forwarding.watched(), now)
        self._events.append(UseTables(tables))

    def _prune_multicast(self, now: Instant) -> None:
        pruned = self.multicast.prune(self._forwarding.tables, self._forwarding.ghosts(), now)
        if pruned is not None:
            self._events.append(UseGroups(pruned))
        for text in self.multicast.channel.collect():
            self._note("warning", text)

    def _short_id_of(self, peer: PeerName) -> ShortId | None:
        """The short id of a peer, unless another peer with a lower name has the same."""
        summary = self.mesh.peers().get(peer)
        if summary is None or summary.short_id is None:
            return None
        return ShortId(summary.short_id) if self.mesh.short_ids.get(summary.short_id) == peer else None

    def _note(self, level: str, text: str) -> None:
        self._events.append(Note(level, text))


def _lawful(adopted: Tables | None, mesh: Mesh) -> Tables | None:
    """What an earlier daemon left, as far as this one would do it too: it may have had no password."""
    config = mesh.config
    if adopted is None or config.password is None:
        return adopted
    return adopted.without_tunnels(config.trusts)
