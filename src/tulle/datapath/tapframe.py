"""Frames on the TAP: how the daemon tells the kernel where a frame of its own goes, and is told where one
came from.

In the place of the two MAC addresses, which are zero on the wire, stands a header; ``layout.h`` has the same.
"""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from tulle.datapath.tables import ShortId
from tulle.errors import BadMessage

DIRECT = 0x74
ROUTED = 0x76
HEARTBEAT_ETHERTYPE = 0
ECHO_ETHERTYPE = 0x88B5
ETHERNET_HEADER = 14

_HEADER = struct.Struct(">BBHH4s2xH")


@dataclass(frozen=True, slots=True)
class ControlFrame:
    """One frame of ours. ``remote_ip`` is set on arrival only; ``payload`` is what follows the ethertype.

    A ``routed`` frame takes the way that data takes, over relays; others go straight to a neighbour's own
    address.
    """

    dst: ShortId
    src: ShortId
    ethertype: int
    payload: bytes
    remote_ip: str = "0.0.0.0"
    routed: bool = False

    def encode(self) -> bytes:
        """The bytes to write into the TAP."""
        kind = ROUTED if self.routed else DIRECT
        address = IPv4Address(self.remote_ip).packed
        return _HEADER.pack(kind, 0, self.dst, self.src, address, self.ethertype) + self.payload


def decode(data: bytes) -> ControlFrame:
    """What the TAP gave. Raises BadMessage for what is no frame of ours."""
    if len(data) < _HEADER.size:
        raise BadMessage("a frame from the TAP is too short")
    kind, _, dst, src, address, ethertype = _HEADER.unpack_from(data)
    if kind not in (DIRECT, ROUTED):
        raise BadMessage("a frame from the TAP is not ours")
    payload = data[_HEADER.size :]
    return ControlFrame(
        ShortId(dst), ShortId(src), ethertype, payload, str(IPv4Address(address)), kind == ROUTED
    )
