"""One life of a daemon: a node, and what ``tulle.daemon`` does around it. All that knows Node is here."""

import math
from collections.abc import Callable
from ipaddress import IPv4Interface
from random import Random
from typing import Any, Protocol, cast

from tulle.datapath.sleeve.carrier import SleeveCarrier
from tulle.datapath.sleeve.orders import Arrival, Endpoint
from tulle.datapath.tables import Tables
from tulle.datapath.vxlan import VxlanCarrier
from tulle.instant import Instant
from tulle.ipam.allocator import Allocator
from tulle.ipam.config import IpamConfig
from tulle.ipam.events import Done, Failed
from tulle.mesh.events import Address, CloseLink, Dial, LinkId, Resolve, Writable
from tulle.mesh.mesh import Mesh, MeshConfig
from tulle.mesh.peername import PeerName
from tulle.names.nameserver import Nameserver
from tulle.node.events import Frame, Note, SleeveDo, UseTables
from tulle.node.node import Node, Parts
from tulle.node.records import restored_acquaintances, restored_short_id
from tulle.node.shortcuts import Shortcuts
from tulle.sim.audit import AuditedAllocator
from tulle.sim.carrier import MTU, ReachCarrier
from tulle.sim.clock import Clock
from tulle.sim.disk import Disk
from tulle.sim.network import Network
from tulle.sim.settings import DOMAIN, PORT, Settings
from tulle.sim.sleeve import SleeveSide

FASTEST_TICK = 0.0005
"""Seconds between two turns at least: event loops are no faster."""

SPINNING = 2000
"""Turns within a second, on its own account, after which a daemon counts as gone mad."""


class Surroundings(Protocol):
    """What a daemon finds on its host."""

    ip: str
    disk: Disk

    def answered(self, ticket: int, answer: Done | Failed) -> None:
        """A request was answered."""

    def noted(self, level: str, text: str) -> None:
        """The daemon writes a line into its log."""

    def use_tables(self, tables: Tables) -> None:
        """The data path carries frames by these tables from now on."""

    def send_frame(self, frame: bytes) -> None:
        """The daemon writes a frame into the data path."""

    def link_closed(self, reason: str) -> None:
        """The daemon closes a connection."""

    def pumped(self) -> None:
        """The daemon has done something, and is quiet again."""

    def voted(self) -> None:
        """A message of the election is sent."""

    def wall_offset(self) -> float:
        """By how much the host's clock is wrong."""


class Daemon:
    """See the module text. ``number`` is that of the host, ``life`` counts its daemons."""

    def __init__(
        self,
        number: int,
        name: PeerName,
        settings: Settings,
        network: Network,
        around: Surroundings,
        rng: Random,
        reaches: Callable[[str, str], bool],
        adopted: Tables | None,
    ) -> None:
        self.name = name
        self.ip, self.port = around.ip, PORT
        self.turns = 0
        self._network = network
        self._clock: Clock = network.clock
        self._around = around
        self._planned = math.inf
        self._second = -1
        self._alive = True
        self._asleep: list[Callable[[], None]] | None = None
        self.reach = None if settings.frames else ReachCarrier(reaches)
        self.sleeve = SleeveSide(Endpoint(self.ip, PORT), network.internet, self._arrived)
        self.node = self._make_node(number, settings, rng, adopted)
        self._orders: dict[type, Callable[[Any], None]] = {
            Dial: lambda order: network.dial(self, order.target),
            CloseLink: self._close_link,
            Writable: lambda order: self._write(order.link),
            Resolve: lambda order: self.node.mesh.resolved(order.host, (), self.now),
            Frame: lambda order: around.send_frame(order.data),
            SleeveDo: lambda order: self.sleeve.carry_out(order.order),
            UseTables: lambda order: around.use_tables(order.tables),
            Done: lambda answer: around.answered(answer.ticket, answer),
            Failed: lambda answer: around.answered(answer.ticket, answer),
            Note: lambda note: around.noted(note.level, note.text),
        }
        self.do(lambda: self.node.moved([IPv4Interface(f"{self.ip}/8")], self.now))

    @property
    def now(self) -> Instant:
        """Both clocks of this host."""
        now, offset = self._clock.now, self._around.wall_offset()
        return Instant(now.mono, now.wall + offset) if offset else now

    @property
    def ipam(self) -> Allocator:
        """Its addresses."""
        assert self.node.ipam is not None
        return self.node.ipam

    @property
    def names(self) -> Nameserver:
        """Its names."""
        assert self.node.names is not None
        return self.node.names

    def die(self) -> None:
        """Nothing is done any more."""
        self._alive = False
        self._network.internet.listen(self.ip, None)

    # -- what the network tells --------------------------------------------------------------------------

    def accept(self, connection: int, remote: Address) -> bool:
        """See ``sim.network.Host``. The kernel of a daemon that sleeps accepts for it."""
        if self._asleep is not None:
            self._asleep.append(lambda: self._accept_late(connection, remote))
            return True
        taken = self.node.mesh.accepted(LinkId(connection), remote, (self.ip, self.port), self.now)
        self.pump()
        return taken

    def dialled(self, connection: int, target: Address, local: Address) -> None:
        """See ``sim.network.Host``."""
        self.do(lambda: self.node.mesh.dialled(LinkId(connection), target, local, self.now))

    def dial_failed(self, target: Address, reason: str) -> None:
        """See ``sim.network.Host``."""
        self.do(lambda: self.node.mesh.dial_failed(target, reason, self.now))

    def received(self, connection: int, data: bytes) -> None:
        """See ``sim.network.Host``."""
        self.do(lambda: self.node.mesh.received(LinkId(connection), data, self.now))

    def writable(self, connection: int) -> None:
        """See ``sim.network.Host``."""
        self.do(lambda: self._write(LinkId(connection)))

    def closed(self, connection: int, reason: str) -> None:
        """See ``sim.network.Host``."""
        self.do(lambda: self.node.mesh.closed(LinkId(connection), reason, self.now))

    def frame(self, data: bytes) -> None:
        """A frame for the daemon came out of the data path."""
        self.do(lambda: self.node.frame(data, self.now))

    def _arrived(self, arrival: Arrival) -> None:
        self.do(lambda: self.node.arrived(arrival, self.now))

    def disturb(self) -> None:
        """Some path of the network has changed."""
        if self.reach is not None:
            self.reach.disturb(self.now)
            self._plan()

    # -- the pump ----------------------------------------------------------------------------------------

    def do(self, call: Callable[[], None]) -> None:
        """Call the node and do what it then wants; later, if the daemon sleeps."""
        if self._asleep is not None:
            self._asleep.append(call)
        elif self._alive:
            call()
            self.pump()

    def sleep(self, seconds: float) -> None:
        """The process does not run for a while (SIGSTOP, a machine with too much to do)."""
        if self._asleep is None:
            self._asleep = []
            self._clock.call_after(seconds, self._wake)

    def _wake(self) -> None:
        missed, self._asleep = self._asleep, None
        for call in missed or ():
            self.do(call)
        self._tick()

    def pump(self) -> None:
        """Carry out what the node wants, until it wants nothing more. Nobody prunes multicast here."""
        now = self.now
        orders = self._orders
        while self._alive and (events := self.node.collect(now)):
            for event in events:
                order = orders.get(type(event))
                if order is not None:
                    order(event)
        self._around.pumped()
        self._plan()

    def _make_node(self, number: int, settings: Settings, rng: Random, adopted: Tables | None) -> Node:
        records = self._around.disk.load()
        uid = rng.randrange(1, 1 << 64)
        short_id = restored_short_id(records)
        mesh_config = MeshConfig(
            name=self.name,
            nickname=f"h{number}",
            uid=uid,
            port=PORT,
            password=settings.password,
            conn_limit=settings.conn_limit,
            discovery=settings.discovery,
            carriers=("fastdp", "sleeve") if settings.sleeve else ("fastdp",),
            short_id=short_id,
            acquaintances=restored_acquaintances(records),
        )
        bootstrap = settings.bootstrap(number)
        ipam_config = IpamConfig(self.name, uid, settings.universe, settings.universe, bootstrap)
        carrier = self.reach or VxlanCarrier(None, MTU, PORT + 1, rng.getrandbits(64))
        mesh, sleeve = Mesh(mesh_config, rng), SleeveCarrier(self.name, MTU, PORT)
        meets = settings.sleeve and settings.discovery
        parts = Parts(
            mesh=mesh,
            ipam=self._make_allocator(ipam_config, rng, records, settings.audit),
            names=Nameserver(self.name, DOMAIN, records),
            vxlan=cast(VxlanCarrier, carrier),
            sleeve=sleeve,
            shortcuts=Shortcuts(mesh, sleeve, settings.universe, rng) if meets else None,
        )
        return Node(parts, self._around.disk.commit, self.now, adopted)

    def _make_allocator(
        self, config: IpamConfig, rng: Random, records: list[tuple[str, str, bytes]], audit: bool
    ) -> Allocator:
        if audit:
            return AuditedAllocator(config, rng, records, self._around.voted)
        return Allocator(config, rng, records)

    def _close_link(self, order: CloseLink) -> None:
        self._around.link_closed(order.reason)
        if order.last_words:
            self._network.send(order.link, order.last_words)
        self._network.close(order.link)

    def _write(self, link: LinkId) -> None:
        network, mesh, now = self._network, self.node.mesh, self.now
        while network.room(link) and (data := mesh.pull(link, now)):
            network.send(link, data)

    def _plan(self) -> None:
        if not self._alive:
            return
        due = max(self.node.next_deadline(), self._clock.mono + FASTEST_TICK)
        if due < self._planned:
            self._planned = due
            self._clock.call_at(due, self._turn)

    def _turn(self) -> None:
        if self._clock.mono >= self._planned:
            self._planned = math.inf
            if self._asleep is None:
                self._tick()

    def _tick(self) -> None:
        if self._alive:
            second = int(self._clock.mono)
            self.turns = self.turns + 1 if second == self._second else 0
            self._second = second
            if counts := self.sleeve.counts():
                self.node.counted(counts, self.now)
            self.node.tick(self.now)
            self.pump()

    def _accept_late(self, connection: int, remote: Address) -> None:
        here = (self.ip, self.port)
        if not self.node.mesh.accepted(LinkId(connection), remote, here, self.now):
            self._network.close(connection)
