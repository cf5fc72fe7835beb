"""Whole nodes in memory: real mesh, allocator and nameserver, a carrier that the test commands, no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv4Network
from random import Random
from typing import cast

from tulle.datapath.carrier import (
    CarrierEvent,
    CarrierState,
    CarrierStatus,
    Established,
    Lost,
    Neighbour,
)
from tulle.datapath.groups.pruning import GroupTables
from tulle.datapath.sleeve.carrier import SleeveCarrier
from tulle.datapath.sleeve.orders import (
    Arrival,
    ClosePath,
    Endpoint,
    NativePath,
    OpenPath,
    PathId,
    SendMessage,
    SleeveOrder,
)
from tulle.datapath.tables import CarrierKind, ShortId, Tables
from tulle.datapath.vxlan import VxlanCarrier
from tulle.errors import StorageError
from tulle.instant import Instant
from tulle.ipam.allocator import Allocator
from tulle.ipam.config import Consensus, IpamConfig
from tulle.ipam.events import Done, Failed
from tulle.mesh.events import Address, CloseLink, Dial, LinkId, Writable
from tulle.mesh.mesh import Mesh, MeshConfig
from tulle.mesh.peername import PeerName
from tulle.names.nameserver import Nameserver
from tulle.node.events import NodeEvent, Note, SleeveDo, UseGroups, UseTables
from tulle.node.keys import PublicKeys
from tulle.node.node import Node, Parts
from tulle.node.records import Record

RANGE = IPv4Network("10.40.0.0/24")
DOMAIN = "tulle.internal."
SavedRecords = list[tuple[str, str, bytes]]


class FakeCarrier:
    """A carrier that does what the test says, and works at once unless it is told ``works = False``."""

    kind = CarrierKind.VXLAN

    def __init__(self, name: str = "fastdp") -> None:
        self.name = name
        self.works = True
        self.links: dict[LinkId, Neighbour] = {}
        self.controls: list[tuple[LinkId, int, bytes]] = []
        self.doubted: list[LinkId] = []
        self.lacking: int | None = None
        self.path_mtu: int | None = None
        self.frames: list[bytes] = []
        self.own_id: ShortId | None = None
        self.watched: Mapping[ShortId, bool] = {}
        self.events: list[CarrierEvent] = []

    def link_up(self, neighbour: Neighbour, now: Instant) -> None:
        self.links[neighbour.link] = neighbour
        if self.works:
            self.events.append(Established(neighbour.link, 1376))

    def link_down(self, link: LinkId, now: Instant) -> None:
        del self.links[link]

    def fail(self, reason: str) -> None:
        self.events += [Lost(link, reason) for link in self.links]

    def recover(self) -> None:
        self.events += [Established(link, 1376) for link in self.links]

    def short_id_changed(self, link: LinkId, short_id: ShortId | None, now: Instant) -> None:
        pass

    def own_short_id(self, short_id: ShortId, now: Instant) -> None:
        self.own_id = short_id

    def watch(self, targets: Mapping[ShortId, bool], now: Instant) -> None:
        self.watched = targets

    def lacks(self, link: LinkId) -> int | None:
        return self.lacking

    def doubt(self, link: LinkId, now: Instant) -> None:
        self.doubted.append(link)

    def control(self, link: LinkId, tag: int, payload: bytes, now: Instant) -> None:
        self.controls.append((link, tag, payload))

    def frame(self, data: bytes, now: Instant) -> None:
        self.frames.append(data)

    def tick(self, now: Instant) -> None:
        pass

    def next_deadline(self) -> float:
        return float("inf")

    def status(self, link: LinkId) -> CarrierStatus:
        return CarrierStatus(CarrierState.ESTABLISHED, 1376, 0.001, False, "", self.path_mtu)

    def collect(self) -> list[CarrierEvent]:
        events, self.events = self.events, []
        return events


class Disk:
    """Records as the last commit left them; ``broken`` refuses everything."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], bytes] = {}
        self.broken = False

    def commit(self, changes: Sequence[Record]) -> None:
        if self.broken:
            raise StorageError("disk full")
        for change in changes:
            if change.value is None:
                self.records.pop((change.kind, change.key), None)
            else:
                self.records[change.kind, change.key] = change.value

    def load(self) -> SavedRecords:
        return [(kind, key, value) for (kind, key), value in self.records.items()]


@dataclass
class Member:
    """One node and everything that came out of it."""

    ip: str
    node: Node
    carrier: FakeCarrier
    disk: Disk
    answers: dict[int, object] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    tables: Tables = field(default_factory=Tables)
    groups: GroupTables = field(default_factory=GroupTables)
    orders: list[SleeveOrder] = field(default_factory=list)
    paths: dict[PathId, NativePath] = field(default_factory=dict)

    @property
    def ipam(self) -> Allocator:
        assert self.node.ipam is not None
        return self.node.ipam

    @property
    def names(self) -> Nameserver:
        assert self.node.names is not None
        return self.node.names

    def holds(self, ident: str) -> list[IPv4Interface]:
        return list(self.ipam.held().get(ident, ()))


class World:
    """Members, the connections between them, and the time. ``sleeve``: they have that carrier too."""

    def __init__(self, sleeve: bool = False) -> None:
        self.carriers = ("fastdp", "sleeve") if sleeve else ("fastdp",)
        self.udp = True
        """Whether the network carries datagrams of the sleeve."""
        self.now = Instant(1000.0, 1_700_000_000.0)
        self.members: dict[str, Member] = {}
        self._far: dict[LinkId, tuple[Member, LinkId]] = {}
        self._count = 0

    def add(
        self,
        number: int,
        disk: Disk | None = None,
        adopted: Tables | None = None,
        password: bytes | None = None,
    ) -> Member:
        """A node with this number for its name and address; on ``disk`` is an earlier life."""
        disk = disk or Disk()
        name = PeerName(number)
        rng = Random(number * 1000 + self._count)
        uid = rng.randrange(1, 1 << 63)
        carrier = FakeCarrier()
        config = IpamConfig(name, uid, RANGE, RANGE, Consensus(None))
        parts = Parts(
            mesh=Mesh(MeshConfig(name, f"h{number}", uid, password=password, carriers=self.carriers), rng),
            ipam=Allocator(config, rng, disk.load()),
            names=Nameserver(name, DOMAIN, disk.load()),
            vxlan=cast(VxlanCarrier, carrier),
            sleeve=SleeveCarrier(name, 1376, 6783),
            keys=PublicKeys(name, uid, password, 1376, rng) if password else None,
        )
        node = Node(parts, disk.commit, self.now, adopted)
        member = self.members[f"10.0.0.{number}"] = Member(f"10.0.0.{number}", node, carrier, disk)
        self.settle()
        return member

    def join(self, one: Member, other: Member) -> None:
        one.node.connect([other.ip], False, self.now)
        self.pass_time(1.0)

    def pair(self) -> tuple[Member, Member]:
        """Two nodes that have met."""
        one, two = self.add(1), self.add(2)
        self.join(one, two)
        return one, two

    def kill(self, member: Member) -> None:
        """Its process dies; the others hear that the connections are closed."""
        del self.members[member.ip]
        for near, (far, link) in list(self._far.items()):
            if far is member:
                del self._far[near]
                self._far.pop(link, None)
                self._owner(near).node.mesh.closed(near, "connection closed by the peer", self.now)
        self.settle()

    def pass_time(self, seconds: float) -> None:
        """Let every node do in time what is due, and everything that follows from it."""
        until = self.now.mono + seconds
        self.settle()
        while (due := min(member.node.next_deadline() for member in self.members.values())) <= until:
            self._advance(max(due, self.now.mono + 0.001))
            for member in list(self.members.values()):
                member.node.tick(self.now)
            self.settle()
        self._advance(until)

    def settle(self) -> None:
        """Carry out what the nodes want until they want nothing."""
        for _ in range(1000):
            if not sum(self._serve(member) for member in list(self.members.values())):
                return
        raise AssertionError("the nodes do not come to rest")

    def _advance(self, mono: float) -> None:
        self.now = Instant(mono, self.now.wall + mono - self.now.mono)

    def _serve(self, member: Member) -> int:
        events = member.node.collect(self.now)
        for event in events:
            self._do(member, event)
        return len(events)

    def _do(self, member: Member, event: NodeEvent) -> None:
        match event:
            case Dial(target):
                self._dial(member, target)
            case Writable(link):
                self._transmit(member, link)
            case CloseLink(link):
                self._close(link)
            case Done(ticket, result):
                member.answers[ticket] = result
            case Failed(ticket, error):
                member.answers[ticket] = error
            case UseTables(tables):
                member.tables = tables
            case UseGroups(groups):
                member.groups = groups
            case SleeveDo(order):
                self._carry(member, order)
            case Note(_, text):
                member.notes.append(text)

    def _dial(self, member: Member, target: Address) -> None:
        far = self.members.get(target[0])
        if far is None:
            member.node.mesh.dial_failed(target, "connection refused", self.now)
            return
        self._count += 2
        here, there = LinkId(self._count), LinkId(self._count + 1)
        self._far[here], self._far[there] = (far, there), (member, here)
        member.node.mesh.dialled(here, target, (member.ip, 50_000 + here), self.now)
        if not far.node.mesh.accepted(there, (member.ip, 50_000 + here), target, self.now):
            self._close(there)

    def _carry(self, member: Member, order: SleeveOrder) -> None:
        """What the sockets of the sleeve do, on a network without delay."""
        member.orders.append(order)
        if isinstance(order, OpenPath) and isinstance(order.format, NativePath):
            member.paths[order.path] = order.format
        elif isinstance(order, ClosePath):
            del member.paths[order.path]
        elif isinstance(order, SendMessage) and self.udp:
            far = self.members.get(order.endpoint.ip)
            index = member.paths[order.path].send_index
            theirs = [path for path, to in far.paths.items() if to.receive_index == index] if far else []
            for path in theirs:
                assert far is not None
                source = Endpoint(member.ip, 6783)
                far.node.arrived(Arrival(path, order.message, source, order.size), self.now)

    def _transmit(self, member: Member, link: LinkId) -> None:
        while link in self._far and (data := member.node.mesh.pull(link, self.now)):
            far, theirs = self._far[link]
            far.node.mesh.received(theirs, data, self.now)

    def _close(self, link: LinkId) -> None:
        if link in self._far:
            far, theirs = self._far.pop(link)
            self._far.pop(theirs, None)
            far.node.mesh.closed(theirs, "connection closed by the peer", self.now)

    def _owner(self, link: LinkId) -> Member:
        far, theirs = self._far.get(link, (None, None))
        if far is not None and theirs is not None and theirs in self._far:
            return self._far[theirs][0]
        return next(member for member in self.members.values() if self._has(member, link))

    @staticmethod
    def _has(member: Member, link: LinkId) -> bool:
        return any(view.link == link for view in member.node.mesh.links())
