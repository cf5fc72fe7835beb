"""Weave Net's sleeve packets: Ethernet frames, each between two names, packed into datagrams.

A frame says from which peer to which it travels; these are its ends, not its hops. A datagram says which
neighbour sent it, and holds one or more frames. Between peers with a password the frames are one NaCl box,
and before it stands the number from which its nonce is made. Datagrams that the network may not break up (DF)
and others are counted apart, and the number's highest bit tells which it is.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from nacl.bindings import crypto_secretbox, crypto_secretbox_open
from nacl.exceptions import CryptoError

from tulle.datapath.sleeve.weave_replay import ReplayWindow
from tulle.errors import BadMessage
from tulle.mesh.dialect.weave.sealing import FROM_DIALLER, OVERHEAD, nonce
from tulle.mesh.peername import PeerName

UDP_OVERHEAD = 28
"""Bytes of the IPv4 and UDP headers around a datagram."""

FRAME_OVERHEAD = 14
"""Bytes before each frame."""

ETHERNET_HEADER = 14
MAX_FRAMES = 100
"""As many frames are packed together at most."""

MAX_FRAME = 65535
"""Bytes of the longest frame that a packet can say."""

DF = 1 << 63

_NAME = 6
_NAMES = struct.Struct(">HIHIH")
_NUMBER = struct.Struct(">Q")


class WeaveFrame(NamedTuple):
    """An Ethernet frame on its way between the peers at its two ends."""

    src: PeerName
    dst: PeerName
    data: bytes


class Frames(NamedTuple):
    """What was in a datagram. ``rest``: bytes at its end that are no frame; 0 unless it is damaged."""

    frames: list[WeaveFrame]
    rest: int


def overhead(sealed: bool) -> int:
    """Bytes of a datagram that are not frames."""
    return _NAME + (_NUMBER.size + OVERHEAD if sealed else 0)


def overlay_mtu(size: int, sealed: bool) -> int:
    """The largest IP packet whose frame fits into a datagram of ``size`` bytes."""
    return size - overhead(sealed) - FRAME_OVERHEAD - ETHERNET_HEADER


def datagram_size(mtu: int, sealed: bool) -> int:
    """The opposite: how large a datagram is that holds one frame with an IP packet of ``mtu`` bytes."""
    return mtu + ETHERNET_HEADER + FRAME_OVERHEAD + overhead(sealed)


def encode_frame(frame: WeaveFrame) -> bytes:
    """One frame as it stands in a datagram, before sealing."""
    src, dst, data = frame
    return _NAMES.pack(src >> 32, src & 0xFFFFFFFF, dst >> 32, dst & 0xFFFFFFFF, len(data)) + data


def decode_frames(data: bytes) -> Frames:
    """The frames of a datagram. What is left where no whole frame stands any more is only counted."""
    frames = []
    at, end = 0, len(data)
    while end - at >= FRAME_OVERHEAD:
        src_high, src_low, dst_high, dst_low, length = _NAMES.unpack_from(data, at)
        start = at + FRAME_OVERHEAD
        if length > end - start:
            break
        at = start + length
        src, dst = PeerName(src_high << 32 | src_low), PeerName(dst_high << 32 | dst_low)
        frames.append(WeaveFrame(src, dst, data[start:at]))
    return Frames(frames, end - at)


def bundles(frames: Iterable[bytes], room: int) -> Iterator[bytes]:
    """Encoded frames, packed together as long as ``room`` bytes hold them. One that is larger goes alone."""
    bundle: list[bytes] = []
    size = 0
    for frame in frames:
        if bundle and (size + len(frame) > room or len(bundle) == MAX_FRAMES):
            yield b"".join(bundle)
            bundle, size = [], 0
        bundle.append(frame)
        size += len(frame)
    if bundle:
        yield b"".join(bundle)


def sender_of(datagram: bytes) -> PeerName:
    """Who says to have sent this. Raises BadMessage if nobody does."""
    if len(datagram) < _NAME:
        raise BadMessage("a datagram is too short for a peer name")
    return PeerName(int.from_bytes(datagram[:_NAME], "big"))


@dataclass(slots=True)
class PacketWriter:
    """Makes the datagrams of one path. ``key`` None: not sealed. ``next`` are the next numbers, DF second."""

    me: PeerName
    key: bytes | None = field(repr=False)
    dialler: bool
    next: list[int] = field(default_factory=lambda: [0, 0])

    def write(self, frames: bytes, df: bool) -> bytes:
        """A datagram with these encoded frames. Every call uses up a number."""
        return b"".join(self.pieces(frames, df))

    def pieces(self, frames: bytes, df: bool) -> tuple[bytes, bytes]:
        """The same, with its header apart."""
        head = self.me.to_bytes(_NAME, "big")
        if self.key is None:
            return head, frames
        number = self.next[df]
        self.next[df] = number + 1
        if df:
            number |= DF
        box = crypto_secretbox(frames, nonce(FROM_DIALLER if self.dialler else 0, number), self.key)
        return head + _NUMBER.pack(number), box


class PacketReader:
    """Opens the datagrams that come by one path; ``dialler``: we dialled, so the other end did not."""

    def __init__(self, key: bytes | None, dialler: bool) -> None:
        self._key = key
        self._first = 0 if dialler else FROM_DIALLER
        self._windows: Sequence[ReplayWindow] = (ReplayWindow(), ReplayWindow())

    def read(self, datagram: bytes) -> bytes:
        """The encoded frames. Raises BadMessage for what the peer did not seal, or what came before."""
        if self._key is None:
            return datagram[_NAME:]
        if len(datagram) < overhead(sealed=True):
            raise BadMessage("a sealed datagram is too short")
        (number,) = _NUMBER.unpack_from(datagram, _NAME)
        window = self._windows[number >> 63]
        position = number & ~DF
        if not window.is_new(position):
            raise BadMessage("a datagram came again, or much too late")
        try:
            box = datagram[_NAME + _NUMBER.size :]
            frames = crypto_secretbox_open(box, nonce(self._first, number), self._key)
        except CryptoError:
            raise BadMessage("a sealed datagram cannot be opened") from None
        window.add(position)
        return frames

    @property
    def expected(self) -> int:
        """How many datagrams the other end has sent, as far as the numbers tell."""
        return sum(window.end for window in self._windows)
