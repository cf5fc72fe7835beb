"""Whole nodes with both real carriers, on a virtual network that can block either, and a virtual clock.

TCP always works. What is played here is what kernels and sockets do: echoes are answered, datagrams of the
sleeve find their path by its index, and frames follow the tables.
"""

import heapq
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import combinations, count
from random import Random

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
    SleeveOrder,
)
from tulle.datapath.tables import CarrierKind, ShortId, Tables
from tulle.datapath.tapframe import ECHO_ETHERTYPE, ControlFrame, Way, decode
from tulle.datapath.vxlan import VxlanCarrier
from tulle.instant import Instant
from tulle.mesh.config import MeshConfig
from tulle.mesh.events import CloseLink, Dial, LinkId, Writable
from tulle.mesh.mesh import Mesh
from tulle.mesh.peername import PeerName
from tulle.node.events import Frame, NodeEvent, Note, SleeveDo, UseTables
from tulle.node.node import Node, Parts

PORT = 6783
VXLAN_PORT = 6784
DELAY = 0.002
_ECHO = struct.Struct(">IB")


@dataclass
class Host:
    number: int
    node: Node
    tables: Tables = field(default_factory=Tables)
    paths: dict[PathId, NativePath] = field(default_factory=dict)
    aims: dict[ShortId, Endpoint] = field(default_factory=dict)
    aimed: dict[PathId, ShortId] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def ip(self) -> str:
        return f"10.0.0.{self.number}"

    def carriers(self) -> set[str | None]:
        """What its links use."""
        return {self.node.carrier(link.link) for link in self.node.mesh.links()}

    @property
    def version(self) -> int:
        """Goes up when a link of its comes, goes, or is established or not."""
        return self.node.mesh.peers()[self.node.mesh.self_name].version


class Cluster:
    """``blocked`` has the ways (from, to, UDP port) that carry nothing."""

    def __init__(self, hosts: int, password: bytes | None = None, seed: int = 1) -> None:
        self.now = Instant(1000.0, 1_700_000_000.0)
        self.rng = Random(seed)
        self.blocked: set[tuple[int, int, int]] = set()
        self.hosts: dict[str, Host] = {}
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._links = count(1)
        self._far: dict[LinkId, tuple[Host, LinkId]] = {}
        for number in range(1, hosts + 1):
            host = Host(number, self._node(number, password))
            self.hosts[host.ip] = host

    def _node(self, number: int, password: bytes | None) -> Node:
        name = PeerName(number)
        rng = Random(self.rng.random())
        config = MeshConfig(name, f"h{number}", rng.getrandbits(60) | 1, password=password)
        vxlan = VxlanCarrier(None, 1376, VXLAN_PORT, rng.getrandbits(64))
        parts = Parts(Mesh(config, rng), None, None, vxlan, SleeveCarrier(name, 1376, PORT))
        return Node(parts, lambda records: None, self.now)

    @property
    def all(self) -> list[Host]:
        return list(self.hosts.values())

    def connect_all(self) -> None:
        """Everybody dials everybody, at the same moment."""
        for host in self.all:
            host.node.connect([far.ip for far in self.all if far is not host], False, self.now)

    def block(self, pairs: Iterable[tuple[Host, Host]], port: int) -> None:
        """No datagrams to this port between these, in either direction."""
        for one, other in pairs:
            self.blocked |= {(one.number, other.number, port), (other.number, one.number, port)}

    def pairs(self) -> list[tuple[Host, Host]]:
        return list(combinations(self.all, 2))

    def run(self, seconds: float) -> None:
        until = self.now.mono + seconds
        self._settle()
        while True:
            due = min([host.node.next_deadline() for host in self.all])
            step = min(max(due, self.now.mono + 0.0005), self._due[0][0] if self._due else until, until)
            self.now = self.now.later(max(0.0, step - self.now.mono))
            while self._due and self._due[0][0] <= self.now.mono:
                heapq.heappop(self._due)[2]()
            for host in self.all:
                if host.node.next_deadline() <= self.now.mono:
                    host.node.tick(self.now)
            self._settle()
            if self.now.mono >= until:
                return

    def run_until(self, done: Callable[[], bool], limit: float) -> float:
        """How many seconds it takes until ``done``; an AssertionError if more than ``limit``."""
        begun = self.now.mono
        while not done():
            assert self.now.mono - begun < limit, "it took too long"
            self.run(0.05)
        return self.now.mono - begun

    # What frames do

    def talk(self, source: Host, target: Host) -> bool:
        """Whether a frame arrives. Raises RecursionError if it circles."""
        at = source
        for _ in range(16):
            if at is target:
                return True
            hop = at.tables.routes.get(self._short_id(target))
            if hop is None:
                return False
            port = VXLAN_PORT
            ip = hop.remote_ip
            if hop.carrier is CarrierKind.SLEEVE:
                assert hop.peer is not None
                port, ip = PORT, at.aims[hop.peer].ip if hop.peer in at.aims else ""
            following = self.hosts.get(ip)
            if following is None or (at.number, following.number, port) in self.blocked:
                return False
            at = following
        raise RecursionError("a frame circles")

    def all_talk(self) -> bool:
        return all(self.talk(one, other) and self.talk(other, one) for one, other in self.pairs())

    @staticmethod
    def _short_id(host: Host) -> ShortId:
        return ShortId(host.tables.self_id or 0)

    # What the world does

    def _later(self, work: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now.mono + DELAY, next(self._order), work))

    def _settle(self) -> None:
        for host in self.all:
            while events := host.node.collect(self.now):
                for event in events:
                    self._do(host, event)

    def _do(self, host: Host, event: NodeEvent) -> None:
        match event:
            case Dial(target):
                self._later(lambda: self._dial(host, target))
            case Writable(link):
                self._transmit(host, link)
            case CloseLink(link):
                self._close(link)
            case UseTables(tables):
                host.tables = tables
            case Frame(data):
                self._frame(host, decode(data))
            case SleeveDo(order):
                self._sleeve(host, order)
            case Note(_, text):
                host.notes.append(text)

    def _dial(self, host: Host, target: tuple[str, int]) -> None:
        far = self.hosts[target[0]]
        here, there = LinkId(next(self._links)), LinkId(next(self._links))
        self._far[here], self._far[there] = (far, there), (host, here)
        host.node.mesh.dialled(here, target, (host.ip, 40_000 + here), self.now)
        if not far.node.mesh.accepted(there, (host.ip, 40_000 + here), target, self.now):
            self._close(there)

    def _transmit(self, host: Host, link: LinkId) -> None:
        if link in self._far:
            far, theirs = self._far[link]
            data = host.node.mesh.pull(link, self.now)
            if data:
                self._later(lambda: self._receive(far, theirs, data))
                self._transmit(host, link)

    def _receive(self, host: Host, link: LinkId, data: bytes) -> None:
        if link in self._far:
            host.node.mesh.received(link, data, self.now)

    def _close(self, link: LinkId) -> None:
        if link in self._far:
            far, theirs = self._far.pop(link)
            self._later(lambda: self._closed(far, theirs))

    def _closed(self, host: Host, link: LinkId) -> None:
        if self._far.pop(link, None) is not None:
            host.node.mesh.closed(link, "connection closed by the peer", self.now)

    def _frame(self, host: Host, frame: ControlFrame) -> None:
        hop = host.tables.direct.get(frame.dst)
        if hop is None or frame.way is Way.ROUTED:
            return
        far = self.hosts[hop.remote_ip]
        if (host.number, far.number, VXLAN_PORT) not in self.blocked:
            self._later(lambda: self._frame_arrives(host, far, frame))

    def _frame_arrives(self, host: Host, far: Host, frame: ControlFrame) -> None:
        magic, op = _ECHO.unpack_from(frame.payload)
        if frame.ethertype == ECHO_ETHERTYPE and op == 1:
            answer = _ECHO.pack(magic, 2) + frame.payload[_ECHO.size :]
            self._frame(far, ControlFrame(frame.src, frame.dst, ECHO_ETHERTYPE, answer))
        else:
            arrived = ControlFrame(frame.dst, frame.src, frame.ethertype, frame.payload, host.ip)
            far.node.frame(arrived.encode(), self.now)

    def _sleeve(self, host: Host, order: SleeveOrder) -> None:
        match order:
            case OpenPath(path, NativePath() as native):
                host.paths[path] = native
            case ClosePath(path):
                del host.paths[path]
                self._aim(host, path, None, Endpoint("", 0))
            case AimPath(path, short_id, endpoint):
                self._aim(host, path, short_id, endpoint)
            case SendMessage(path, endpoint, message, size):
                self._send(host, host.paths[path].send_index, endpoint, message, max(size, len(message) + 30))

    @staticmethod
    def _aim(host: Host, path: PathId, short_id: ShortId | None, endpoint: Endpoint) -> None:
        before = host.aimed.pop(path, None)
        if before is not None and before not in host.aimed.values():
            host.aims.pop(before, None)
        if short_id is not None:
            host.aimed[path] = short_id
            host.aims[short_id] = endpoint

    def _send(self, host: Host, index: int, endpoint: Endpoint, message: bytes, size: int) -> None:
        far = self.hosts.get(endpoint.ip)
        if far is not None and size <= 1472 and (host.number, far.number, PORT) not in self.blocked:
            self._later(lambda: self._arrives(host, far, index, message, size))

    def _arrives(self, host: Host, far: Host, index: int, message: bytes, size: int) -> None:
        for path, native in far.paths.items():
            if native.receive_index == index:
                far.node.arrived(Arrival(path, message, Endpoint(host.ip, PORT), size), self.now)
                return
