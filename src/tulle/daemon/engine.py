"""The pump: feeds the node with what happens, and does what it wants done.

Everything runs in one event loop. Whoever calls into the node calls ``pump`` afterwards; ``pump`` carries out
orders until the node is quiet, then sets the one timer to the node's next deadline. What comes in swarms is
told to the node piece by piece and pumped once: frames, and what many peers say at the same moment.
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence, Set
from ipaddress import IPv4Interface
from typing import Any, Protocol

from tulle.daemon.links import Links
from tulle.daemon.requests import Tickets
from tulle.datapath.groups.pruning import GroupTables
from tulle.datapath.sleeve.orders import Arrival, Count, PathId, Refused, SleeveOrder
from tulle.datapath.tables import ShortId, Tables
from tulle.host.groups_watch import Joined
from tulle.instant import Instant
from tulle.ipam.events import Done, Failed
from tulle.mesh.events import Address, CloseLink, Dial, LinkId, Resolve, Writable
from tulle.node.events import ForgetPathMtus, Frame, NodeEvent, Note, SleeveDo, UseGroups, UseTables
from tulle.node.node import Node

log = logging.getLogger("tulle")
LEVELS = {name: getattr(logging, name.upper()) for name in ("debug", "info", "warning", "error")}
PAUSE_AFTER_ERROR = 1.0
"""Seconds. A mistake of ours must neither stop the clock for ever nor spin."""
LATE = 0.05
"""Seconds. A timer that comes later than this finds more waiting, perhaps, than one turn of the loop took."""


class DataPath(Protocol):
    """The kernel side, as far as the engine drives it."""

    def send_frame(self, frame: bytes) -> None:
        """Send a frame of the daemon's own."""

    def drain_frames(self, take: Callable[[bytes], None]) -> None:
        """Hand over the frames for the daemon that wait."""

    def use_tables(self, tables: Tables) -> None:
        """Bring the kernel's tables up to date."""

    def use_groups(self, tables: GroupTables) -> None:
        """Bring the kernel's tables of multicast groups up to date."""

    def forget_path_mtus(self) -> None:
        """Have the kernel find out again how big packets may be."""

    def sleeve_do(self, order: SleeveOrder) -> None:
        """Carry out what the node wants of the sleeve."""

    def sleeve_counts(self) -> Mapping[PathId, Count]:
        """What the sleeve's paths have carried that carried something since this was asked last."""

    def sleeve_relayed(self) -> Set[tuple[ShortId, ShortId]]:
        """From whom and to whom the sleeve sent frames over a third since this was asked last."""


def now() -> Instant:
    """Both clocks of this machine."""
    return Instant(time.monotonic(), time.time())


class Engine:
    """One node, its sockets, its timer, and those who wait for answers."""

    def __init__(self, node: Node, datapath: DataPath) -> None:
        self.node = node
        self.links = Links(self)
        self.tickets = Tickets(self._withdraw)
        self._datapath = datapath
        self._timer: asyncio.TimerHandle | None = None
        self._soon: asyncio.Handle | None = None
        self._pumping = False
        self._closed = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._orders: dict[type, Callable[[Any], None]] = {
            Dial: lambda order: self.links.dial(order.target),
            CloseLink: lambda order: self.links.close_link(order.link, order.last_words),
            Writable: lambda order: self.links.writable(order.link),
            Resolve: lambda order: self.spawn(self._resolve(order.host)),
            Frame: lambda order: datapath.send_frame(order.data),
            SleeveDo: lambda event: datapath.sleeve_do(event.order),
            UseTables: lambda order: datapath.use_tables(order.tables),
            UseGroups: lambda order: datapath.use_groups(order.tables),
            ForgetPathMtus: lambda order: datapath.forget_path_mtus(),
            Done: lambda answer: self.tickets.done(answer.ticket, answer.result),
            Failed: lambda answer: self.tickets.failed(answer.ticket, answer.error),
            Note: lambda note: log.log(LEVELS[note.level], "%s", note.text),
        }

    def pump(self) -> None:
        """Carry out what the node wants, until it wants nothing more."""
        if self._pumping or self._closed:
            return
        self._pumping = True
        self._cancel_soon()
        try:
            while events := self.node.collect(now()):
                for event in events:
                    self._carry_out(event)
        finally:
            self._pumping = False
        self._set_timer()

    def _carry_out(self, event: NodeEvent) -> None:
        """Do one thing that the node wants. A mistake in it must not cost what else it wants."""
        try:
            self._orders[type(event)](event)
        except Exception:
            log.exception("internal error: what the node wanted was not done (%s)", type(event).__name__)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something in the background; what it raises goes to the log."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    async def close(self) -> None:
        """Stop timer, background work and connections; the node hears and says nothing more."""
        self._closed = True
        self._cancel_soon()
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.links.close()

    def frame_received(self, frame: bytes) -> None:
        """A frame for the daemon itself came out of the data path."""
        self.node.frame(frame, now())
        self._pump_soon()

    def sleeve_reported(self, report: Arrival | Refused) -> None:
        """The sleeve has something for the node."""
        if isinstance(report, Arrival):
            self.node.arrived(report, now())
        else:
            self.node.refused(report, now())
        self._pump_soon()

    def groups_joined(self, joined: Joined) -> None:
        """Other multicast groups than before have listeners on this host."""
        self.node.multicast.channel.want(joined.groups, joined.everything, now())
        self.pump()

    def moved(self, addresses: Sequence[IPv4Interface]) -> None:
        """This host has these addresses now."""
        self.node.moved(addresses, now())
        self.pump()

    # LinkHandler

    def link_accepted(self, link: LinkId, remote: Address, local: Address) -> bool:
        """A peer connected."""
        taken = self.node.mesh.accepted(link, remote, local, now())
        self.pump()
        return taken

    def link_dialled(self, link: LinkId, target: Address, local: Address) -> None:
        """Our dial went through."""
        self.node.mesh.dialled(link, target, local, now())
        self._pump_soon()

    def link_dial_failed(self, target: Address, reason: str) -> None:
        """Our dial failed."""
        self.node.mesh.dial_failed(target, reason, now())
        self._pump_soon()

    def link_received(self, link: LinkId, data: bytes) -> None:
        """Bytes from a peer."""
        self.node.mesh.received(link, data, now())
        self._pump_soon()

    def link_closed(self, link: LinkId, reason: str) -> None:
        """A connection ended by itself."""
        self.node.mesh.closed(link, reason, now())
        self._pump_soon()

    def link_pull(self, link: LinkId) -> bytes:
        """What to send next."""
        return self.node.mesh.pull(link, now())

    def _withdraw(self, ticket: int) -> None:
        if self.node.ipam is not None:
            self.node.ipam.cancel(ticket)
            self.pump()

    def _pump_soon(self) -> None:
        if self._soon is None and not self._pumping and not self._closed:
            self._soon = asyncio.get_running_loop().call_soon(self.pump)

    def _cancel_soon(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None

    def _set_timer(self) -> None:
        deadline = self.node.next_deadline()
        if self._timer is not None:
            if self._timer.when() == deadline and not self._timer.cancelled():
                return
            self._timer.cancel()
            self._timer = None
        if deadline != float("inf"):
            self._timer = asyncio.get_running_loop().call_at(deadline, self._tick)

    def _tick(self) -> None:
        late = self._timer is not None and now().mono - self._timer.when() > LATE
        self._timer = None
        try:
            if late:
                self._datapath.drain_frames(lambda frame: self.node.frame(frame, now()))
            if self._soon is not None:
                self.pump()  # messages that the node has said must be sent before what was sent is counted
            self.node.counted(self._datapath.sleeve_counts(), now())
            if relayed := self._datapath.sleeve_relayed():
                self.node.relayed(relayed, now())
            self.node.tick(now())
            self.pump()
        except Exception:
            log.exception("internal error; trying again in %.0f s", PAUSE_AFTER_ERROR)
            self._timer = asyncio.get_running_loop().call_later(PAUSE_AFTER_ERROR, self._tick)

    async def _resolve(self, host: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
        except OSError as error:
            log.warning("peer %s: its name does not resolve (%s)", host, error.strerror)
            found = []
        self.node.mesh.resolved(host, [str(entry[4][0]) for entry in found], now())
        self.pump()

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("background work failed", exc_info=task.exception())
