"""Datagrams in frames: sealed for one host, to be relayed by others like any frame of a container.

An IPv4/UDP packet, or a superframe of many, from and to addresses that nobody has (RFC 7600). The receiver
knows it by its MAC address.
"""

import struct
from collections.abc import Callable, Sequence

from tulle.datapath.sleeve.orders import Endpoint
from tulle.datapath.tapframe import DATA
from tulle.host.msghdr import Vectors
from tulle.host.sleeve import vnet
from tulle.host.sleeve.segments import ones_sum
from tulle.host.sleeve.udp import MOST_BYTES, MOST_SEGMENTS, Buffer
from tulle.host.sleeve.vnet import ETHERNET, PREFIX, VNET, TapHeader, Vnet

MAC = b"\x02tulle"
"""The destination of such frames; ``layout.h`` has the same."""
_FROM = b"\x02tullf"

_IPV4 = b"\x08\x00"
_IP, _UDP = struct.Struct(">BBHHHBBH4s4s"), struct.Struct(">HHHH")
_NOBODY = bytes((192, 0, 0, 8))
_UDP_PROTOCOL = 17
_PORT = 6783
HEADERS = _IP.size + _UDP.size
"""Bytes of a packet around its datagram."""
_PAYLOAD = PREFIX + ETHERNET + HEADERS
_LEAST_STRIDE = 48


BIGGEST = _PAYLOAD + MOST_BYTES
"""Bytes of a frame."""


class Packets:
    """Puts datagrams into frames, in the place of a socket that sends them; see ``udp.Datagrams``.

    ``place`` is where frames are made, one at a time, ``BIGGEST`` bytes.
    """

    def __init__(self, place: memoryview, pass_on: Callable[[memoryview, int], None]) -> None:
        self._frame = place
        self._pass_on = pass_on
        self._way = TapHeader(DATA, vnet.HOPS, 0, 0, 0)

    def aim(self, way: TapHeader) -> None:
        """Where frames go from now on."""
        self._way = way

    def send(self, pieces: Sequence[Buffer], endpoint: Endpoint, df: bool = True) -> int:
        """One datagram."""
        self._send(b"".join(pieces), MOST_BYTES)
        return 0

    def send_many(self, pieces: Vectors, count: int, length: int, together: int, endpoint: Endpoint) -> None:
        """Datagrams of this length, of which so many are one unit, in as few frames as may be."""
        most = min(MOST_SEGMENTS, (MOST_BYTES - HEADERS) // length)
        most = most // together * together or most
        for start in range(0, count, most):
            self._send(pieces.join(2 * start, 2 * min(most, count - start)), length)

    def _send(self, payload: bytes, length: int) -> None:
        end = _PAYLOAD + len(payload)
        self._frame[:_PAYLOAD] = self._front(len(payload), length if len(payload) > length else 0)
        self._frame[_PAYLOAD:end] = payload
        self._pass_on(self._frame[:end], self._way.via)

    def _front(self, size: int, length: int) -> bytes:
        """All that stands before the payload; ``length`` of each of its datagrams, 0 if it is one."""
        size += _UDP.size
        checksum, notes = 0, Vnet()
        if length:
            at = vnet.TAP_HEADER.size + ETHERNET + _IP.size
            notes = Vnet(vnet.NEEDS_CHECKSUM, vnet.UDP, at + _UDP.size, length, at, 6)
            checksum = ones_sum(_NOBODY + _NOBODY + struct.pack(">HH", _UDP_PROTOCOL, size))
        ip = bytearray(_IP.pack(0x45, 0, size + _IP.size, 0, 0, 64, _UDP_PROTOCOL, 0, _NOBODY, _NOBODY))
        struct.pack_into(">H", ip, 10, 0xFFFF - ones_sum(ip))
        return b"".join(
            (
                VNET.pack(*notes),
                vnet.TAP_HEADER.pack(*self._way),
                MAC + _FROM + _IPV4,
                ip,
                _UDP.pack(_PORT, _PORT, size, checksum),
            )
        )


def unpack(frame: memoryview) -> tuple[memoryview, int] | None:
    """The datagrams in a frame, and how far they lie apart; None if it holds none."""
    if len(frame) <= _PAYLOAD or frame[PREFIX + 12 : PREFIX + 14] != _IPV4 or frame[PREFIX + 14] != 0x45:
        return None
    notes = vnet.read_vnet(frame)
    payload = frame[_PAYLOAD:]
    if notes.gso:
        return (payload, notes.gso_size) if notes.gso_size >= _LEAST_STRIDE else None
    size = _UDP.unpack_from(frame, _PAYLOAD - _UDP.size)[2] - _UDP.size
    return (payload[:size], size) if 0 < size <= len(payload) else None
