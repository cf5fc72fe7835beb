"""Packets of one TCP connection that follow each other, put together again into a superframe.

A network card's driver does so with what it receives; for packets that come out of datagrams nobody does,
and each of them alone would cost the kernel as much as a superframe. Only what ``segments.packets`` would cut
into the very same packets is put together, and no packet waits longer than until the socket is empty.
"""

import struct
from collections.abc import Callable

from tulle.host.sleeve.segments import ones_sum
from tulle.host.sleeve.vnet import ETHERNET, NEEDS_CHECKSUM, NO_NOTES, TAP_HEADER, TCP4, VNET

Deliver = Callable[[bytes, bytes], None]
"""Takes a frame, and the kernel's notes that stand before it."""

MOST = 65535
"""Bytes of an IPv4 packet."""

LEAST = 512
"""Bytes of payload of packets that are worth the trouble."""

_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_IP = struct.Struct(">HH4xH")
"""Length, number and checksum; all else in the header stays the same, so their sum does as well."""

_ADDRESSES_AT = ETHERNET + 12
_TCP_AT = ETHERNET + 20
_PLAIN_TCP4 = b"\x08\x00\x45"
_DF = b"\x40\x00"
_TCP = 6
_ACK, _PSH = 0x10, 0x08
_CHECKSUM_OFFSET = 16


class Gather:
    """One superframe in the making."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._frames: list[bytes] = []
        self._alike = b""
        self._payload = self._length = self._number = self._sequence = self._size = self._sum = 0

    def add(self, frame: bytes) -> None:
        """The next frame; it and those before it come out in order."""
        if self._frames and self._continues(frame):
            self._append(frame)
            return
        self.flush()
        if not self._begin(frame):
            self._deliver(frame, NO_NOTES)

    def flush(self) -> None:
        """Nothing more comes for now."""
        frames, self._frames = self._frames, []
        if len(frames) == 1:
            self._deliver(frames[0], NO_NOTES)
        elif frames:
            self._deliver(self._joined(frames), self._notes())

    def _begin(self, frame: bytes) -> bool:
        """Whether others may follow this frame."""
        if frame[12:15] != _PLAIN_TCP4 or len(frame) < _TCP_AT + 20 + LEAST or frame[_TCP_AT + 13] != _ACK:
            return False
        payload = _TCP_AT + (frame[_TCP_AT + 12] >> 4) * 4
        if frame[20:22] != _DF or frame[23] != _TCP or payload < _TCP_AT + 20:
            return False
        if ones_sum(frame[ETHERNET:_TCP_AT]) != 0xFFFF or not _is_sound(frame):
            return False
        self._payload, self._length = payload, len(frame)
        self._alike = self._alike_of(frame)
        self._size = len(frame) - ETHERNET
        length, self._number, checksum = _IP.unpack_from(frame, 16)
        self._sum = (length + self._number + checksum) % 0xFFFF
        (self._sequence,) = _U32.unpack_from(frame, _TCP_AT + 4)
        self._frames = [frame]
        return True

    def _continues(self, frame: bytes) -> bool:
        """Whether this is what follows, and nothing but its payload is new."""
        size, count = len(frame), len(self._frames)
        if not self._payload < size <= self._length or self._size + size - self._payload > MOST:
            return False
        length, number, checksum = _IP.unpack_from(frame, 16)
        ahead = self._sequence + count * (self._length - self._payload) & 0xFFFFFFFF
        return (
            _U32.unpack_from(frame, _TCP_AT + 4)[0] == ahead
            and number == self._number + count & 0xFFFF
            and (length + number + checksum) % 0xFFFF == self._sum
            and frame[_TCP_AT + 13] & ~_PSH == _ACK
            and self._alike_of(frame) == self._alike
            and _is_sound(frame)
        )

    def _append(self, frame: bytes) -> None:
        self._frames.append(frame)
        self._size += len(frame) - self._payload
        if len(frame) < self._length or frame[_TCP_AT + 13] & _PSH:
            self.flush()

    def _alike_of(self, frame: bytes) -> bytes:
        """All that the headers say but lengths, numbers, checksums and the wish to be pushed."""
        tcp = _TCP_AT
        parts = (frame[:16], frame[20:24], frame[26 : tcp + 4], frame[tcp + 8 : tcp + 13])
        return b"".join((*parts, frame[tcp + 14 : tcp + 16], frame[tcp + 18 : self._payload]))

    def _joined(self, frames: list[bytes]) -> bytes:
        made = bytearray(frames[0])
        _U16.pack_into(made, 16, self._size)
        made[24:26] = b"\0\0"
        _U16.pack_into(made, 24, 0xFFFF - ones_sum(made[ETHERNET:_TCP_AT]))
        made[_TCP_AT + 13] = frames[-1][_TCP_AT + 13]
        partial = _TCP + self._size - 20 + ones_sum(made[_ADDRESSES_AT:_TCP_AT])
        _U16.pack_into(made, _TCP_AT + _CHECKSUM_OFFSET, partial % 0xFFFF or 0xFFFF)
        return b"".join((made, *[frame[self._payload :] for frame in frames[1:]]))

    def _notes(self) -> bytes:
        """Positions count from the end of the notes, so the tap header is among them."""
        start = TAP_HEADER.size + _TCP_AT
        header, segment = TAP_HEADER.size + self._payload, self._length - self._payload
        return VNET.pack(NEEDS_CHECKSUM, TCP4, header, segment, start, _CHECKSUM_OFFSET)


def _is_sound(frame: bytes) -> bool:
    """Whether length and TCP's checksum are right: afterwards nobody could tell any more.

    The addresses, which count in the checksum, stand right before TCP's header.
    """
    length = len(frame) - _TCP_AT
    return (
        frame[16:18] == (length + 20).to_bytes(2, "big")
        and (_TCP + length + ones_sum(frame[_ADDRESSES_AT:])) % 0xFFFF == 0
    )
