"""What stands before a frame on the TAP: the kernel's notes on offloads, and the tap header.

``virtio_net_hdr`` (10 bytes) says whether a frame is a superframe, to be cut into packets of ``gso_size``
bytes of payload each, and which checksum is not complete yet. The tap header (14 bytes, see
``datapath.tapframe``) says where a data frame goes or where it came from. The Ethernet frame follows.
"""

import struct
from collections.abc import Iterable
from typing import NamedTuple

from tulle.datapath.tapframe import DATA

VNET = struct.Struct("<BBHHHH")
TAP_HEADER = struct.Struct(">BBHHH4xH")
NO_NOTES = bytes(VNET.size)
"""Of a frame that nothing is left to do with."""
PREFIX = VNET.size + TAP_HEADER.size
"""Bytes before the Ethernet frame."""

_KIND_AT = VNET.size
_LAST_HOP = struct.Struct(">H4xH")
_LAST_HOP_AT = PREFIX - _LAST_HOP.size
"""The end of the tap header: which neighbour the frame comes from."""

ETHERNET = 14
_SHORTEST = PREFIX + ETHERNET
MAX_FRAME = 65536 + PREFIX + ETHERNET + 8
"""The longest frame that the kernel hands over: IP's limit, and a few more bytes for VLAN tags."""

NEEDS_CHECKSUM = 1
TCP4, TCP6, UDP = 1, 4, 5
_ECN = 0x80
_ADDRESS_FAMILY = 0x0800
HOPS = 64
"""Relays that a frame may pass when it comes from a peer that does not count them."""

_LEAST_SEGMENT = 48
"""Bytes of payload. Smaller than any segment size that TCP agrees to; what says less would only burn time."""


class Vnet(NamedTuple):
    """The kernel's notes. Positions count from the end of the notes."""

    flags: int = 0
    gso_type: int = 0
    header: int = 0
    gso_size: int = 0
    checksum_start: int = 0
    checksum_offset: int = 0

    @property
    def gso(self) -> int:
        """What kind of superframe it is: 0 none, TCP4, TCP6 or UDP."""
        return self.gso_type & ~_ECN


class TapHeader(NamedTuple):
    """Ends of a frame's way, by short id, and the neighbour it goes to or came from."""

    kind: int
    hops_left: int
    dst: int
    src: int
    via: int
    ethertype: int = _ADDRESS_FAMILY


def read_vnet(frame: memoryview | bytearray | bytes) -> Vnet:
    """The notes before a frame that is long enough to have them."""
    return Vnet._make(VNET.unpack_from(frame))


def read_tap_header(frame: memoryview | bytearray | bytes) -> TapHeader:
    """The tap header of a frame that is long enough to have one."""
    return TapHeader._make(TAP_HEADER.unpack_from(frame, VNET.size))


def readdress(frames: Iterable[memoryview], via: int) -> list[memoryview]:
    """Write tap headers anew for the kernel: the frames came from the neighbour ``via``.

    Answers those of them that are fit for the kernel (which checks further).
    """
    fit, last_hop = [], _LAST_HOP.pack(via, _ADDRESS_FAMILY)
    for frame in frames:
        if _SHORTEST <= len(frame) <= MAX_FRAME and (not frame[1] or _is_cut_right(frame)):
            frame[_KIND_AT] = DATA
            frame[_LAST_HOP_AT:PREFIX] = last_hop
            fit.append(frame)
    return fit


def _is_cut_right(frame: memoryview) -> bool:
    """Whether the kernel can cut a superframe of this kind, and not into too many packets."""
    return frame[1] & ~_ECN in (TCP4, TCP6, UDP) and read_vnet(frame).gso_size >= _LEAST_SEGMENT


def without_notes(frame: memoryview | bytearray) -> bytes:
    """What stands before a frame, but that nothing is left to do with it."""
    return bytes(VNET.size) + frame[VNET.size : PREFIX]


def plain_prefix(dst: int, src: int, via: int, notes: bytes = NO_NOTES) -> bytes:
    """What stands before an Ethernet frame that came from ``via``."""
    return notes + TAP_HEADER.pack(DATA, HOPS, dst, src, via, _ADDRESS_FAMILY)
