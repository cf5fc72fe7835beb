"""Frames on the TAP: how the daemon tells the kernel where a frame of its own goes, and is told where one
came from.

In the place of the two MAC addresses, which are zero on the wire, stands a header; ``layout.h`` has the same.
Data frames that go or came by the sleeve have one, with the first byte ``DATA``, before the whole frame.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address

from tulle.datapath.tables import ShortId
from tulle.errors import BadMessage

HEARTBEAT_ETHERTYPE = 0
ECHO_ETHERTYPE = 0x88B5
ETHERNET_HEADER = 14
DATA = 0x7A


class Way(IntEnum):
    """How a frame of ours travels; the numbers stand in the header.

    Straight to a neighbour's own address, the way that data takes over relays, or by the lane to a neighbour.
    """

    DIRECT = 0x74
    ROUTED = 0x76
    LANE = 0x78


_HEADER = struct.Struct(">BBHH4s2xH")


@dataclass(frozen=True, slots=True)
class ControlFrame:
    """One frame of ours. ``remote_ip`` is set on arrival only; ``payload`` is what follows the ethertype."""

    dst: ShortId
    src: ShortId
    ethertype: int
    payload: bytes
    remote_ip: str = "0.0.0.0"
    way: Way = Way.DIRECT

    def encode(self) -> bytes:
        """The bytes to write into the TAP."""
        address = IPv4Address(self.remote_ip).packed
        return _HEADER.pack(self.way, 0, self.dst, self.src, address, self.ethertype) + self.payload


def decode(data: bytes) -> ControlFrame:
    """What the TAP gave. Raises BadMessage for what is no frame of ours."""
    if len(data) < _HEADER.size:
        raise BadMessage("a frame from the TAP is too short")
    kind, _, dst, src, address, ethertype = _HEADER.unpack_from(data)
    try:
        way = Way(kind)
    except ValueError:
        raise BadMessage("a frame from the TAP is not ours") from None
    payload = data[_HEADER.size :]
    return ControlFrame(ShortId(dst), ShortId(src), ethertype, payload, str(IPv4Address(address)), way)
