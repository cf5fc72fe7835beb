"""Peers' interests as bytes: a format of our own, which peers that do not know it carry unread.

One byte for the format, then for each peer: name (6 bytes), version (8), flags (1), how many IPv4 groups (2)
and IPv6 groups (2), and the groups. Everything in network order.
"""

import struct
from collections.abc import Iterator, Mapping

from tulle.datapath.groups.record import (
    MAX_GROUPS,
    MAX_VERSION,
    Group,
    Interest,
    is_ipv4,
    parse_group,
)
from tulle.errors import BadMessage
from tulle.mesh.peername import UNKNOWN_PEER, PeerName, name_bytes

FORMAT = 1
_HEAD = struct.Struct("!6sQBHH")
_EVERYTHING = 1


def encode(interests: Mapping[PeerName, Interest]) -> bytes:
    """The message that says this of these peers."""
    return bytes([FORMAT]) + b"".join(_record(*item) for item in sorted(interests.items(), key=_by_name))


def decode(payload: bytes) -> dict[PeerName, Interest] | None:
    """What a message says, or None if it is in a format of the future. Raises BadMessage."""
    if not payload:
        raise BadMessage("an empty message about multicast groups")
    return dict(_records(payload)) if payload[0] == FORMAT else None


def _by_name(item: tuple[PeerName, Interest]) -> PeerName:
    return item[0]


def _record(name: PeerName, interest: Interest) -> bytes:
    four = sorted(group[12:] for group in interest.groups if is_ipv4(group))
    six = sorted(group for group in interest.groups if not is_ipv4(group))
    flags = _EVERYTHING if interest.everything else 0
    head = _HEAD.pack(name_bytes(name), interest.version, flags, len(four), len(six))
    return b"".join([head, *four, *six])


def _records(payload: bytes) -> Iterator[tuple[PeerName, Interest]]:
    offset = 1
    while offset < len(payload):
        if len(payload) - offset < _HEAD.size:
            raise BadMessage("a message about multicast groups ends early")
        packed_name, version, flags, four, six = _HEAD.unpack_from(payload, offset)
        offset += _HEAD.size
        end = offset + 4 * four + 16 * six
        name = PeerName(int.from_bytes(packed_name, "big"))
        if four + six > MAX_GROUPS or version > MAX_VERSION or name == UNKNOWN_PEER or end > len(payload):
            raise BadMessage("a message about multicast groups makes no sense")
        yield name, Interest(version, _groups(payload[offset:end], four), bool(flags & _EVERYTHING))
        offset = end


def _groups(packed: bytes, four: int) -> frozenset[Group]:
    middle = 4 * four
    short = [packed[at : at + 4] for at in range(0, middle, 4)]
    long = [packed[at : at + 16] for at in range(middle, len(packed), 16)]
    return frozenset(parse_group(one) for one in (*short, *long))
