"""The maps' keys and values in Python: the mirror of ``layout.h``."""

import socket
import struct
from enum import IntEnum
from typing import NamedTuple

from tulle.datapath.tables import (
    MAX_CHILDREN,
    SHORT_IDS,
    CarrierKind,
    Hop,
    HopId,
    ShortId,
    Tree,
    sleeve_hop,
)
from tulle.host.bpf.map import Layout

LOCAL_PLACE = 0xFFFFFFFF
TICK_SECONDS = 2**30 / 1e9
ANNOUNCED = 0x74756C65
SLEEVE_NEIGHBOURS = 0x1000
"""Added to the short id of a neighbour that is reached by the sleeve, it makes the address which stands for
it in the kernel's tables: one of 0.0.16.0/20, which no host can have."""

_ID = struct.Struct("=I")
_CONFIG = struct.Struct("=III4sII")
_MAC = struct.Struct("=6sH")
_PLACE = struct.Struct("=IIII")
_HOP = struct.Struct("=III")
_TREE_HEAD = struct.Struct("=II")
_CHILD = struct.Struct("=IIII")
_TREE = struct.Struct(f"={_TREE_HEAD.size + _CHILD.size * MAX_CHILDREN}s")
_TRAFFIC = struct.Struct("=6Q")
_COUNTER = struct.Struct("=Q")
_LANE = struct.Struct("=III")


class Counter(IntEnum):
    """What the kernel counts, in the order of ``enum counter``; names beginning with DROP are frames lost."""

    FLOODED = 0
    COPIES = 1
    LEARNED = 2
    PRUNED = 3
    QUERIES_KEPT = 4
    RELAYED = 5
    ICMP_RETURNED = 6
    ICMP_DELIVERED = 7
    ECHO_ANSWERED = 8
    CONTROL_IN = 9
    CONTROL_OUT = 10
    SLEEVE_OUT = 11
    SLEEVE_IN = 12
    DROP_UNCONFIGURED = 13
    DROP_MALFORMED = 14
    DROP_LINK_CONTROL = 15
    DROP_RESOLVER_ARP = 16
    DROP_NO_ROUTE = 17
    DROP_NO_TREE = 18
    DROP_NOT_PARENT = 19
    DROP_HOPS = 20
    DROP_LOOP = 21
    DROP_LOCAL = 22
    DROP_OWN_ID = 23
    DROP_CONTROL = 24
    DROP_SEND = 25
    DROP_LANE = 26
    DROP_ROUTER_ADVERT = 27


class Config(NamedTuple):
    """What the programs must know of their host. ``resolver`` is four bytes in network order, or zeros.

    ``moves`` grows here and in the kernel: it makes void what processors remember of MAC addresses.
    ``bypass``: frames between containers and other hosts may go past the bridge.
    """

    self_id: int = 0
    vx_if: int = 0
    tap_if: int = 0
    resolver: bytes = bytes(4)
    moves: int = 0
    bypass: int = 0


class Place(NamedTuple):
    """Where a MAC address lives: a short id or LOCAL_PLACE; when it was seen, in ticks; its port if here.

    ``bypass``: whether frames may come and go by that port without passing the bridge.
    """

    peer: int
    seen: int
    port: int
    bypass: int


class LaneValue(NamedTuple):
    """The lane to one peer: its device (0: none), the last tick of its use, and whether it is ending."""

    ifindex: int = 0
    until: int = 0
    closing: int = 0


class Traffic(NamedTuple):
    """Frames between us and one peer, counted as they would be on the wire."""

    tx_packets: int = 0
    tx_bytes: int = 0
    rx_packets: int = 0
    rx_bytes: int = 0
    relay_packets: int = 0
    relay_bytes: int = 0


def _address(text: str) -> int:
    return int.from_bytes(socket.inet_aton(text), "big")


def _text(address: int) -> str:
    return socket.inet_ntoa(address.to_bytes(4, "big"))


def _number(neighbour: HopId) -> int:
    return _address(neighbour) if isinstance(neighbour, str) else SLEEVE_NEIGHBOURS | neighbour


def _identity(number: int) -> HopId:
    if number & ~(SHORT_IDS - 1) == SLEEVE_NEIGHBOURS:
        return ShortId(number & (SHORT_IDS - 1))
    return _text(number)


def pack_hop(hop: Hop | None) -> bytes:
    """A hop's value; None is "no hop"."""
    if hop is None:
        return bytes(_HOP.size)
    local = _address(hop.local_ip) if hop.carrier is CarrierKind.VXLAN else 0
    return _HOP.pack(_number(hop.id), local, hop.carrier)


def unpack_hop(raw: bytes) -> Hop | None:
    """The hop, or None where nothing is set or the carrier is not known to this version."""
    remote, local, carrier = _HOP.unpack(raw)
    if not remote or carrier not in CarrierKind.__members__.values():
        return None
    known_by = _identity(remote)
    return Hop(known_by, _text(local)) if isinstance(known_by, str) else sleeve_hop(known_by)


def pack_tree(tree: Tree) -> bytes:
    """A tree's value. The builder of tables keeps within MAX_CHILDREN."""
    parent = 0 if tree.parent is None else _number(tree.parent)
    children = b"".join(_ID.pack(peer) + pack_hop(hop) for peer, hop in tree.children)
    return _TREE.pack(_TREE_HEAD.pack(parent, len(tree.children)) + children)


def unpack_tree(raw: bytes) -> Tree:
    """The tree; children whose carrier is not known are left out."""
    parent, count = _TREE_HEAD.unpack_from(raw)
    children = []
    for index in range(min(count, MAX_CHILDREN)):
        start = _TREE_HEAD.size + index * _CHILD.size
        hop = unpack_hop(raw[start + _ID.size : start + _CHILD.size])
        if hop is not None:
            children.append((unpack_id(raw[start : start + _ID.size]), hop))
    return Tree(_identity(parent) if parent else None, tuple(children))


def unpack_id(raw: bytes) -> ShortId:
    """A short id, or the index of any other array."""
    return ShortId(_ID.unpack(raw)[0])


def _pack_mac(mac: bytes) -> bytes:
    return _MAC.pack(mac, 0)


def _unpack_mac(raw: bytes) -> bytes:
    return raw[:6]


CONFIG = Layout[int, Config](
    "config",
    _ID,
    _ID.pack,
    unpack_id,
    _CONFIG,
    lambda config: _CONFIG.pack(*config),
    lambda raw: Config(*_CONFIG.unpack(raw)),
)
MACS = Layout[bytes, Place](
    "macs",
    _MAC,
    _pack_mac,
    _unpack_mac,
    _PLACE,
    lambda place: _PLACE.pack(*place),
    lambda raw: Place(*_PLACE.unpack(raw)),
)
ROUTES = Layout[ShortId, Hop | None]("routes", _ID, _ID.pack, unpack_id, _HOP, pack_hop, unpack_hop)
DIRECT = Layout[ShortId, Hop | None]("direct", _ID, _ID.pack, unpack_id, _HOP, pack_hop, unpack_hop)
TREES = Layout[ShortId, Tree]("trees", _ID, _ID.pack, unpack_id, _TREE, pack_tree, unpack_tree)
LANES = Layout[ShortId, LaneValue](
    "lanes",
    _ID,
    _ID.pack,
    unpack_id,
    _LANE,
    lambda lane: _LANE.pack(*lane),
    lambda raw: LaneValue(*_LANE.unpack(raw)),
)
LANE_PEERS = Layout[int, ShortId]("lane_peers", _ID, _ID.pack, unpack_id, _ID, _ID.pack, unpack_id)
TRAFFIC = Layout[ShortId, Traffic](
    "traffic",
    _ID,
    _ID.pack,
    unpack_id,
    _TRAFFIC,
    lambda traffic: _TRAFFIC.pack(*traffic),
    lambda raw: Traffic(*_TRAFFIC.unpack(raw)),
)
COUNTERS = Layout[Counter, int](
    "counters",
    _ID,
    _ID.pack,
    lambda raw: Counter(unpack_id(raw)),
    _COUNTER,
    _COUNTER.pack,
    lambda raw: int(_COUNTER.unpack(raw)[0]),
)
