"""Streams and frames between hosts, over paths that come and go.

A stream keeps its order and loses nothing. While its path is cut, what is under way waits, as TCP
retransmits; so does all that follows. Nothing here knows what streams and frames carry.
"""

from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from random import Random
from struct import Struct
from zlib import crc32

from tulle.datapath.tapframe import ControlFrame
from tulle.sim.clock import Clock
from tulle.sim.ends import Address, End, FrameTaker, Host
from tulle.sim.internet import Internet
from tulle.sim.paths import Paths, Quality

DIAL_SECONDS = 5.0
"""How long a dial waits for an answer."""

KEEP_ALIVE = 5.0
DEAD_AFTER = 20.0
"""Seconds without any sign of the other machine, after which a kernel gives a connection up; and how often
it asks. As in ``daemon.links``."""

WINDOW = 256 * 1024
"""Bytes of one stream that may be under way; with more its sender has to wait."""

_ARRIVAL = Struct(">dII")

LONGEST_SILENCE = 8.0
"""Seconds at most between the end of a cut and the next retransmission."""


class Network:
    """Hosts, and the connections between them. Without an ``rng`` nothing happens by chance."""

    def __init__(self, quality: Quality | None = None, rng: Random | None = None) -> None:
        self.clock = Clock()
        self._chance = rng
        self.paths = Paths(quality or Quality(), rng or Random(0))
        self.trace = blake2b(digest_size=16)
        """A digest of everything that arrived anywhere, when, and in which order."""
        self.internet = Internet(self.clock, self.paths, self.trace)
        self.bytes_sent: Counter[str] = Counter()
        self.pieces = 0
        """How often a host wrote into a stream."""
        self.dials = 0
        self._hosts: dict[str, Host] = {}
        self._kernels: dict[str, FrameTaker] = {}
        self._ends: dict[int, End] = {}
        self._waiting: dict[int, End] = {}
        self._numbers = 0

    @property
    def total_bytes(self) -> int:
        """Bytes that all hosts put into streams."""
        return self.bytes_sent.total()

    @property
    def under_way(self) -> int:
        """Bytes in all streams that have not arrived."""
        return sum(end.unread for end in self._ends.values())

    # -- hosts

    def add(self, host: Host) -> None:
        """This host listens from now on."""
        self._hosts[host.ip] = host

    def remove(self, ip: str, silently: bool = False) -> None:
        """The host listens no more. Its connections are reset, or with ``silently`` never heard of again."""
        host = self._hosts.pop(ip)
        for end in [end for end in self._ends.values() if end.host is host]:
            if not silently:
                self.close(end.connection)
            self._drop(end)

    def listens(self, ip: str) -> bool:
        """Whether there is a host at this address."""
        return ip in self._hosts

    def refuses(self, source: str, target: str) -> bool:
        """Whether a machine answers a dial with "nobody listens"."""
        kernel = self._kernels.get(target)
        near = self.internet.may_dial(source, target) and self.paths.both_ways(source, target)
        up = near and kernel is not None and kernel.alive
        return up and not self.listens(target)

    # -- paths

    def cut(self, one: Iterable[str], other: Iterable[str], reset: bool = False) -> None:
        """No packet passes between these groups of addresses; ``reset`` breaks connections, else they
        hang."""
        others = list(other)
        pairs = {(a, b) for a in one for b in others if a != b}
        for a, b in sorted(pairs):
            self.paths.block(a, b)
            self.paths.block(b, a)
        if reset:
            self.reset_between(pairs)

    def reset_between(self, pairs: Iterable[tuple[str, str]]) -> None:
        """A box in the middle breaks every connection between these hosts."""
        broken = {frozenset(pair) for pair in pairs}
        for end in list(self._ends.values()):
            if end.open and end.peer is not None and frozenset((end.host.ip, end.peer.host.ip)) in broken:
                self._drop(end)
                end.host.closed(end.connection, "connection reset")

    def heal(self) -> None:
        """Every path works again, and what waited arrives."""
        self.paths.heal()
        self.retransmit()

    def retransmit(self) -> None:
        """Paths have come back: what waits is sent again, each stream at its own moment."""
        for end in list(self._waiting.values()):
            if self._chance is None:
                self._flush(end)
            elif self._reachable(end):
                silence = min(self.clock.mono - end.cut_at, LONGEST_SILENCE)
                self.clock.call_after(silence * self._chance.random(), self._flush, end)

    def watch(self) -> None:
        """Paths or machines have changed: kernels begin to wonder about connections, or no longer do."""
        if self._chance is None:
            return
        for end in self._ends.values():
            if self._in_touch(end):
                end.lonely_since = None
            elif end.lonely_since is None:
                end.lonely_since = self.clock.mono
                patience = DEAD_AFTER + KEEP_ALIVE * self._chance.random()
                self.clock.call_after(patience, self._give_up, end, end.lonely_since)
            self._find_stale(end)

    def _in_touch(self, end: End) -> bool:
        peer = end.peer
        if peer is None:
            return True
        kernel = self._kernels.get(peer.host.ip)
        up = kernel.alive if kernel is not None else self.listens(peer.host.ip)
        return up and self.paths.both_ways(end.host.ip, peer.host.ip)

    def _give_up(self, end: End, since: float) -> None:
        if end.open and end.lonely_since == since:
            self._drop(end)
            end.host.closed(end.connection, "connection timed out")

    def _find_stale(self, end: End) -> None:
        """The other machine lives and knows nothing of this connection: it will say so when asked."""
        peer = end.peer
        if self._chance and end.lonely_since is None and peer is not None and not peer.open and not end.ended:
            end.ended = True
            self.clock.call_after(KEEP_ALIVE * self._chance.random(), self._refuse, peer, b"")

    # -- streams

    def dial(self, host: Host, target: Address) -> None:
        """``host`` wants a connection to ``target``."""
        self.dials += 1
        if self.internet.may_dial(host.ip, target[0]) and self.paths.both_ways(host.ip, target[0]):
            self.clock.call_after(self.paths.delay(host.ip, target[0]), self._arrive, host, target)
        else:
            reason = "connection timed out"
            self.clock.call_after(DIAL_SECONDS, self._tell_failed, host, target, reason)

    def room(self, connection: int) -> bool:
        """Whether this stream takes more bytes now."""
        end = self._ends.get(connection)
        return end is not None and end.open and end.peer is not None and end.peer.unread < WINDOW

    def send(self, connection: int, data: bytes) -> None:
        """Put bytes into a stream; ignored when it is closed."""
        end = self._ends.get(connection)
        if end is None or not end.open or end.peer is None:
            return
        self.pieces += 1
        self.bytes_sent[end.host.ip] += len(data)
        end.peer.unread += len(data)
        self._transmit(end, data)

    def close(self, connection: int) -> None:
        """Close this end; the other hears of it in time."""
        end = self._ends.pop(connection, None)
        self._waiting.pop(connection, None)
        if end is not None and end.open:
            end.open = False
            if end.peer is not None:
                end.peer.ended = True
            self._transmit(end, None)

    def forget(self, connection: int) -> None:
        """This end is gone without a word, as when a middle box or the kernel drops it."""
        end = self._ends.get(connection)
        if end is not None:
            self._drop(end)

    # -- frames

    def add_kernel(self, kernel: FrameTaker) -> None:
        """Frames for this address go there."""
        self._kernels[kernel.ip] = kernel

    def tunnels_pass(self, source: str, target: str) -> bool:
        """Whether a frame of a kernel's tunnel gets there now. Routers that translate know no tunnels."""
        return self.internet.direct(source, target) and self.paths.tunnels_pass(source, target)

    def send_frame(self, source: str, target: str, frame: ControlFrame, hops: int) -> None:
        """A frame from one kernel to another; it may be lost, doubled and late."""
        for delay in self.paths.frame_delays(source, target):
            self.clock.call_after(delay, self._frame_arrives, source, target, frame, hops)

    # -- inside

    def _frame_arrives(self, source: str, target: str, frame: ControlFrame, hops: int) -> None:
        kernel = self._kernels.get(target)
        if kernel is not None and self.tunnels_pass(source, target):
            self.trace.update(_ARRIVAL.pack(self.clock.mono, frame.dst, crc32(frame.payload)))
            kernel.arrived(frame, source, hops)

    def _arrive(self, host: Host, target: Address) -> None:
        """The first packet of a dial is at the target."""
        back = self.paths.delay(target[0], host.ip)
        callee = self._hosts.get(target[0])
        if callee is None or callee.port != target[1]:
            self.clock.call_after(back, self._tell_failed, host, target, "connection refused")
            return
        caller_end, callee_end = self._end(host), self._end(callee)
        caller_end.peer, callee_end.peer = callee_end, caller_end
        caller_end.arrival = self.clock.mono + back
        ephemeral = 32768 + caller_end.connection % 28000
        self.clock.call_after(back, self._tell_dialled, caller_end, target, (host.ip, ephemeral))
        seen = self.internet.appears_as(host.ip, callee.ip)
        if not callee.accept(callee_end.connection, (seen, ephemeral)):
            self.close(callee_end.connection)

    def _end(self, host: Host) -> End:
        self._numbers += 1
        end = End(self._numbers, host)
        self._ends[end.connection] = end
        return end

    def _drop(self, end: End) -> None:
        end.open = False
        end.inbox.clear()
        self._ends.pop(end.connection, None)
        self._waiting.pop(end.connection, None)

    def _tell_dialled(self, end: End, target: Address, local: Address) -> None:
        if end.open and self._hosts.get(end.host.ip) is end.host:
            end.host.dialled(end.connection, target, local)

    def _tell_failed(self, host: Host, target: Address, reason: str) -> None:
        if self._hosts.get(host.ip) is host:
            host.dial_failed(target, reason)

    def _transmit(self, end: End, data: bytes | None) -> None:
        peer = end.peer
        assert peer is not None
        due = self.clock.mono + self.paths.delay(end.host.ip, peer.host.ip)
        peer.arrival = max(due, peer.arrival)
        self.clock.call_at(peer.arrival, self._deliver, peer, data)

    def _reachable(self, end: End) -> bool:
        assert end.peer is not None
        return self.paths.both_ways(end.peer.host.ip, end.host.ip)

    def _deliver(self, end: End, data: bytes | None) -> None:
        """Bytes (None: the end of the stream) are at this end, unless the path is cut; then they wait."""
        if not end.open:
            self._refuse(end, data)
        elif end.inbox or not self._passes(end):
            if not end.inbox:
                end.cut_at = self.clock.mono
                self._waiting[end.connection] = end
            end.inbox.append(data)
        else:
            self._hand_over(end, data)

    def _passes(self, end: End) -> bool:
        assert end.peer is not None
        return self.paths.passes(end.peer.host.ip, end.host.ip)

    def _flush(self, end: End) -> None:
        if not end.open or not end.inbox or not self._passes(end):
            return
        waiting, end.inbox = end.inbox, []
        self._waiting.pop(end.connection, None)
        for data in waiting:
            if end.open:
                self._hand_over(end, data)

    def _hand_over(self, end: End, data: bytes | None) -> None:
        if data is None:
            self._drop(end)
            end.host.closed(end.connection, "connection closed by the peer")
            return
        end.unread -= len(data)
        self.trace.update(_ARRIVAL.pack(self.clock.mono, end.connection, crc32(data)))
        was_full = end.unread + len(data) >= WINDOW > end.unread
        end.host.received(end.connection, data)
        peer = end.peer
        if was_full and peer is not None and peer.open:
            peer.host.writable(peer.connection)

    def _refuse(self, end: End, data: bytes | None) -> None:
        """Bytes for an end that is gone: a machine that lives answers with a reset."""
        peer = end.peer
        if data is None or peer is None or not peer.open or not self.listens(end.host.ip):
            return
        if self.paths.both_ways(end.host.ip, peer.host.ip):
            self._drop(peer)
            peer.host.closed(peer.connection, "connection reset by the peer")
