"""A network and a clock in memory: the same every time, and as fast as the machine can compute it.

``Network`` has hosts, each with an IP address and a listening port, and stream connections between them that
keep order and take time. Hosts can be cut from each other, so that what is under way waits, as TCP
retransmits, or connections break. Nothing here knows what the streams carry.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from tulle.instant import Instant

EPOCH = 1_700_000_000.0
DIAL_SECONDS = 3.0

Address = tuple[str, int]


class Clock:
    """Virtual time: jumps from one scheduled call to the next."""

    def __init__(self) -> None:
        self.mono = 0.0
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    @property
    def now(self) -> Instant:
        return Instant(self.mono, EPOCH + self.mono)

    def call_at(self, mono: float, call: Callable[[], None]) -> None:
        """Do this then; what is asked for the same moment happens in the order of asking."""
        self._count += 1
        heapq.heappush(self._calls, (max(mono, self.mono), self._count, call))

    def run_until(self, mono: float) -> None:
        """Let time pass up to this moment."""
        while self._calls and self._calls[0][0] <= mono:
            at, _, call = heapq.heappop(self._calls)
            self.mono = at
            call()
        self.mono = max(self.mono, mono)


class Host(Protocol):
    """What a host does with connections. Connections are told apart by the numbers given to ``Network``."""

    ip: str
    port: int

    def accept(self, connection: int, remote: Address) -> bool:
        """Somebody connects; False closes at once."""

    def dialled(self, connection: int, target: Address, local: Address) -> None:
        """The connection that was asked for is there."""

    def dial_failed(self, target: Address, reason: str) -> None:
        """Nobody answers there, or refuses."""

    def received(self, connection: int, data: bytes) -> None:
        """Bytes arrived."""

    def closed(self, connection: int, reason: str) -> None:
        """The other end closed, or the network broke the connection."""


@dataclass(slots=True)
class _End:
    """One end of a connection. ``inbox`` waits while the path is cut."""

    connection: int
    host: Host
    peer: "_End | None" = None
    open: bool = True
    inbox: list[bytes | None] = field(default_factory=list)


class Network:
    """Hosts and the connections between them. ``latency`` is one way, in seconds."""

    def __init__(self, latency: float = 0.001) -> None:
        self.clock = Clock()
        self.latency = latency
        self.bytes_sent: Counter[str] = Counter()
        self.dials = 0
        self._hosts: dict[str, Host] = {}
        self._ends: dict[int, _End] = {}
        self._cut: set[frozenset[str]] = set()
        self._slow: dict[frozenset[str], float] = {}
        self._numbers = 0

    @property
    def total_bytes(self) -> int:
        """Bytes that all hosts put into streams."""
        return self.bytes_sent.total()

    def add(self, host: Host) -> None:
        """This host is reachable from now on."""
        self._hosts[host.ip] = host

    def remove(self, ip: str, silently: bool = False) -> None:
        """The host is no more. Its connections are reset, or with ``silently`` never heard of again."""
        host = self._hosts.pop(ip)
        for end in [end for end in self._ends.values() if end.host is host]:
            if not silently:
                self.close(end.connection)
            end.open = False
            self._ends.pop(end.connection, None)

    def cut(self, one: Iterable[str], other: Iterable[str], reset: bool = False) -> None:
        """No packet passes between these groups of addresses; ``reset`` breaks connections, else they
        hang."""
        others = list(other)
        pairs = {frozenset((a, b)) for a in one for b in others if a != b}
        self._cut |= pairs
        if reset:
            for end in list(self._ends.values()):
                if end.open and self._path(end) in pairs:
                    end.open = False
                    self._ends.pop(end.connection, None)
                    end.host.closed(end.connection, "connection reset")

    def heal(self) -> None:
        """Every path works again, and what waited arrives."""
        self._cut.clear()
        for end in list(self._ends.values()):
            waiting, end.inbox = end.inbox, []
            for data in waiting:
                self._deliver(end, data)

    def slow(self, one: str, other: str, latency: float) -> None:
        """This path has its own latency."""
        self._slow[frozenset((one, other))] = latency

    def dial(self, host: Host, target: Address) -> None:
        """``host`` wants a connection to ``target``."""
        self.dials += 1
        path = frozenset((host.ip, target[0]))
        if path in self._cut:
            self._after(DIAL_SECONDS, lambda: self._tell_failed(host, target, "connection timed out"))
        else:
            self._after(self._latency(path), lambda: self._arrive(host, target))

    def send(self, connection: int, data: bytes) -> None:
        """Put bytes into a stream; ignored when it is closed."""
        end = self._ends.get(connection)
        if end is None or not end.open or end.peer is None:
            return
        self.bytes_sent[end.host.ip] += len(data)
        self._transmit(end, data)

    def close(self, connection: int) -> None:
        """Close this end; the other hears of it in time."""
        end = self._ends.pop(connection, None)
        if end is not None and end.open:
            end.open = False
            self._transmit(end, None)

    def forget(self, connection: int) -> None:
        """This end is gone without a word, as when a middle box or the kernel drops it."""
        end = self._ends.pop(connection, None)
        if end is not None:
            end.open = False

    # -- inside ------------------------------------------------------------------------------------------

    def _after(self, seconds: float, call: Callable[[], None]) -> None:
        self.clock.call_at(self.clock.mono + seconds, call)

    def _latency(self, path: frozenset[str]) -> float:
        return self._slow.get(path, self.latency)

    def _path(self, end: _End) -> frozenset[str]:
        assert end.peer is not None
        return frozenset((end.host.ip, end.peer.host.ip))

    def _arrive(self, host: Host, target: Address) -> None:
        """The first packet of a dial is at the target."""
        latency = self._latency(frozenset((host.ip, target[0])))
        callee = self._hosts.get(target[0])
        if callee is None or callee.port != target[1]:
            self._after(latency, lambda: self._tell_failed(host, target, "connection refused"))
            return
        caller_end, callee_end = self._end(host), self._end(callee)
        caller_end.peer, callee_end.peer = callee_end, caller_end
        ephemeral = (host.ip, 32768 + caller_end.connection % 28000)
        self.clock.call_at(
            self.clock.mono + latency, lambda: self._tell_dialled(caller_end, target, ephemeral)
        )
        if not callee.accept(callee_end.connection, ephemeral):
            self.close(callee_end.connection)

    def _end(self, host: Host) -> _End:
        self._numbers += 1
        end = _End(self._numbers, host)
        self._ends[end.connection] = end
        return end

    def _tell_dialled(self, end: _End, target: Address, local: Address) -> None:
        if end.open and self._hosts.get(end.host.ip) is end.host:
            end.host.dialled(end.connection, target, local)

    def _tell_failed(self, host: Host, target: Address, reason: str) -> None:
        if self._hosts.get(host.ip) is host:
            host.dial_failed(target, reason)

    def _transmit(self, end: _End, data: bytes | None) -> None:
        peer = end.peer
        assert peer is not None
        self._after(self._latency(self._path(end)), lambda: self._deliver(peer, data))

    def _deliver(self, end: _End, data: bytes | None) -> None:
        """Bytes (None: the end of the stream) are at this end, unless the path is cut; then they wait."""
        if not end.open:
            return
        if self._path(end) in self._cut:
            end.inbox.append(data)
        elif data is None:
            end.open = False
            self._ends.pop(end.connection, None)
            end.host.closed(end.connection, "closed by the peer")
        else:
            end.host.received(end.connection, data)
