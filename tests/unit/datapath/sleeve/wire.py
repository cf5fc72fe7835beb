"""Two ends of paths on a virtual network that loses, delays, shortens and rewrites, and a virtual clock."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tulle.datapath.carrier import CarrierEvent, Neighbour
from tulle.datapath.sleeve.carrier import SleeveCarrier
from tulle.datapath.sleeve.orders import (
    AimPath,
    Arrival,
    ClosePath,
    Count,
    Endpoint,
    NativePath,
    OpenPath,
    PathId,
    SendMessage,
)
from tulle.datapath.tables import ShortId
from tulle.instant import Instant
from tulle.mesh.events import LinkId
from tulle.mesh.peername import PeerName

LINK = LinkId(1)
PORT = 6783


@dataclass
class End:
    """One host: its carrier, its address, and what the sockets' side would know."""

    carrier: SleeveCarrier
    at: Endpoint
    open: dict[PathId, NativePath] = field(default_factory=dict)
    aim: AimPath | None = None
    news: list[CarrierEvent] = field(default_factory=list)
    sent: Counter[PathId] = field(default_factory=Counter)
    received: Counter[PathId] = field(default_factory=Counter)

    def path_with(self, index: int) -> PathId | None:
        found = (path for path, native in self.open.items() if native.receive_index == index)
        return next(found, None)


@dataclass
class Datagram:
    arrives: float
    sender: End
    source: Endpoint
    target: Endpoint
    index: int
    message: bytes
    size: int


class Wire:
    """The network between two ends. ``mtu`` is per direction, in bytes of UDP payload.

    ``rewrite`` is what a NAT does to the source of what the first end sends; answers to a mapping that is
    gone are lost.
    """

    def __init__(self, seed: int = 1, now: float = 1000.0) -> None:
        self.now = Instant(now, now)
        self.rng = Random(seed)
        self.loss = 0.0
        self.delay = 0.01
        self.jitter = 0.0
        self.most = {0: 1472, 1: 1472}
        self.blocked: set[int] = set()
        self.mapping: Endpoint | None = None
        self.ends = [
            End(SleeveCarrier(PeerName(name), 1376, PORT), Endpoint(f"10.0.0.{name}", PORT))
            for name in (1, 2)
        ]
        self.datagrams = 0
        self._flight: list[Datagram] = []
        self._beat = now
        self.tap: Callable[[Datagram], None] = lambda _: None

    def link(self, key: bytes | None = None, secret: bool = True) -> None:
        """The two have a link; the first dialled."""
        for side, end in enumerate(self.ends):
            far = self.ends[1 - side]
            near = Neighbour(
                link=LINK,
                peer=PeerName(2 - side),
                short_id=ShortId(12 - side),
                remote_ip=far.at.ip,
                local_ip=end.at.ip,
                conn_uid=77,
                native=True,
                secret=key is not None and secret,
                session_key=key,
                outbound=side == 0,
                remote_port=PORT,
            )
            end.carrier.link_up(near, self.now)
        self.settle()

    def run(self, seconds: float, flow: int = 0) -> None:
        """Let time pass; ``flow`` datagrams of frames go each way every 100 ms."""
        until = self.now.mono + seconds
        while True:
            due = min([end.carrier.next_deadline() for end in self.ends])
            flight = min((datagram.arrives for datagram in self._flight), default=until)
            step = min(max(due, self.now.mono + 0.0005), flight, self._beat, until)
            self._pass_to(step)
            if step >= self._beat:
                self._beat += 0.1
                self._flow(flow)
            self._deliver()
            for end in self.ends:
                end.carrier.tick(self.now)
            self.settle()
            if step >= until:
                return

    def settle(self) -> None:
        for side, end in enumerate(self.ends):
            for event in end.carrier.collect():
                self._do(side, end, event)

    def _pass_to(self, mono: float) -> None:
        self.now = self.now.later(max(0.0, mono - self.now.mono))

    def _do(self, side: int, end: End, event: CarrierEvent) -> None:
        match event:
            case OpenPath(path, NativePath() as native):
                end.open[path] = native
            case ClosePath(path):
                del end.open[path]
            case AimPath():
                end.aim = event
            case SendMessage(path, endpoint, message, size):
                self.datagrams += 1
                end.sent[path] += 1
                self._send(side, end, path, endpoint, message, max(size, len(message) + 16))
            case _:
                end.news.append(event)

    def _send(self, side: int, end: End, path: PathId, endpoint: Endpoint, message: bytes, size: int) -> None:
        source = self.mapping if side == 0 and self.mapping else end.at
        delay = self.delay + self.rng.random() * self.jitter
        datagram = Datagram(
            self.now.mono + delay, end, source, endpoint, end.open[path].send_index, message, size
        )
        self.tap(datagram)
        if side not in self.blocked and size <= self.most[side] and self.rng.random() >= self.loss:
            self._flight.append(datagram)

    def _deliver(self) -> None:
        ready = [datagram for datagram in self._flight if datagram.arrives <= self.now.mono]
        self._flight = [datagram for datagram in self._flight if datagram.arrives > self.now.mono]
        for datagram in ready:
            self.arrive(datagram)

    def arrive(self, datagram: Datagram) -> None:
        """What the sockets' side does with a datagram."""
        far = self.ends[1 - self.ends.index(datagram.sender)]
        where = self.mapping if far is self.ends[0] and self.mapping else far.at
        path = far.path_with(datagram.index)
        if datagram.target == where and path is not None:
            far.received[path] += 1
            message = datagram.message.ljust(datagram.size - 16, b"\0")
            far.carrier.arrived(Arrival(path, message, datagram.source, datagram.size), self.now)

    def _flow(self, datagrams: int) -> None:
        """Count frames as the sockets' side would; those larger than passes are lost."""
        if not datagrams:
            return
        for side, end in enumerate(self.ends):
            far = self.ends[1 - side]
            if end.aim is not None and end.aim.short_id is not None and far.open:
                (theirs,) = far.open
                passes = side not in self.blocked and end.aim.size <= self.most[side]
                kept = sum(self.rng.random() >= self.loss for _ in range(datagrams))
                end.sent[end.aim.path] += datagrams
                far.received[theirs] += kept if passes else 0
        for side, end in enumerate(self.ends):
            far = self.ends[1 - side]
            counts = {
                path: Count(end.sent[path], end.received[path], far.sent[theirs], 0)
                for path, theirs in zip(end.open, far.open, strict=True)
            }
            end.carrier.counted(counts, self.now)
