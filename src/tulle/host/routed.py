"""The host as the gateway of networks: what containers send to elsewhere leaves in the host's name.

Containers of these networks send what is not on their subnet to the resolver's address, which every host
has on its own bridge. Their packets are marked on arrival (``tulle.host.marks``), and so are the answers, by
what is remembered of their connections: no route to containers is needed, and nobody is let in.

The host is no way from one of our networks to another. Nor is it one to other bridges, where somebody else
has containers or virtual machines: there it depends on the rules of theirs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, collapse_addresses
from typing import Any

from tulle.host import marks, netlink
from tulle.host.expressions import (
    DROP,
    MASQUERADE,
    RETURN,
    Expression,
    any_of,
    connection,
    field,
    match,
    meta,
    prefix,
    put,
)
from tulle.host.netlink import Rtnl

ROUTED, UNROUTED = "routed", "unrouted"
"""The sets of the table that keep what a ``Routed`` says, also for the next life of the daemon."""

Rule = tuple[str, str, list[Expression]]


@dataclass(frozen=True, slots=True)
class Gateway:
    """The host's side: ``address`` on ``bridge``, which has the hardware address ``mac``.

    ``inside`` is where all our networks are.
    """

    bridge: str
    mac: str
    address: IPv4Address
    inside: IPv4Network | None = None


@dataclass(frozen=True, slots=True)
class Routed:
    """Whose gateway the host is: ``networks``, but not ``without``, which are parts of them.

    To be made with ``of``, or as the kernel had it.
    """

    networks: frozenset[IPv4Network] = frozenset()
    without: frozenset[IPv4Network] = frozenset()

    @classmethod
    def of(cls, networks: Iterable[IPv4Network], without: Iterable[IPv4Network]) -> "Routed":
        """Of any networks, also of such as overlap."""
        return cls(frozenset(collapse_addresses(networks)), frozenset(collapse_addresses(without)))

    def sets(self) -> dict[str, frozenset[IPv4Network]]:
        """As the table has it."""
        return {ROUTED: self.networks, UNROUTED: self.without}


NOBODY = Routed()


def members(networks: Iterable[IPv4Network]) -> list[Expression | str]:
    """Networks, as members of a set."""
    return [prefix(network) for network in sorted(networks)]


def parse_members(listed: Iterable[Any]) -> frozenset[IPv4Network]:
    """Networks, from nft's list of the members of a set."""
    found = []
    for member in listed:
        whole = member["prefix"] if isinstance(member, dict) and "prefix" in member else None
        found.append(IPv4Network((whole["addr"], whole["len"])) if whole else IPv4Network(member))
    return frozenset(found)


def routed_rules(gateway: Gateway | None, routed: Routed, uplinks: Sequence[str]) -> list[Rule]:
    """What the firewall needs for it; nothing where nobody is routed. ``uplinks``: see ``uplink_bridges``."""
    if gateway is None or not routed.networks:
        return []
    return [*_marking(gateway), *_forwarding(gateway, uplinks)]


def _marking(gateway: Gateway) -> list[Rule]:
    """Only packets that are for the bridge's own hardware address: the others it passes from port to port."""
    source = field("ip", "saddr")
    arriving = [
        match(meta("iifname"), gateway.bridge),
        match(field("ether", "daddr"), gateway.mac),
        match(field("ip", "daddr"), str(gateway.address), "!="),
    ]
    begun_here = match(connection("mark"), marks.ROUTED)
    answering = match(connection("direction"), "reply")
    return [
        ("marked", "networks without a way out", [*arriving, match(source, f"@{UNROUTED}"), RETURN]),
        (
            "marked",
            "outward",
            [
                *arriving,
                match(source, f"@{ROUTED}"),
                match(connection("direction"), "original"),
                put(connection("mark"), marks.ROUTED),
                put(meta("mark"), marks.ROUTED),
            ],
        ),
        (
            "marked",
            "homeward",
            [match(meta("iifname"), gateway.bridge, "!="), begun_here, put(meta("mark"), marks.ROUTED)],
        ),
        ("answers", "homeward", [begun_here, answering, put(meta("mark"), marks.ROUTED)]),
    ]


def _forwarding(gateway: Gateway, uplinks: Sequence[str]) -> list[Rule]:
    leaving = [match(meta("iifname"), gateway.bridge), match(meta("mark"), marks.ROUTED)]
    to_bridge = match(meta("oifname"), gateway.bridge)
    bridges = [match(meta("oifkind"), "bridge")]
    if uplinks:
        bridges.append(match(meta("oifname"), any_of(uplinks), "!="))
    rules: list[Rule] = [("forward", "no way from network to network", [*leaving, to_bridge, DROP])]
    if gateway.inside is not None:
        elsewhere = match(field("ip", "daddr"), prefix(gateway.inside))
        rules.append(("forward", "no way around it", [*leaving, elsewhere, DROP]))
    begun_here = match(connection("mark"), marks.ROUTED)
    away = match(meta("oifname"), gateway.bridge, "!=")
    return [
        *rules,
        (
            "forward",
            f"other bridges than {', '.join(uplinks)}",
            [*leaving, *bridges, put(meta("mark"), marks.STRANGE)],
        ),
        ("postrouting", "in the name of the host", [begun_here, away, MASQUERADE]),
    ]


def uplink_bridges() -> tuple[str, ...]:
    """Bridges that this host itself uses to get elsewhere: there are routes over them to gateways."""
    with Rtnl() as rtnl:
        links = rtnl.dump(netlink.list_links())
        routes = rtnl.dump(netlink.list_routes())
    ways = {route.get_attr("RTA_OIF") for route in routes if route.get_attr("RTA_GATEWAY") is not None}
    bridges = [link for link in links if _is_bridge(link)]
    return tuple(sorted(link.get_attr("IFLA_IFNAME") for link in bridges if link["index"] in ways))


def _is_bridge(link: Any) -> bool:
    info = link.get_attr("IFLA_LINKINFO")
    return info is not None and info.get_attr("IFLA_INFO_KIND") == "bridge"
