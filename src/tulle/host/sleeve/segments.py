"""Superframes cut up: into smaller superframes, each of which stands alone, or into single packets.

A superframe is one TCP or UDP packet of up to 64 KB that the kernel would cut at the last moment. Every piece
gets a copy of its headers with lengths, sequence number, flags and checksums set right.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from tulle.host.sleeve import vnet
from tulle.host.sleeve.vnet import ETHERNET, NEEDS_CHECKSUM, PREFIX, TCP4, TCP6, UDP, VNET

_IPV4, _IPV6, _VLAN = 0x0800, 0x86DD, 0x8100
_U16 = struct.Struct(">H")
_U16_PAIR = struct.Struct(">HH")
_U32 = struct.Struct(">I")
_TCP_HEADER, _UDP_HEADER = 20, 8
_IPV4_HEADER, _IPV6_HEADER = 20, 40
_LONGEST = 0xFFFF
"""Bytes of an IP packet: what its header can say."""

_TCP = 6
_FIN_AND_PSH, _CWR = 0x09, 0x80


def ones_sum(data: bytes | bytearray | memoryview) -> int:
    """The ones' complement sum of 16-bit words (RFC 1071), folded: at most 0xFFFF, 0 only for zeros.

    Folding is taking the remainder by 0xFFFF, so the whole is one number to Python.
    """
    number = int.from_bytes(data, "big") << 8 * (len(data) & 1)
    return number % 0xFFFF or (0xFFFF if number else 0)


@dataclass(frozen=True, slots=True)
class Superframe:
    """The headers of a superframe, and where its parts are, counted from the beginning of its vnet header."""

    headers: bytes
    is_tcp: bool
    network: int
    transport: int
    payload: int
    size: int
    gso_size: int

    @classmethod
    def read(cls, frame: memoryview | bytearray) -> "Superframe | None":
        """What a frame of the TAP is; None if it is no superframe that can be cut.

        A container may have made it, and the kernel looks at it no closer than we do.
        """
        size = len(frame)
        if size < PREFIX + ETHERNET:
            return None
        notes = vnet.read_vnet(frame)
        if notes.gso not in (TCP4, TCP6, UDP) or not notes.gso_size:
            return None
        is_tcp = notes.gso != UDP
        transport = VNET.size + notes.checksum_start
        if transport + _TCP_HEADER > size:
            return None
        payload = transport + ((frame[transport + 12] >> 4) * 4 if is_tcp else _UDP_HEADER)
        network = network_header(frame)
        if network is None or size - network > _LONGEST:
            return None
        least = _IPV6_HEADER if frame[network] >> 4 == 6 else _IPV4_HEADER
        shortest = _TCP_HEADER if is_tcp else _UDP_HEADER
        if not (network + least <= transport and transport + shortest <= payload < size):
            return None
        return cls(bytes(frame[:payload]), is_tcp, network, transport, payload, size, notes.gso_size)

    def header(self, start: int, end: int) -> bytearray:
        """The headers of a piece whose payload is the frame's from ``start`` to ``end``.

        The checksum stays as partial as it was: the pseudo header's sum, of the new length.
        """
        made = bytearray(self.headers)
        self._set_network(made, start, end)
        length = end - start + self.payload - self.transport
        at = self.transport + (16 if self.is_tcp else 6)
        before = self.size - self.transport
        partial = _U16.unpack_from(made, at)[0] + 0xFFFF - (before & 0xFFFF) + length
        _U16.pack_into(made, at, partial % 0xFFFF or 0xFFFF)
        if self.is_tcp:
            self._set_tcp(made, start, first=start == self.payload, last=end == self.size)
        else:
            _U16.pack_into(made, self.transport + 4, length)
        if end - start <= self.gso_size:
            made[1] = 0
            made[4:6] = b"\0\0"
        return made

    def _set_network(self, made: bytearray, start: int, end: int) -> None:
        at = self.network
        length = end - start + self.payload - at
        if made[at] >> 4 == 6:
            _U16.pack_into(made, at + 4, length - 40)
            return
        _U16.pack_into(made, at + 2, length)
        number = _U16.unpack_from(made, at + 4)[0] + (start - self.payload) // self.gso_size
        _U16.pack_into(made, at + 4, number & 0xFFFF)
        made[at + 10 : at + 12] = b"\0\0"
        header = made[at : at + (made[at] & 15) * 4]
        _U16.pack_into(made, at + 10, 0xFFFF - ones_sum(header))

    def _set_tcp(self, made: bytearray, start: int, *, first: bool, last: bool) -> None:
        at = self.transport
        sequence = _U32.unpack_from(made, at + 4)[0] + start - self.payload
        _U32.pack_into(made, at + 4, sequence & 0xFFFFFFFF)
        made[at + 13] &= ~(0 if last else _FIN_AND_PSH) & ~(0 if first else _CWR)


def network_header(frame: memoryview | bytearray) -> int | None:
    """Where the IP header of a frame begins, behind VLAN tags; None if there is none."""
    at = PREFIX + ETHERNET - 2
    while at + 22 <= len(frame):
        ethertype = _U16.unpack_from(frame, at)[0]
        if ethertype in (_IPV4, _IPV6):
            return at + 2
        if ethertype != _VLAN:
            return None
        at += 4
    return None


def packets(frame: memoryview | bytearray) -> Iterator[bytes]:
    """A frame of the TAP as the Ethernet frames that a plain wire would carry: cut up, checksums complete.

    A frame that cannot be cut stays one; of what is no frame there are none.
    """
    size = len(frame)
    if size < PREFIX + ETHERNET:
        return
    found = Superframe.read(frame)
    if found is None:
        yield _completed(bytearray(frame))
        return
    if found.is_tcp:
        yield from _tcp_packets(found, frame)
        return
    for start in range(found.payload, size, found.gso_size):
        end = min(start + found.gso_size, size)
        yield _completed(found.header(start, end) + frame[start:end])


def _tcp_packets(found: Superframe, frame: memoryview | bytearray) -> Iterator[bytes]:
    """The same for TCP, three times as fast: what all packets have in common is added up once."""
    head = bytearray(found.headers[PREFIX:])
    ip, tcp = found.network - PREFIX, found.transport - PREFIX
    is_ipv4 = head[ip] >> 4 == 4
    number, sequence, flags = (
        *_U16.unpack_from(head, ip + 4),
        *_U32.unpack_from(head, tcp + 4),
        head[tcp + 13],
    )
    head[tcp + 4 : tcp + 8], head[tcp + 13], head[tcp + 16 : tcp + 18] = bytes(4), 0, bytes(2)
    if is_ipv4:
        head[ip + 2 : ip + 6], head[ip + 10 : ip + 12] = bytes(4), bytes(2)
    same_ip = ones_sum(head[ip:tcp])
    same_tcp = (
        _TCP + ones_sum(head[tcp:]) + ones_sum(head[ip + 12 : ip + 20] if is_ipv4 else head[ip + 8 : ip + 40])
    )
    for place, start in enumerate(range(found.payload, found.size, found.gso_size)):
        data = bytes(frame[start : start + found.gso_size])
        length = len(head) - ip + len(data)
        if is_ipv4:
            numbered = number + place & 0xFFFF
            _U16_PAIR.pack_into(head, ip + 2, length, numbered)
            _U16.pack_into(head, ip + 10, 0xFFFF - ((same_ip + length + numbered) % 0xFFFF or 0xFFFF))
        else:
            _U16.pack_into(head, ip + 4, length - 40)
        now = sequence + start - found.payload & 0xFFFFFFFF
        marks = flags & ~(0 if start + len(data) == found.size else _FIN_AND_PSH) & ~(_CWR if place else 0)
        length += ip - tcp
        total = same_tcp + length + (now >> 16) + (now & 0xFFFF) + marks + ones_sum(data)
        _U32.pack_into(head, tcp + 4, now)
        head[tcp + 13] = marks
        _U16.pack_into(head, tcp + 16, (0xFFFF - (total % 0xFFFF or 0xFFFF)) or 0xFFFF)
        yield bytes(head) + data


def _completed(frame: bytearray) -> bytes:
    """The Ethernet frame, with its partial checksum made whole."""
    notes = vnet.read_vnet(frame)
    if notes.flags & NEEDS_CHECKSUM:
        start = VNET.size + notes.checksum_start
        at = start + notes.checksum_offset
        if start >= PREFIX + ETHERNET and at + 2 <= len(frame):
            checksum = 0xFFFF - ones_sum(frame[start:])
            _U16.pack_into(frame, at, checksum or 0xFFFF)  # zero would mean "none" to UDP
    return bytes(frame[PREFIX:])
