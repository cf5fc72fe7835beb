"""The sleeve: one UDP socket and one TAP for all neighbours that frames reach through user space."""

import struct
import time
from collections.abc import Callable, Mapping, Sequence, Set

from tulle.datapath.sleeve.orders import (
    AimPath,
    Arrival,
    ClosePath,
    Count,
    Endpoint,
    KnowPeers,
    NativePath,
    OpenPath,
    PathId,
    Refused,
    SealBetween,
    SendMessage,
    SleeveOrder,
)
from tulle.datapath.tables import ShortId
from tulle.host.direct import add_reader
from tulle.host.pm_qos import PmQos
from tulle.host.sleeve import parcels, vnet
from tulle.host.sleeve.batch import Batch, Run
from tulle.host.sleeve.native import Native
from tulle.host.sleeve.paths import SMALL, OtherFormat, Path
from tulle.host.sleeve.reception import Reception
from tulle.host.sleeve.sealed import Sealed
from tulle.host.sleeve.segments import packets
from tulle.host.sleeve.udp import UdpSocket
from tulle.host.sleeve.wire import HEADER, KIND, Kind
from tulle.host.sleeve.workshop import Workshop
from tulle.host.tap import Tap
from tulle.mesh.peername import PeerName

_WAY = struct.Struct(">HHH")
_WAY_AT = vnet.VNET.size + 2
"""Where a frame says by short id whom it is for, from whom, and which neighbour it goes to."""
_MAC = slice(vnet.PREFIX, vnet.PREFIX + 6)
_FRAME = int(Kind.FRAME)
_MOST_WAYS = 4096
"""Pairs of which it is remembered that one sends to the other over a third."""
_NO_COUNT = Count(0, 0, 0, 0)


class Sleeve:
    """Carries frames by paths, as it is ordered to. Lives in the event loop in which it is started."""

    def __init__(
        self,
        port: int,
        address: str = "",
        clock: Callable[[], float] = time.monotonic,
        pm_qos: PmQos | None = None,
    ) -> None:
        """Open the socket. Raises UserError if the port is taken. ``pm_qos`` None: processors may halt."""
        self.socket = UdpSocket(port, address)
        self.strangers = 0
        """Datagrams that belong to no path."""
        self.undelivered = 0
        """Frames that no path or no kernel would take."""
        self._dropped = 0
        """By paths that are closed."""
        self._clock = clock
        self._pm_qos = pm_qos
        self._framed = False
        """Whether a datagram that came alone was a frame: messages between daemons keep nobody awake."""
        self._shop = Workshop()
        self._reception = Reception(self.socket, self)
        self._tap: Tap | None = None
        self._other: OtherFormat | None = None
        self._report: Callable[[Arrival | Refused], None] | None = None
        self._paths: dict[PathId, Path] = {}
        self._native: dict[int, Native] = {}
        self._indexes: dict[PathId, int] = {}
        self._aimed: dict[PathId, ShortId] = {}
        self._by_neighbour: dict[int, Path] = {}
        self._waiting: set[Path] = set()
        self._relayed: set[tuple[int, int]] = set()
        self._ready: list[bytes | memoryview] = []
        self._names: Mapping[ShortId, PeerName] = {}
        self._short_ids: dict[PeerName, ShortId] = {}
        self._sealed = Sealed(self, clock)
        self._orders: dict[type, Callable[..., None]] = {
            OpenPath: self._open,
            ClosePath: self._close,
            AimPath: self._aim,
            SendMessage: self._send,
            KnowPeers: self._know,
            SealBetween: self._sealed.know,
        }
        self._counts: dict[PathId, Count] = {}
        self._end_reading: Callable[[], None] | None = None
        self._reported = False

    def start(self, tap: Tap, report: Callable[[Arrival | Refused], None]) -> None:
        """Carry frames from now on, in the running event loop, and report what the pure part must know."""
        self._report = report
        self.use_tap(tap)
        self._end_reading = add_reader(self.socket.fileno(), self.receive)

    def use_tap(self, tap: Tap) -> None:
        """Take frames from this TAP, and give them to it."""
        self._tap = tap
        tap.on_data(self._send_frames)

    def use_format(self, other: OtherFormat) -> None:
        """Who knows the paths that are not of our own format."""
        self._other = other

    def do(self, order: SleeveOrder) -> None:
        """Do what the pure part wants. Orders for paths that are not open are void."""
        self._orders[type(order)](order)

    def count(self, path: PathId) -> Count:
        """What a path has carried."""
        found = self._paths.get(path)
        return found.count() if found is not None else _NO_COUNT

    def changed_counts(self) -> dict[PathId, Count]:
        """What those paths have carried whose counts changed since this was asked last."""
        counts = {path: found.count() for path, found in self._paths.items()}
        changed = {path: count for path, count in counts.items() if count != self._counts.get(path)}
        self._counts = counts
        return changed

    def relayed(self) -> Set[tuple[ShortId, ShortId]]:
        """From whom and to whom frames went over a third since this was asked last; of very many, some."""
        relayed, self._relayed = self._relayed, set()
        return {(ShortId(src), ShortId(dst)) for src, dst in relayed}

    def counters(self) -> dict[str, int]:
        """What was not carried: datagrams of strangers; those forged, replayed, damaged or late; and frames
        that nobody took."""
        dropped = self._dropped + sum(path.count().dropped for path in self._paths.values())
        return {
            "sleeve_strangers": self.strangers + self._sealed.strangers,
            "sleeve_dropped": dropped + self._sealed.dropped,
            "sleeve_undelivered": self.undelivered,
        }

    def close(self) -> None:
        """Stop, and forget all paths."""
        if self._end_reading is not None:
            self._end_reading()
            self._end_reading = None
        if self._tap is not None:
            self._tap.on_data(None)
        if self._pm_qos is not None:
            self._pm_qos.release()
        for path in list(self._paths):
            self._close(ClosePath(path))
        self.socket.close()

    # Outlets

    @property
    def names(self) -> Mapping[ShortId, PeerName]:
        """See ``paths.Outlets``."""
        return self._names

    def deliver(self, frames: Sequence[memoryview], peer: PeerName) -> None:
        """See ``paths.Outlets``."""
        if not self._sealed.active:
            self.deliver_here(frames, peer)
            return
        for frame in frames:
            if frame[_MAC] == parcels.MAC and self._sealed.is_ours(frame):
                self._sealed.take(frame)
            else:
                self.deliver_here((frame,), peer)

    def deliver_here(self, frames: Sequence[memoryview], peer: PeerName) -> None:
        """See ``sealed.Outlets``."""
        via = self._short_ids.get(peer)
        fit = [] if via is None else vnet.readdress(frames, via)
        self.undelivered += len(frames) - len(fit)
        self._ready += fit

    def deliver_plain(
        self, frame: bytes, dst: PeerName, src: PeerName, peer: PeerName, notes: bytes = vnet.NO_NOTES
    ) -> bool:
        """See ``paths.Outlets``."""
        ids = self._short_ids
        to, origin, via = ids.get(dst), ids.get(src), ids.get(peer)
        if to is None or origin is None or via is None:
            self.undelivered += 1
            return False
        prefix = vnet.plain_prefix(to, origin, via, notes)
        if self._sealed.active and frame.startswith(parcels.MAC):
            self.deliver((memoryview(bytearray(prefix + frame)),), peer)
            return True
        self._ready.append(prefix + frame)
        return True

    def report(self, report: Arrival | Refused) -> None:
        """See ``paths.Outlets``."""
        if self._report is not None:
            self._reported = True
            self._report(report)

    # Frames out

    def _send_frames(self, frames: list[memoryview]) -> None:
        sealed = self._sealed
        if len(frames) == 1 and len(frames[0]) <= SMALL and self._send_alone(frames[0]):
            return
        for frame in frames:
            dst, src, via = _WAY.unpack_from(frame, _WAY_AT)
            if via != dst:
                if len(self._relayed) < _MOST_WAYS:
                    self._relayed.add((src, dst))
                if sealed.active and sealed.send(frame):
                    continue
            path = self._by_neighbour.get(via)
            if path is not None:
                self._waiting.add(path)
                path.frame(frame)
            elif frame[_MAC] == parcels.MAC and sealed.is_ours(frame):
                sealed.take(frame)
            else:
                self.undelivered += 1
        self._flush()

    def _send_alone(self, frame: memoryview) -> bool:
        """Send the one small frame that there is the shortest way. False if it goes to no neighbour."""
        dst, _, via = _WAY.unpack_from(frame, _WAY_AT)
        path = self._by_neighbour.get(via)
        if via != dst or path is None:
            return False
        path.alone(frame)
        return True

    def pass_on(self, frame: memoryview, neighbour: int) -> None:
        """See ``sealed.Outlets``."""
        path = self._by_neighbour.get(neighbour)
        if path is None:
            self.undelivered += 1
            return
        self._waiting.add(path)
        path.frame(frame)
        self.socket.flush()

    def _flush(self) -> None:
        if self._sealed.active:
            self._sealed.flush()
        for path in self._waiting:
            path.flush()
        self._waiting.clear()
        self.socket.flush()
        if self._ready:
            self.settle()

    # Datagrams in

    def receive(self) -> bool:
        """Take what waits in the socket, but not for ever. True if there was something to report."""
        self._reported = self._framed = False
        lone, tap = self._reception.receive(), self._tap
        if tap is not None:
            if not lone:
                tap.hurry()
            elif tap.take_answer():  # what comes out of the TAP at once may be one
                self._reported = True
        if lone and self._framed and self._pm_qos is not None and self._pm_qos.came():
            self._reported = True
        if self._other is not None:
            self._other.settle()
            if self._ready:
                self.settle()
        return self._reported

    def take(self, batch: Batch, source: Endpoint) -> None:
        """Take datagrams from one sender."""
        at = 0
        while at < batch.count:
            path = self._native.get(batch.index(at))
            if path is None:
                self._take_strange(batch.datagram(at), source)
                at += 1
                continue
            run = batch.run(at)
            path.take(run, source)
            at += run.number

    def take_one(self, datagram: memoryview, source: Endpoint) -> None:
        """Take a datagram that came alone."""
        if len(datagram) > HEADER.size:
            index, sequence, kind, position, last, padding = HEADER.unpack_from(datagram)
            path = self._native.get(index)
            if path is not None:
                if position or last or kind & KIND != _FRAME:
                    path.take(Run.alone(datagram), source)
                    return
                frame = path.open(datagram, sequence, kind, padding)
                if frame is not None:
                    self._framed = True
                    (self.deliver if self._sealed.active else self.deliver_here)((frame,), path.peer)
                return
        self._take_strange(datagram, source)

    def _take_strange(self, datagram: memoryview, source: Endpoint) -> None:
        if self._other is None or not self._other.take(datagram, source):
            self.strangers += 1

    def settle(self) -> None:
        """Hand the kernel what has come for it. The places where it lies are free then."""
        tap = self._tap
        for frame in self._ready if tap is None else tap.write_all(self._ready):
            if tap is None or not self._write_cut(tap, bytearray(frame)):
                self.undelivered += 1
        self._ready.clear()
        self._shop.opened.clear()
        if self._sealed.active:
            self._sealed.settle()

    def _write_cut(self, tap: Tap, frame: bytearray) -> bool:
        """Kernels before 6.2 do not take big UDP frames: give them the packets that these would become."""
        if vnet.read_vnet(frame).gso != vnet.UDP:
            return False
        prefix = vnet.without_notes(frame)
        return all(tap.write_data(prefix + packet) for packet in packets(frame))

    # Orders

    def _open(self, order: OpenPath) -> None:
        self._close(ClosePath(order.path))
        if isinstance(order.format, NativePath):
            native = Native(order.path, order.format, self, self._shop, self._clock)
            self._native[order.format.receive_index] = self._paths[order.path] = native
            self._indexes[order.path] = order.format.receive_index
        elif self._other is not None:
            self._paths[order.path] = self._other.open(order.path, order.format, self)

    def _close(self, order: ClosePath) -> None:
        path = self._paths.pop(order.path, None)
        if path is None:
            return
        self._dropped += path.count().dropped
        self._waiting.discard(path)
        self._choose(order.path, None)
        self._native.pop(self._indexes.pop(order.path, -1), None)
        path.close()

    def _aim(self, order: AimPath) -> None:
        path = self._paths.get(order.path)
        if path is None:
            return
        self._waiting.discard(path)
        path.aim(order)
        self._choose(order.path, order.short_id)

    def _choose(self, path: PathId, neighbour: ShortId | None) -> None:
        """Of several paths to a neighbour the one aimed last has its frames; after it, the one before."""
        self._aimed.pop(path, None)
        if neighbour is not None:
            self._aimed[path] = neighbour
        self._by_neighbour = {neighbour: self._paths[path] for path, neighbour in self._aimed.items()}

    def _send(self, order: SendMessage) -> None:
        path = self._paths.get(order.path)
        if path is not None:
            path.message(order)

    def _know(self, order: KnowPeers) -> None:
        self._names = order.names
        self._short_ids = {name: short_id for short_id, name in order.names.items()}
