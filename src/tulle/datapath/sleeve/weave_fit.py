"""Fitting frames to a path of Weave's format: whole, in fragments, or back to the sender with the right size.

The rules are Weave Net's, but for one: it says nothing to senders of IPv6 packets that are too big; we do.
"""

import struct
from typing import NamedTuple

from tulle.datapath.sleeve.weave_packet import ETHERNET_HEADER

LEAST_IPV6 = 1280
"""An IPv6 sender need not send smaller packets than this, whatever it is told."""

_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"
_DONT_FRAGMENT, _MORE_FRAGMENTS = 0x4000, 0x2000
_OFFSET = 0x1FFF
_ICMP, _ICMPV6 = 1, 58
_ICMP_ERRORS = {3, 4, 5, 11, 12}
_HOP_LIMIT = 64
_QUOTED_IPV6 = 1232
"""Bytes of the packet in an answer, which must fit into the smallest MTU itself."""


class Fitted(NamedTuple):
    """What to do with a frame: send ``frames`` with or without DF, and give ``answer`` to the sender."""

    frames: list[bytes]
    df: bool
    answer: bytes | None = None


def fit(frame: bytes, mtu: int, fragments: bool, mac: bytes, tentative: bool = False) -> Fitted:
    """How a frame goes by a path that takes packets of ``mtu`` bytes.

    ``fragments``: the network puts larger datagrams together again. ``mac`` is what an answer comes from: an
    address that lives where the frame was going to. ``tentative``: the MTU is perhaps larger, so that no
    sender should be told of it yet, which would remember it for minutes.
    """
    too_big = len(frame) > mtu + ETHERNET_HEADER
    if too_big and tentative:
        return Fitted([frame] if fragments else [], False)
    kind = frame[12:14]
    if kind == _IPV4 and len(frame) >= ETHERNET_HEADER + 20:
        if frame[20] & _DONT_FRAGMENT >> 8:
            return (
                Fitted([], True, _fragmentation_needed(frame, mtu, mac)) if too_big else Fitted([frame], True)
            )
        if not fragments:
            return Fitted(fragmented(frame, mtu) if too_big else [frame], True)
    elif too_big and kind == _IPV6 and mtu >= LEAST_IPV6:
        answer = _packet_too_big(frame, mtu, mac)
        if answer is not None:
            return Fitted([], True, answer)
    return Fitted([frame], False)


def fragmented(frame: bytes, mtu: int) -> list[bytes]:
    """An IPv4 packet as the fragments that a router would make of it; nothing if it is damaged."""
    header_size = (frame[14] & 15) * 4
    start = ETHERNET_HEADER + header_size
    (total,) = struct.unpack_from(">H", frame, 16)
    end = ETHERNET_HEADER + total
    step = (mtu - header_size) & ~7
    if header_size < 20 or end > len(frame) or start >= end or step <= 0:
        return []
    (flags,) = struct.unpack_from(">H", frame, 20)
    pieces = []
    for at in range(start, end, step):
        last = at + step >= end
        data = frame[at : min(at + step, end)]
        header = bytearray(frame[ETHERNET_HEADER:start])
        offset = (flags & _OFFSET) + (at - start) // 8
        more = flags & _MORE_FRAGMENTS if last else _MORE_FRAGMENTS
        struct.pack_into(">H", header, 2, header_size + len(data))
        struct.pack_into(">H", header, 6, offset | more)
        pieces.append(frame[:ETHERNET_HEADER] + _with_checksum(header, 10) + data)
    return pieces


def _fragmentation_needed(frame: bytes, mtu: int, mac: bytes) -> bytes | None:
    """ICMP's answer to a packet with DF; None where there must be none (RFC 1122, 3.2.2)."""
    header_size = (frame[14] & 15) * 4
    (flags,) = struct.unpack_from(">H", frame, 20)
    quoted = frame[14 : 14 + header_size + 8]
    is_error = (
        frame[23] == _ICMP and len(frame) > 14 + header_size and frame[14 + header_size] in _ICMP_ERRORS
    )
    if frame[0] & 1 or flags & _OFFSET or is_error or header_size < 20:
        return None
    message = _with_checksum(bytearray(struct.pack(">BBHHH", 3, 4, 0, 0, mtu) + quoted), 2)
    total = 20 + len(message)
    header = struct.pack(">BBHHHBBH", 0x45, 0, total, 0, _DONT_FRAGMENT, _HOP_LIMIT, _ICMP, 0)
    addresses = frame[30:34] + frame[26:30]
    return frame[6:12] + mac + _IPV4 + _with_checksum(bytearray(header + addresses), 10) + message


def _packet_too_big(frame: bytes, mtu: int, mac: bytes) -> bytes | None:
    """The same for IPv6 (RFC 4443, 3.2); None for packets to groups and for what is no packet."""
    if frame[0] & 1 or len(frame) < 54 or frame[38] == 0xFF or (frame[20] == _ICMPV6 and frame[54] < 128):
        return None
    addresses = frame[38:54] + frame[22:38]
    message = bytearray(struct.pack(">BBHI", 2, 0, 0, mtu) + frame[14 : 14 + _QUOTED_IPV6])
    pseudo = addresses + struct.pack(">II", len(message), _ICMPV6)
    struct.pack_into(">H", message, 2, _checksum(pseudo + message))
    header = struct.pack(">IHBB", 6 << 28, len(message), _ICMPV6, _HOP_LIMIT)
    return frame[6:12] + mac + _IPV6 + header + addresses + bytes(message)


def _with_checksum(data: bytearray, at: int) -> bytes:
    data[at : at + 2] = b"\0\0"
    struct.pack_into(">H", data, at, _checksum(data))
    return bytes(data)


def _checksum(data: bytes | bytearray) -> int:
    """Of RFC 1071: sixteen-bit words in ones' complement, which is the remainder by 0xFFFF."""
    number = int.from_bytes(data, "big") << 8 * (len(data) & 1)
    return 0xFFFF - (number % 0xFFFF or (0xFFFF if number else 0))
