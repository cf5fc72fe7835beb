"""Lanes: tunnel devices of their own for busy neighbours.

The one device that serves every peer pays for each frame with a route look-up and a little memory that
describes where the frame came from. An ordinary VXLAN device with one fixed remote end needs neither. A lane
is such a device, on the UDP port after the tunnels', and a port of the bridge that carries frames for single
MAC addresses only: no broadcast, and nothing to or from the other carriers' ports.
"""

import re
import socket
from collections.abc import Iterator

from tulle.datapath.tables import Hop, ShortId
from tulle.host import netlink, sysctl
from tulle.host.bpf.filters import Direction, attach, ensure_hooks
from tulle.host.bridge import bridge_index
from tulle.host.netlink import Request, Rtnl

_DF_SET = 1
_TTL = 64
_NO_ROUTER = 0
_ALIAS = "tulle lane"
"""Marks our devices, so that nobody else's is ever removed for its name."""


def device_name(bridge: str, peer: ShortId) -> str:
    """Always the same for one peer, so that a new daemon knows what it finds."""
    return f"{bridge}-{peer:03x}"


def network_id(one: ShortId, other: ShortId) -> int:
    """The VNI of the lane between two peers, the same at both ends."""
    return min(one, other) << 12 | max(one, other)


def lanes_of(bridge: str) -> Iterator[tuple[ShortId, int]]:
    """The lanes that are there, whichever daemon made them: peer and device index."""
    pattern = re.compile(re.escape(bridge) + r"-([0-9a-f]{3})\Z")
    named = [(found, index) for index, name in socket.if_nameindex() if (found := pattern.match(name))]
    with Rtnl() as rtnl:
        for found, index in named:
            link = rtnl.get(netlink.get_link(found[0]))
            if link is not None and link.get_attr("IFLA_IFALIAS") == _ALIAS:
                yield ShortId(int(found[1], 16)), index


def make(bridge: str, me: ShortId, peer: ShortId, hop: Hop, port: int, mtu: int) -> int:
    """Make the device of a lane, not yet joined to anything; its index. Raises KernelRefused."""
    name = device_name(bridge, peer)
    data = [
        ("IFLA_VXLAN_ID", network_id(me, peer)),
        ("IFLA_VXLAN_GROUP", hop.remote_ip),
        ("IFLA_VXLAN_LOCAL", hop.local_ip),
        ("IFLA_VXLAN_PORT", port),
        ("IFLA_VXLAN_LEARNING", 0),
        ("IFLA_VXLAN_TTL", _TTL),
        ("IFLA_VXLAN_UDP_CSUM", 0),
        ("IFLA_VXLAN_DF", _DF_SET),
    ]
    info = {"attrs": [("IFLA_INFO_KIND", "vxlan"), ("IFLA_INFO_DATA", {"attrs": data})]}
    with Rtnl() as rtnl:
        rtnl.send([netlink.new_link([("IFLA_IFNAME", name), ("IFLA_MTU", mtu), ("IFLA_LINKINFO", info)])])
        rtnl.send([netlink.set_named_link(name, [("IFLA_IFALIAS", _ALIAS)])])
    sysctl.write({f"ipv6/conf/{name}/disable_ipv6": "1"})
    return socket.if_nametoindex(name)


def join(bridge: str, index: int, outwards: int, inwards: int) -> None:
    """Put the programs on a lane, make it a port of the bridge, and bring it up. Raises KernelRefused."""
    ensure_hooks(index)
    attach(index, Direction.EGRESS, outwards)
    attach(index, Direction.INGRESS, inwards)
    with Rtnl() as rtnl:
        rtnl.send(
            [
                netlink.set_link(index, [("IFLA_MASTER", bridge_index(bridge))]),
                _port_options(index, flood=False),
                netlink.set_link(index, up=True),
            ]
        )


def isolate(index: int) -> None:
    """Keep the bridge from passing frames between this port and the lanes."""
    with Rtnl() as rtnl:
        rtnl.send([_port_options(index, flood=True)])


def remove(index: int) -> None:
    """Remove a lane; no error if it is gone."""
    with Rtnl() as rtnl:
        rtnl.send([netlink.delete_link(index)])


def _port_options(index: int, flood: bool) -> Request:
    options: list[tuple[str, int]] = [("IFLA_BRPORT_ISOLATED", 1)]
    if not flood:
        kinds = ("UNICAST_FLOOD", "MCAST_FLOOD", "BCAST_FLOOD")
        options += [(f"IFLA_BRPORT_{kind}", 0) for kind in kinds]
        options.append(("IFLA_BRPORT_MULTICAST_ROUTER", _NO_ROUTER))
    info = [("IFLA_INFO_SLAVE_KIND", "bridge"), ("IFLA_INFO_SLAVE_DATA", {"attrs": options})]
    return netlink.set_link(index, [("IFLA_LINKINFO", {"attrs": info})])
