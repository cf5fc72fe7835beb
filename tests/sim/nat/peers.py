"""Hosts with a real sleeve and real shortcuts, but a mesh that is only played."""

from collections.abc import Callable, Set
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv4Network
from random import Random
from typing import cast

from sim.nat.internet import Network
from tulle.datapath.carrier import Established, Lost, Met, Neighbour, Parted
from tulle.datapath.sleeve.carrier import SleeveCarrier
from tulle.datapath.sleeve.orders import (
    AimPath,
    Arrival,
    ClosePath,
    Endpoint,
    NativePath,
    OpenPath,
    PathId,
    SendMessage,
)
from tulle.datapath.tables import ShortId
from tulle.instant import Instant
from tulle.mesh.channel import Channel
from tulle.mesh.config import MeshConfig
from tulle.mesh.events import Address, LinkId
from tulle.mesh.mesh import Mesh
from tulle.mesh.peername import PeerName
from tulle.mesh.summary import ConnectionSummary, PeerSummary
from tulle.node.shortcuts import Shortcuts

PORT = 6783
OVERLAY = IPv4Network("10.32.0.0/12")


@dataclass
class FakeRoutes:
    unicast_all: dict[PeerName, PeerName]


@dataclass
class FakeMesh:
    """As much of a mesh as shortcuts ask."""

    self_name: PeerName
    password: bytes | None = b"secret"
    others: set[PeerName] = field(default_factory=set)
    established: set[PeerName] = field(default_factory=set)
    channels: list[Channel] = field(default_factory=list)
    met_at: dict[PeerName, Address | None] = field(default_factory=dict)
    no_hurry: set[PeerName] = field(default_factory=set)

    @property
    def config(self) -> MeshConfig:
        return MeshConfig(self.self_name, "me", 1, password=self.password)

    @property
    def routes(self) -> FakeRoutes:
        return FakeRoutes({peer: PeerName(99) for peer in self.others})

    def peers(self) -> dict[PeerName, PeerSummary]:
        links = tuple(ConnectionSummary(peer, "10.0.0.9:6783", True, True) for peer in self.established)
        return {self.self_name: PeerSummary(self.self_name, "me", 1, 1, 1, links)}

    def add_channel(self, channel: Channel) -> None:
        self.channels.append(channel)

    def label(self, name: PeerName) -> str:
        return f"peer {name}"

    def reached(self, peers: Set[PeerName], now: Instant) -> None:
        self.no_hurry = set(peers)

    def found(self, peer: PeerName, address: Address | None, now: Instant) -> None:
        self.met_at[peer] = address


def short_id(peer: PeerName) -> ShortId:
    return ShortId(peer + 100)


@dataclass(frozen=True)
class Datagram:
    """On a path that its receiver knows by ``index``."""

    index: int
    message: bytes
    size: int


class Host:
    """One host at an address of some network, and how it fares."""

    def __init__(
        self,
        name: PeerName,
        network: Network,
        ip: str,
        clock: Callable[[], Instant],
        password: bytes | None = b"secret",
    ) -> None:
        self.name = name
        self.mesh = FakeMesh(name, password)
        self.sleeve = SleeveCarrier(name, 1376, PORT)
        self.shortcuts = Shortcuts(cast(Mesh, self.mesh), self.sleeve, OVERLAY, Random(name))
        self.log: list[str] = []
        self.linked: set[PeerName] = set()
        """Neighbours that frames reach by the link's own path."""
        self.sent: list[SendMessage] = []
        self._clock = clock
        self._open: dict[int, tuple[PathId, NativePath]] = {}
        self._waiting: list[tuple[Datagram, Endpoint]] = []
        self._links: dict[LinkId, PeerName] = {}
        self.settle(network, ip)

    @property
    def channel(self) -> Channel:
        return self.mesh.channels[0]

    @property
    def open_paths(self) -> list[NativePath]:
        return [path for _, path in self._open.values()]

    def settle(self, network: Network, ip: str) -> None:
        """Be at this address from now on."""
        self.network, self.endpoint = network, Endpoint(ip, PORT)
        network.members[ip] = self
        self.shortcuts.moved([IPv4Interface(f"{ip}/24")], self._clock())

    def leave(self) -> None:
        """Unplug the cable."""
        del self.network.members[self.endpoint.ip]

    def know(self, *peers: PeerName) -> None:
        """These can be reached over the mesh."""
        self.mesh.others = set(peers)
        self.topology_changed()

    def topology_changed(self) -> None:
        known = {peer: short_id(peer) for peer in (self.name, *self.mesh.others)}
        self.shortcuts.topology_changed(known, self._clock())

    def link(self, other: "Host", outbound: bool) -> None:
        """A TCP connection to a neighbour."""
        number = LinkId(len(self._links) + 1)
        self._links[number] = other.name
        uid = (min(self.name, other.name) << 8) + max(self.name, other.name)
        ip = other.endpoint.ip if outbound else "192.0.2.77"
        up = Neighbour(
            link=number,
            peer=other.name,
            short_id=short_id(other.name),
            remote_ip=ip,
            local_ip=self.endpoint.ip,
            conn_uid=uid,
            native=True,
            secret=True,
            session_key=b"s" * 32,
            outbound=outbound,
            remote_port=PORT,
        )
        self.sleeve.link_up(up, self._clock())

    def take(self, data: object, source: Endpoint, target: Endpoint) -> None:
        """A datagram arrives; it is looked at in the next turn."""
        assert isinstance(data, Datagram)
        if target == self.endpoint:
            self._waiting.append((data, source))

    def turn(self) -> bool:
        """Everything that is due; whether there was anything to do."""
        now = self._clock()
        waiting, self._waiting = self._waiting, []
        for datagram, source in waiting:
            if datagram.index in self._open:
                path, _ = self._open[datagram.index]
                self.sleeve.arrived(Arrival(path, datagram.message, source, datagram.size), now)
        self.shortcuts.tick(now)
        self.sleeve.tick(now)
        known = {peer: short_id(peer) for peer in (self.name, *self.mesh.others)}
        moved = self.shortcuts.carry_out(known, now)
        return self._hear(now) or moved or bool(waiting)

    def next_deadline(self) -> float:
        return min(self.shortcuts.next_deadline(), self.sleeve.next_deadline())

    def reaches(self, peer: PeerName) -> bool:
        """Whether frames for this peer take a shortcut."""
        return peer in self.shortcuts.hops()

    def _hear(self, now: Instant) -> bool:
        events = self.sleeve.collect()
        for event in events:
            match event:
                case OpenPath(number, NativePath() as path):
                    self._open[path.receive_index] = (number, path)
                case ClosePath(number):
                    self._open = {index: one for index, one in self._open.items() if one[0] != number}
                case AimPath():
                    self.shortcuts.aimed(event, now)
                case Met() | Parted():
                    self.log += filter(None, [self.shortcuts.heard(event, now)])
                case Established(link):
                    self.linked.add(self._links[link])
                case Lost(link):
                    self.linked.discard(self._links[link])
                case SendMessage():
                    self._send(event)
        return bool(events)

    def _send(self, order: SendMessage) -> None:
        self.sent.append(order)
        index = next(path.send_index for number, path in self._open.values() if number == order.path)
        datagram = Datagram(index, order.message, max(100, order.size))
        self.network.send(datagram, self.endpoint, order.endpoint)
