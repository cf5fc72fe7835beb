"""The host's own nftables table, as values: what is let in, what is kept out, what is masqueraded.

Everything is in one table that nobody else writes to, loaded whole and at once. A rule's comment says what it
is for; it also identifies the rule when the table is checked.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from tulle.host.nft import Command

Expression = dict[str, Any]

PEERS_4, PEERS_6 = "peers4", "peers6"
_ALL_MULTICAST = IPv4Network("224.0.0.0/4")


@dataclass(frozen=True, slots=True)
class FirewallConfig:
    """What is guarded. ``port`` is the mesh port; the two after it carry the kernel's tunnels.

    Containers reach neither, nor ``closed_ports`` (HTTP), neither through the bridge nor through the
    interfaces ``guarded`` (bridges of container engines). Of the resolver they reach port 53 and ping.
    """

    bridge: str
    port: int = 6783
    closed_ports: tuple[int, ...] = ()
    resolver: IPv4Address | None = None
    guarded: tuple[str, ...] = ("docker0",)
    table: str = "tulle"


@dataclass(frozen=True, slots=True, order=True)
class Exposed:
    """An address by which this host itself is on the network; ``masquerade``: it stands in for others."""

    address: IPv4Interface
    masquerade: bool = True


def whole_table(config: FirewallConfig, peers: Collection[str], exposed: Sequence[Exposed]) -> list[Command]:
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
    needed = all_rules(config, exposed)
    for name, hook, kind, priority in _CHAINS:
        if name not in {chain for chain, _, _ in needed}:
            continue
        chain = {"family": "inet", "table": config.table, "name": name}
        hooked = {"type": kind, "hook": hook, "prio": priority, "policy": "accept"}
        commands.append({"add": {"chain": chain | hooked}})
    return commands + [_rule(config, *rule) for rule in needed]


_CHAINS = (
    ("spoofed", "prerouting", "filter", -300),
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


def all_rules(config: FirewallConfig, exposed: Sequence[Exposed]) -> list[tuple[str, str, list[Expression]]]:
    """Every rule, in order: chain, comment, expressions."""
    return [
        *_spoofed(config),
        *_tunnels(config),
        *_closed(config),
        *_services(config),
        *_masquerade(config, exposed),
    ]


def _spoofed(config: FirewallConfig) -> list[tuple[str, str, list[Expression]]]:
    """Loopback addresses do not come from outside; services that listen there rely on it."""
    loopback = {"prefix": {"addr": "127.0.0.0", "len": 8}}
    return [
        (
            "spoofed",
            f"loopback as {word} from outside",
            [_is(_meta("iifname"), "lo", "!="), _is(_field("ip", field), loopback), _ports(config), _DROP],
        )
        for word, field in (("source", "saddr"), ("destination", "daddr"))
    ]


def _tunnels(config: FirewallConfig) -> list[tuple[str, str, list[Expression]]]:
    """The tunnel ports believe whoever writes to them, so only connected peers may."""
    tunnel = _is(_field("udp", "dport"), {"set": _tunnel_ports(config)})
    return [
        (
            "input",
            f"tunnels only from {name}",
            [tunnel, _is(_field(protocol, "saddr"), f"@{name}", "!="), _DROP],
        )
        for protocol, name in (("ip", PEERS_4), ("ip6", PEERS_6))
    ]


def _closed(config: FirewallConfig) -> list[tuple[str, str, list[Expression]]]:
    """Our own ports are not for containers: not here, and not on other hosts with this one's address."""
    rules = [
        ("input", f"no control from {name}", [_is(_meta("iifname"), name), _TCP_UDP, _ports(config), _DROP])
        for name in (config.bridge, *config.guarded)
    ]
    outwards = [_is(_meta("iifname"), config.bridge), _is(_meta("oifname"), config.bridge, "!=")]
    ports = _is(_field("th", "dport"), {"set": [config.port, *_tunnel_ports(config)]})
    return [*rules, ("forward", "no control of others", [*outwards, _TCP_UDP, ports, _DROP])]


def _services(config: FirewallConfig) -> list[tuple[str, str, list[Expression]]]:
    """What the host offers without being exposed: names and ping; over IPv6 only what that itself needs."""
    inside = _is(_meta("iifname"), config.bridge)
    routers = _is(_field("icmpv6", "type"), {"set": ["nd-router-advert", "nd-redirect"]})
    rules: list[tuple[str, str, list[Expression]]] = [
        ("input", "no routers among containers", [inside, routers, _DROP]),
        ("input", "neighbours and multicast groups", [inside, _is(_meta("l4proto"), "ipv6-icmp"), _ACCEPT]),
        ("input", "nothing else over IPv6", [inside, _is(_meta("nfproto"), "ipv6"), _DROP]),
    ]
    if config.resolver is not None:
        to_resolver = [inside, _is(_field("ip", "daddr"), str(config.resolver))]
        names = [_TCP_UDP, _is(_field("th", "dport"), 53)]
        rules += [
            ("input", "names", [*to_resolver, *names, _ACCEPT]),
            ("input", "ping", [*to_resolver, _is(_meta("l4proto"), "icmp"), _ACCEPT]),
            ("input", "nothing else of the resolver", [*to_resolver, _DROP]),
        ]
    return rules


def _masquerade(
    config: FirewallConfig, exposed: Sequence[Exposed]
) -> list[tuple[str, str, list[Expression]]]:
    """The host stands in for containers towards others, and for others towards containers."""
    rules = []
    for network in sorted({one.address.network for one in exposed if one.masquerade}):
        inside = {"prefix": {"addr": str(network.network_address), "len": network.prefixlen}}
        multicast = {"prefix": {"addr": str(_ALL_MULTICAST.network_address), "len": _ALL_MULTICAST.prefixlen}}
        leaving = [
            _is(_meta("oifname"), config.bridge, "!="),
            _is(_field("ip", "saddr"), inside),
            _is(_field("ip", "daddr"), inside, "!="),
            _is(_field("ip", "daddr"), multicast, "!="),
        ]
        coming = [
            _is(_meta("oifname"), config.bridge),
            _is(_field("ip", "saddr"), inside, "!="),
            _is(_field("ip", "daddr"), inside),
        ]
        rules.append(("postrouting", f"from {network}", [*leaving, _MASQUERADE]))
        rules.append(("postrouting", f"to {network}", [*coming, _MASQUERADE]))
    return rules


def _rule(config: FirewallConfig, chain: str, comment: str, expressions: list[Expression]) -> Command:
    rule = {"family": "inet", "table": config.table, "chain": chain, "comment": comment, "expr": expressions}
    return {"add": {"rule": rule}}


def _tunnel_ports(config: FirewallConfig) -> list[int]:
    """For everybody, and for lanes between two busy neighbours."""
    return [config.port + 1, config.port + 2]


def _ports(config: FirewallConfig) -> Expression:
    ports = sorted({config.port, *_tunnel_ports(config), *config.closed_ports})
    return _is(_field("th", "dport"), {"set": ports})


def _is(left: Expression, right: object, operator: str = "==") -> Expression:
    return {"match": {"op": operator, "left": left, "right": right}}


def _meta(key: str) -> Expression:
    return {"meta": {"key": key}}


def _field(protocol: str, field: str) -> Expression:
    return {"payload": {"protocol": protocol, "field": field}}


def _version(address: str) -> int:
    return 6 if ":" in address else 4


_DROP: Expression = {"drop": None}
_ACCEPT: Expression = {"accept": None}
_MASQUERADE: Expression = {"masquerade": None}
_TCP_UDP = _is(_meta("l4proto"), {"set": ["tcp", "udp"]})
