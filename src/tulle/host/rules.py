"""The host's own nftables table, as values: what is let in, what is kept out, what is masqueraded.

Everything is in one table that nobody else writes to, loaded whole and at once. A rule's comment says what it
is for; it also identifies the rule when the table is checked.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from tulle.host import routed as gateways
from tulle.host.expressions import (
    ACCEPT,
    DROP,
    MASQUERADE,
    TCP_UDP,
    Expression,
    any_of,
    field,
    match,
    meta,
    prefix,
)
from tulle.host.nft import Command
from tulle.host.routed import NOBODY, Gateway, Routed, Rule

PEERS_4, PEERS_6 = "peers4", "peers6"
_ALL_MULTICAST = IPv4Network("224.0.0.0/4")


@dataclass(frozen=True, slots=True)
class FirewallConfig:
    """What is guarded. ``port`` is the mesh port; the two after it carry the kernel's tunnels.

    Containers reach neither, nor ``closed_ports`` (HTTP), neither through the bridge nor through the
    interfaces ``guarded`` (bridges of container engines). Of the resolver they reach port 53 and ping.
    ``gateway`` is how the host can be one, None where it cannot.
    """

    bridge: str
    port: int = 6783
    closed_ports: tuple[int, ...] = ()
    resolver: IPv4Address | None = None
    guarded: tuple[str, ...] = ("docker0",)
    table: str = "tulle"
    gateway: Gateway | None = None


@dataclass(frozen=True, slots=True, order=True)
class Exposed:
    """An address by which this host itself is on the network; ``masquerade``: it stands in for others."""

    address: IPv4Interface
    masquerade: bool = True


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is served: addresses by which the host is on the network, and networks whose gateway it is.

    ``uplinks`` are bridges that lead out of this host.
    """

    exposed: Sequence[Exposed] = ()
    routed: Routed = NOBODY
    uplinks: Sequence[str] = ()


def whole_table(config: FirewallConfig, peers: Collection[str], wanted: Wanted) -> list[Command]:
    """The commands that put the table in place of whatever is there under its name."""
    table = {"family": "inet", "name": config.table}
    commands: list[Command] = [
        {"add": {"table": table}},
        {"delete": {"table": table}},
        {"add": {"table": table}},
    ]
    for name, kind, version in ((PEERS_4, "ipv4_addr", 4), (PEERS_6, "ipv6_addr", 6)):
        commands.append(
            {"add": {"set": {"family": "inet", "table": config.table, "name": name, "type": kind}}}
        )
        members = [peer for peer in peers if _version(peer) == version]
        if members:
            commands.append(change_peers(config, "add", name, members))
    commands += _networks(config, wanted.routed)
    needed = all_rules(config, wanted)
    for name, hook, kind, priority in _CHAINS:
        if name not in {chain for chain, _, _ in needed}:
            continue
        chain = {"family": "inet", "table": config.table, "name": name}
        hooked = {"type": kind, "hook": hook, "prio": priority, "policy": "accept"}
        commands.append({"add": {"chain": chain | hooked}})
    return commands + [_rule(config, *rule) for rule in needed]


_CHAINS = (
    ("spoofed", "prerouting", "filter", -300),
    ("marked", "prerouting", "filter", -150),
    ("answers", "output", "route", -150),
    ("input", "input", "filter", -5),
    ("forward", "forward", "filter", -5),
    ("postrouting", "postrouting", "nat", 100),
)
"""Name, hook, type and priority. The first sees packets before address translation. A chain without rules is
left out: the mere presence of the last makes the kernel track every connection of the host."""


def change_peers(config: FirewallConfig, verb: str, name: str, members: Collection[str]) -> Command:
    """Add members to one of the two sets of peers' addresses, or delete them."""
    element = {"family": "inet", "table": config.table, "name": name, "elem": sorted(members)}
    return {verb: {"element": element}}


def split_peers(peers: Collection[str]) -> dict[str, list[str]]:
    """The addresses by the set that they belong in; empty ones left out."""
    sets: dict[str, list[str]] = {}
    for peer in sorted(peers):
        sets.setdefault(PEERS_4 if _version(peer) == 4 else PEERS_6, []).append(peer)
    return sets


def _networks(config: FirewallConfig, routed: Routed) -> list[Command]:
    commands: list[Command] = []
    for name, networks in routed.sets().items():
        place = {"family": "inet", "table": config.table, "name": name}
        commands.append({"add": {"set": place | {"type": "ipv4_addr", "flags": ["interval"]}}})
        if networks:
            commands.append({"add": {"element": place | {"elem": gateways.members(networks)}}})
    return commands


def all_rules(config: FirewallConfig, wanted: Wanted) -> list[Rule]:
    """Every rule, in order: chain, comment, expressions."""
    return [
        *_bridged(config),
        *_spoofed(config),
        *_tunnels(config),
        *_closed(config),
        *_services(config),
        *_masquerade(config, wanted.exposed),
        *gateways.routed_rules(config.gateway, wanted.routed, wanted.uplinks),
    ]


def _bridged(config: FirewallConfig) -> list[Rule]:
    """What goes from port to port of the bridge is nobody's connection here, also where the kernel is told to
    show it to the IP layer. It is much, and to keep track of it takes time."""
    if config.gateway is None:
        return []
    passing = [
        match(meta("iifname"), config.bridge),
        match(meta("pkttype"), "host"),
        match(field("ether", "daddr"), config.gateway.mac, "!="),
    ]
    return [("spoofed", "passed from port to port", [*passing, {"notrack": None}, ACCEPT])]


def _spoofed(config: FirewallConfig) -> list[Rule]:
    """Loopback addresses do not come from outside; services that listen there rely on it."""
    loopback = prefix(IPv4Network("127.0.0.0/8"))
    return [
        (
            "spoofed",
            f"loopback as {word} from outside",
            [match(meta("iifname"), "lo", "!="), match(field("ip", name), loopback), _ports(config), DROP],
        )
        for word, name in (("source", "saddr"), ("destination", "daddr"))
    ]


def _tunnels(config: FirewallConfig) -> list[Rule]:
    """The tunnel ports believe whoever writes to them, so only connected peers may."""
    tunnel = match(field("udp", "dport"), any_of(_tunnel_ports(config)))
    return [
        (
            "input",
            f"tunnels only from {name}",
            [tunnel, match(field(protocol, "saddr"), f"@{name}", "!="), DROP],
        )
        for protocol, name in (("ip", PEERS_4), ("ip6", PEERS_6))
    ]


def _closed(config: FirewallConfig) -> list[Rule]:
    """Our own ports are not for containers: not here, and not on other hosts with this one's address."""
    rules = [
        ("input", f"no control from {name}", [match(meta("iifname"), name), TCP_UDP, _ports(config), DROP])
        for name in (config.bridge, *config.guarded)
    ]
    outwards = [match(meta("iifname"), config.bridge), match(meta("oifname"), config.bridge, "!=")]
    ports = match(field("th", "dport"), any_of([config.port, *_tunnel_ports(config)]))
    return [*rules, ("forward", "no control of others", [*outwards, TCP_UDP, ports, DROP])]


def _services(config: FirewallConfig) -> list[Rule]:
    """What the host offers without being exposed: names and ping; over IPv6 only what that itself needs."""
    inside = match(meta("iifname"), config.bridge)
    routers = match(field("icmpv6", "type"), any_of(["nd-router-advert", "nd-redirect"]))
    rules: list[Rule] = [
        ("input", "no routers among containers", [inside, routers, DROP]),
        ("input", "neighbours and multicast groups", [inside, match(meta("l4proto"), "ipv6-icmp"), ACCEPT]),
        ("input", "nothing else over IPv6", [inside, match(meta("nfproto"), "ipv6"), DROP]),
    ]
    if config.resolver is not None:
        to_resolver = [inside, match(field("ip", "daddr"), str(config.resolver))]
        names = [TCP_UDP, match(field("th", "dport"), 53)]
        rules += [
            ("input", "names", [*to_resolver, *names, ACCEPT]),
            ("input", "ping", [*to_resolver, match(meta("l4proto"), "icmp"), ACCEPT]),
            ("input", "nothing else of the resolver", [*to_resolver, DROP]),
        ]
    return rules


def _masquerade(config: FirewallConfig, exposed: Sequence[Exposed]) -> list[Rule]:
    """The host stands in for containers towards others, and for others towards containers."""
    rules = []
    for network in sorted({one.address.network for one in exposed if one.masquerade}):
        inside, multicast = prefix(network), prefix(_ALL_MULTICAST)
        leaving = [
            match(meta("oifname"), config.bridge, "!="),
            match(field("ip", "saddr"), inside),
            match(field("ip", "daddr"), inside, "!="),
            match(field("ip", "daddr"), multicast, "!="),
        ]
        coming = [
            match(meta("oifname"), config.bridge),
            match(field("ip", "saddr"), inside, "!="),
            match(field("ip", "daddr"), inside),
        ]
        rules.append(("postrouting", f"from {network}", [*leaving, MASQUERADE]))
        rules.append(("postrouting", f"to {network}", [*coming, MASQUERADE]))
    return rules


def _rule(config: FirewallConfig, chain: str, comment: str, expressions: list[Expression]) -> Command:
    rule = {"family": "inet", "table": config.table, "chain": chain, "comment": comment, "expr": expressions}
    return {"add": {"rule": rule}}


def _tunnel_ports(config: FirewallConfig) -> list[int]:
    """For everybody, and for lanes between two busy neighbours."""
    return [config.port + 1, config.port + 2]


def _ports(config: FirewallConfig) -> Expression:
    ports = sorted({config.port, *_tunnel_ports(config), *config.closed_ports})
    return match(field("th", "dport"), any_of(ports))


def _version(address: str) -> int:
    return 6 if ":" in address else 4
