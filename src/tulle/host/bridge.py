"""The bridge of a host: one Ethernet segment that local containers and the carriers are ports of.

The bridge carries the resolver's address, a link-local one that is the same on every host. Containers have
addresses of any subnet, and the host may have no route, or another route, to those: replies from the resolver
therefore have a routing table of their own in which everything is on the bridge. That also satisfies strict
reverse-path filtering, which looks up the same reply route.

A bridge that is already there is adopted and corrected, never made anew, so that containers go on talking
while the daemon restarts.
"""

import asyncio
import errno
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from tulle.errors import UserError
from tulle.host import marks, netlink, sysctl
from tulle.host.netlink import KernelRefused, Request, Rtnl

DEFAULT_RESOLVER = IPv4Address("169.254.53.53")
RESOLVER_TABLE = 6783
_EVERYTHING = IPv4Network("0.0.0.0/0")
_PERMANENT_ROUTER = 2
_SECOND = 100
"""The unit of the bridge's timers is a hundredth of a second."""


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """What the bridge shall be. ``mac`` is fixed, or the kernel would change it with the ports.

    ``resolver`` None means that no DNS server listens on the bridge.
    """

    name: str
    mac: str
    mtu: int = 1376
    resolver: IPv4Address | None = DEFAULT_RESOLVER


@dataclass(frozen=True, slots=True)
class Bridge:
    """The bridge as it is; ``adopted`` tells whether it was there already."""

    name: str
    index: int
    mac: str
    adopted: bool


async def ensure_bridge(config: BridgeConfig) -> Bridge:
    """Make the bridge as ``config`` says, or correct the one that is there. Raises UserError."""
    return await asyncio.to_thread(_ensure, config)


async def remove_bridge(name: str) -> None:
    """Remove the bridge and what goes with it; nothing happens if there is none."""
    await asyncio.to_thread(_remove, name)


async def mac_of_bridge(name: str) -> str | None:
    """The hardware address of the bridge that an earlier life of the daemon left; None without one."""
    return await asyncio.to_thread(_mac_of, name)


async def add_port(bridge: str, port: str, *, carrier: bool = False) -> None:
    """Make the link ``port`` a port of the bridge, and bring it up. May be repeated.

    A carrier leads to other hosts: it gets all multicast, since who joined what there is not known here.
    """
    await asyncio.to_thread(_add_port, bridge, port, carrier)


def bridge_index(name: str) -> int:
    """The index of the bridge called ``name``. Raises UserError if there is none."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        advice = "a running daemon makes it again within seconds, else start it"
        raise UserError(f"there is no bridge {name}; {advice}", 503) from None


def ports_of(rtnl: Rtnl, bridge: int) -> list[Any]:
    """The links that are ports of the bridge with this index; none if there is no such bridge."""
    links = rtnl.dump(Request(netlink.GETLINK, 0, {}, [("IFLA_MASTER", bridge)]))
    return [link for link in links if link.get_attr("IFLA_MASTER") == bridge]


def interface_is(name: str, index: int) -> bool:
    """Whether the interface ``name`` is there and still the one that had this index."""
    try:
        return socket.if_nametoindex(name) == index
    except OSError:
        return False


def _ensure(config: BridgeConfig) -> Bridge:
    with Rtnl() as rtnl:
        link = rtnl.get(netlink.get_link(config.name))
        adopted = link is not None
        try:
            if link is None:
                rtnl.send([_new_bridge(config)])
                link = rtnl.get(netlink.get_link(config.name))
            _check_kind(link, config.name)
            sysctl.write(_settings(config.name))
            _configure(rtnl, config, link)
        except KernelRefused as error:
            raise UserError(
                f"the bridge {config.name} could not be set up: {error.strerror}; see the kernel log", 500
            ) from error
        return Bridge(config.name, link["index"], config.mac, adopted)


def _mac_of(name: str) -> str | None:
    with Rtnl() as rtnl:
        link = rtnl.get(netlink.get_link(name))
    info = link.get_attr("IFLA_LINKINFO") if link is not None else None
    if link is None or info is None or info.get_attr("IFLA_INFO_KIND") != "bridge":
        return None
    mac: str = link.get_attr("IFLA_ADDRESS")
    return mac


def _check_kind(link: Any, name: str) -> None:
    info = link.get_attr("IFLA_LINKINFO")
    if info is None or info.get_attr("IFLA_INFO_KIND") != "bridge":
        raise UserError(
            f"there is an interface {name} already, and it is not a bridge; remove or rename it", 409
        )


def _new_bridge(config: BridgeConfig) -> Request:
    info = {"attrs": [("IFLA_INFO_KIND", "bridge"), ("IFLA_INFO_DATA", {"attrs": []})]}
    return netlink.new_link(
        [("IFLA_IFNAME", config.name), ("IFLA_ADDRESS", config.mac), ("IFLA_LINKINFO", info)]
    )


def _configure(rtnl: Rtnl, config: BridgeConfig, link: Any) -> None:
    index = link["index"]
    changes: list[tuple[str, Any]] = []
    if link.get_attr("IFLA_ADDRESS") != config.mac:
        changes.append(("IFLA_ADDRESS", config.mac))
    if link.get_attr("IFLA_MTU") != config.mtu:
        changes.append(("IFLA_MTU", config.mtu))
    rtnl.send(
        [
            _bridge_options(index, _TIMERS),
            _bridge_options(index, [("IFLA_BR_MCAST_SNOOPING", 1), ("IFLA_BR_MCAST_QUERIER", 1)]),
            netlink.set_link(index, changes, up=True),
        ]
    )
    _set_resolver(rtnl, index, config)


_TIMERS = (
    ("IFLA_BR_STP_STATE", 0),
    ("IFLA_BR_FORWARD_DELAY", 0),
    ("IFLA_BR_MCAST_QUERY_RESPONSE_INTVL", 1 * _SECOND),
    ("IFLA_BR_MCAST_STARTUP_QUERY_INTVL", 2 * _SECOND),
    ("IFLA_BR_MCAST_QUERY_INTVL", 30 * _SECOND),
    ("IFLA_BR_MCAST_QUERIER_INTVL", 60 * _SECOND),
    ("IFLA_BR_MCAST_MEMBERSHIP_INTVL", 150 * _SECOND),
)
"""Every host is a querier, so one falls silent while it hears another. Should that other vanish, this one
must be back (querier interval) and have its answers before memberships lapse."""


def _bridge_options(index: int, options: netlink.Attributes) -> Request:
    info = {"attrs": [("IFLA_INFO_KIND", "bridge"), ("IFLA_INFO_DATA", {"attrs": list(options)})]}
    return netlink.set_link(index, [("IFLA_LINKINFO", info)])


def _settings(name: str) -> dict[str, str]:
    """Answer ARP for the bridge's own addresses only, and believe nothing that a container advertises.

    The bridge has an IPv6 address of its own on the link, whatever the host's habits are: by that it asks who
    listens to which IPv6 groups. The firewall keeps containers from using it for more. Where packets come
    from is judged by their marks too: see ``tulle.host.marks``.
    """
    return {
        f"ipv4/conf/{name}/arp_ignore": "1",
        f"ipv4/conf/{name}/accept_redirects": "0",
        f"ipv4/conf/{name}/send_redirects": "0",
        f"ipv4/conf/{name}/src_valid_mark": "1",
        f"ipv6/conf/{name}/disable_ipv6": "0",
        f"ipv6/conf/{name}/addr_gen_mode": "0",
        f"ipv6/conf/{name}/accept_ra": "0",
        f"ipv6/conf/{name}/autoconf": "0",
        f"ipv6/conf/{name}/accept_redirects": "0",
    }


def _set_resolver(rtnl: Rtnl, index: int, config: BridgeConfig) -> None:
    """Have the resolver's address, its rule and its route, and those of no earlier resolver."""
    resolver = config.resolver
    stale = [source for source in _ruled_sources(rtnl) if source != resolver]
    removals = [netlink.delete_address(index, IPv4Interface(source)) for source in stale]
    rtnl.send([*removals, *(_rule(netlink.DELRULE, source) for source in stale)])
    kind = netlink.DELRULE if resolver is None else netlink.NEWRULE
    rtnl.send(marks.rules(kind, config.name, RESOLVER_TABLE))
    if resolver is not None:
        rtnl.send(
            [
                netlink.add_address(index, IPv4Interface(resolver), scope=netlink.SCOPE_LINK),
                _rule(netlink.NEWRULE, resolver),
                netlink.on_link_route(index, _EVERYTHING, table=RESOLVER_TABLE),
            ]
        )


def _ruled_sources(rtnl: Rtnl) -> list[IPv4Address]:
    rules = rtnl.dump(Request(netlink.GETRULE, 0, {"family": socket.AF_INET}, ()))
    ours = (rule for rule in rules if rule.get_attr("FRA_TABLE") == RESOLVER_TABLE)
    return [IPv4Address(rule.get_attr("FRA_SRC")) for rule in ours if rule.get_attr("FRA_SRC")]


def _rule(kind: int, source: IPv4Address) -> Request:
    flags = netlink.CREATE | netlink.EXCL if kind == netlink.NEWRULE else 0
    fields = {"family": socket.AF_INET, "src_len": 32, "action": 1}
    attributes = [
        ("FRA_SRC", str(source)),
        ("FRA_TABLE", RESOLVER_TABLE),
        ("FRA_PRIORITY", RESOLVER_TABLE),
    ]
    return Request(kind, flags, fields, attributes, frozenset({errno.EEXIST, errno.ENOENT}))


def _remove(name: str) -> None:
    with Rtnl() as rtnl:
        rtnl.send([_rule(netlink.DELRULE, source) for source in _ruled_sources(rtnl)])
        rtnl.send(marks.rules(netlink.DELRULE, name, RESOLVER_TABLE))
        link = rtnl.get(netlink.get_link(name))
        if link is not None:
            rtnl.send([netlink.delete_link(link["index"])])


def _add_port(bridge: str, port: str, carrier: bool) -> None:
    with Rtnl() as rtnl:
        master = bridge_index(bridge)
        link = rtnl.get(netlink.get_link(port))
        if link is None:
            raise UserError(f"there is no interface {port} to join to the bridge {bridge}", 404)
        joining = [("IFLA_MASTER", master)] if link.get_attr("IFLA_MASTER") != master else []
        sysctl.write({f"ipv6/conf/{port}/disable_ipv6": "1"})
        rtnl.send([netlink.set_link(link["index"], joining, up=True)])
        if carrier:
            rtnl.send([_port_options(link["index"], [("IFLA_BRPORT_MULTICAST_ROUTER", _PERMANENT_ROUTER)])])


def _port_options(index: int, options: netlink.Attributes) -> Request:
    info = [("IFLA_INFO_SLAVE_KIND", "bridge"), ("IFLA_INFO_SLAVE_DATA", {"attrs": list(options)})]
    return netlink.set_link(index, [("IFLA_LINKINFO", {"attrs": info})])
