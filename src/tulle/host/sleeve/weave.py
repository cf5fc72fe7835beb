"""Paths in Weave Net's packet format: frames of the TAP become its datagrams, and back.

Its datagrams hold ordinary Ethernet frames, so superframes are cut here and checksums completed. How frames
must be to fit a path is ``datapath.sleeve.weave_fit``, how datagrams look ``datapath.sleeve.weave_packet``.
"""

import errno
import socket
from collections.abc import Callable
from itertools import chain, groupby

from tulle.datapath.sleeve.orders import (
    AimPath,
    Arrival,
    Count,
    Endpoint,
    PathId,
    Refused,
    SendMessage,
    WeavePath,
)
from tulle.datapath.sleeve.weave_fit import fit
from tulle.datapath.sleeve.weave_packet import (
    ETHERNET_HEADER,
    MAX_FRAME,
    PacketReader,
    PacketWriter,
    WeaveFrame,
    bundles,
    decode_frames,
    encode_frame,
    overhead,
    overlay_mtu,
    sender_of,
)
from tulle.datapath.tables import ShortId
from tulle.errors import BadMessage
from tulle.host.sleeve.gather import Gather
from tulle.host.sleeve.paths import Outlets
from tulle.host.sleeve.segments import packets
from tulle.host.sleeve.vnet import read_tap_header
from tulle.mesh.peername import PeerName, name_bytes

_IP_MTU = 14
_NO_ADDRESSES = bytes(ETHERNET_HEADER)
"""Instead of its Ethernet header, a message has zeros."""

_MOST_MESSAGES = 4
"""In a datagram. Each costs the daemon far more than its few bytes, and others send them one by one."""

_MOST_WAITING = 64
"""Frames; then they are sent, whether or not the TAP has more."""


class WeaveFormat:
    """All paths of this format; see ``paths.OtherFormat``. A datagram says the name of who sent it."""

    def __init__(self) -> None:
        self._paths: dict[PeerName, WeaveTraffic] = {}
        self._stirred: set[WeaveTraffic] = set()

    def open(self, path: PathId, format: WeavePath, outlets: Outlets) -> "WeaveTraffic":
        """A new path. It takes the place of an older one to the same peer."""
        made = WeaveTraffic(path, format, outlets, self._closed)
        self._paths[format.peer] = made
        return made

    def take(self, datagram: memoryview, source: Endpoint) -> bool:
        """See ``paths.OtherFormat``."""
        data = bytes(datagram)
        try:
            path = self._paths.get(sender_of(data))
        except BadMessage:
            return False
        if path is None:
            return False
        path.take(data, source)
        self._stirred.add(path)
        return True

    def settle(self) -> None:
        """See ``paths.OtherFormat``."""
        for path in self._stirred:
            path.settle()
        self._stirred.clear()

    def _closed(self, peer: PeerName, path: "WeaveTraffic") -> None:
        if self._paths.get(peer) is path:
            del self._paths[peer]
        self._stirred.discard(path)


class WeaveTraffic:
    """One path; see ``paths.Path``."""

    def __init__(
        self,
        path: PathId,
        format: WeavePath,
        outlets: Outlets,
        on_close: Callable[[PeerName, "WeaveTraffic"], None],
    ) -> None:
        self._path = path
        self._me, self._peer = format.me, format.peer
        self._sealed = format.session_key is not None
        self._writer = PacketWriter(format.me, format.session_key, format.dialler)
        self._reader = PacketReader(format.session_key, format.dialler)
        self._outlets = outlets
        self._on_close = on_close
        self._endpoint = Endpoint("0.0.0.0", 0)
        self._size = self._mtu = 0
        self._fragments = self._tentative = False
        self._waiting: tuple[list[bytes], list[bytes]] = ([], [])
        self._gather = Gather(self._hand_over)
        self._ends = format.peer, format.me
        self._sent = self._received = self._dropped = 0

    def aim(self, order: AimPath) -> None:
        """See ``paths.Path``."""
        self.flush()
        self._endpoint, self._size = order.endpoint, order.size
        self._fragments, self._tentative = order.fragments, order.tentative
        self._mtu = overlay_mtu(order.size, self._sealed)

    def message(self, order: SendMessage) -> None:
        """Send a message. If it is too large, say what the kernel knows to pass."""
        frame = encode_frame(WeaveFrame(self._me, self._peer, order.message))
        datagram = self._writer.write(frame, order.df)
        self._sent += 1
        problem = self._outlets.socket.send((datagram,), order.endpoint, order.df)
        if problem == errno.EMSGSIZE and order.df:
            mtu = path_mtu(order.endpoint)
            if mtu is not None:
                self._outlets.report(Refused(self._path, mtu))

    def frame(self, frame: memoryview) -> None:
        """See ``paths.Path``. Frames between peers of which one has no name are dropped."""
        header = read_tap_header(frame)
        names = self._outlets.names
        src, dst = names.get(ShortId(header.src)), names.get(ShortId(header.dst))
        if src is None or dst is None:
            self._dropped += 1
            return
        for packet in packets(frame):
            if not self._add(packet, src, dst):
                return

    def alone(self, frame: memoryview) -> None:
        """See ``paths.Path``."""
        self.frame(frame)
        self.flush()

    def flush(self) -> None:
        """See ``paths.Path``."""
        room = self._size - overhead(self._sealed)
        for df in (True, False):
            frames = self._waiting[df]
            if frames:
                made = [self._writer.pieces(bundle, df) for bundle in bundles(frames, room)]
                frames.clear()
                self._sent += len(made)
                self._send(made, df)

    def count(self) -> Count:
        """See ``paths.Path``. Without a key nothing is numbered, so nothing is known of what was lost."""
        expected = self._reader.expected if self._sealed else self._received
        return Count(self._sent, self._received, expected, self._dropped)

    def close(self) -> None:
        """See ``paths.Path``."""
        self._on_close(self._peer, self)

    def take(self, datagram: bytes, source: Endpoint) -> None:
        """A datagram that says to be from this path's peer."""
        try:
            contents = self._reader.read(datagram)
        except BadMessage:
            self._dropped += 1
            return
        self._received += 1
        frames, rest = decode_frames(contents)
        self._dropped += rest > 0
        trusted = self._sealed or source == self._endpoint
        messages = 0
        for frame in frames:
            if frame.data[:ETHERNET_HEADER] == _NO_ADDRESSES:
                messages += 1
                if (frame.src, frame.dst) == (self._peer, self._me) and messages <= _MOST_MESSAGES:
                    self._outlets.report(Arrival(self._path, frame.data, source, len(datagram)))
            elif not trusted or len(frame.data) < ETHERNET_HEADER or frame.src == self._me:
                self._dropped += 1
            else:
                self._deliver(frame)

    def settle(self) -> None:
        """No more datagrams come for now."""
        self._gather.flush()

    def _deliver(self, frame: WeaveFrame) -> None:
        """Put frames together as long as they travel between the same two peers."""
        if frame[:2] != self._ends:
            self._gather.flush()
            self._ends = frame[:2]
        self._gather.add(frame.data)

    def _hand_over(self, frame: bytes, notes: bytes) -> None:
        src, dst = self._ends
        self._outlets.deliver_plain(frame, dst, src, self._peer, notes)

    def _add(self, packet: bytes, src: PeerName, dst: PeerName) -> bool:
        """Line up a frame as it fits the path. False if it does not, and its sender has been told."""
        fitted = fit(packet, self._mtu, self._fragments, name_bytes(dst), self._tentative)
        if fitted.answer is not None:
            self._outlets.deliver_plain(fitted.answer, src, dst, self._peer)
        if not fitted.frames or len(packet) > MAX_FRAME:
            self._dropped += 1
            return False
        waiting = self._waiting[fitted.df]
        waiting += [encode_frame(WeaveFrame(src, dst, piece)) for piece in fitted.frames]
        if len(waiting) >= _MOST_WAITING:
            self.flush()
        return True

    def _send(self, datagrams: list[tuple[bytes, bytes]], df: bool) -> None:
        """Those of one length go to the kernel together, for it to cut them apart again."""
        if not df:
            for datagram in datagrams:
                self._outlets.socket.send(datagram, self._endpoint, df)
            return
        for length, some in groupby(datagrams, lambda pieces: len(pieces[0]) + len(pieces[1])):
            self._outlets.socket.send_alike(b"".join(chain.from_iterable(some)), length, self._endpoint)


def path_mtu(endpoint: Endpoint) -> int | None:
    """The largest IP packet that the kernel believes to pass to an address; None if it knows no way there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asking:
        try:
            asking.connect(endpoint)
            return asking.getsockopt(socket.IPPROTO_IP, _IP_MTU)
        except OSError:
            return None
