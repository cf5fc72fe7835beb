"""Home routers and the like: namespaces that translate addresses, of each kind that NATs are told apart by.

What such a router does with a host behind it is two questions. Which outside port does the host get: always
the same (a *cone*), or another for each address that it talks to (*symmetric*)? And whose packets to that
port are let in: everybody's (*full cone*), those of hosts that were talked to (*restricted*), or only of the
very address and port that was talked to (*port-restricted*; symmetric ones do that too)?

Every host behind a cone has one outside port for its mesh port, chosen so that it differs from it. All else
that a host sends is masqueraded. As in real routers, what comes from outside unasked is dropped.
"""

import socket
import struct
from dataclasses import dataclass
from enum import Enum, auto
from ipaddress import IPv4Address, IPv4Interface

from lab.host import Host
from lab.lab import Lab
from lab.namespace import Namespace
from lab.switch import Switch

MESH_PORT = 6783
_CONTACT_SECONDS = 300
_NETLINK_NETFILTER = 12
_DELETE_ALL_CONNECTIONS = 0x0102
_REQUEST_AND_ANSWER = 0x5


class Kind(Enum):
    """See the module text."""

    FULL_CONE = auto()
    RESTRICTED = auto()
    PORT_RESTRICTED = auto()
    SYMMETRIC = auto()


@dataclass(frozen=True)
class Mapping:
    """What is sent from this inside address and port appears as the outside address with ``outside_port``."""

    inside: IPv4Address
    inside_port: int
    outside_port: int


class Nat(Namespace):
    """A router of one kind between two switches; ``behind`` is the one that it serves."""

    def __init__(self, lab: Lab, short: str, number: int, kind: Kind, hairpin: bool = False,
                 upstream: "Nat | None" = None) -> None:  # fmt: skip
        """``number``, unique in the lab, gives it its addresses; ``upstream``: it is behind another."""
        super().__init__(f"{lab.prefix}{short}-nat")
        self.lab = lab
        self.kind = kind
        self.hairpin = hairpin
        self.number = number
        self.upstream = upstream
        self.outside = upstream.free_address() if upstream else IPv4Address("10.99.0.0") + 100 + number
        self.lan = IPv4Interface(f"192.168.{number}.1/24")
        self.behind = Switch(f"{lab.prefix}{short}-lan")
        self.mappings: list[Mapping] = []
        self._addresses = 1
        self._base = 20000
        lab.adopt(self)
        lab.adopt(self.behind)
        self._wire()
        self.apply()

    def _wire(self) -> None:
        where = self.upstream.behind if self.upstream else self.lab.switch
        where.plug(self, "outside", f"n{self.number}")
        self.behind.plug(self, "inside", "router")
        self.ip(f"address add {self.outside}/24 dev outside", f"address add {self.lan} dev inside")
        if self.upstream:
            self.ip(f"route add default via {self.upstream.lan.ip}")
        self.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")

    def free_address(self) -> IPv4Address:
        """An address of the inside network that nobody has yet."""
        self._addresses += 1
        return self.lan.ip + self._addresses - 1

    def host(self, short: str) -> Host:
        """A new host behind this router, without a daemon."""
        host = self.lab.host(short, plugged=False)
        self.adopt_host(host, self.free_address())
        return host

    def adopt_host(self, host: Host, address: IPv4Address) -> None:
        """Plug a host in here with this address; it takes every packet to the world to this router."""
        host.address = address
        self.behind.plug(host, "eth0", host.port)
        host.ip(f"address add {address}/24 dev eth0", f"route add default via {self.lan.ip}")
        self.map(address, MESH_PORT)

    def map(self, inside: IPv4Address, port: int) -> None:
        """Give an inside address and port an outside port of its own."""
        self.mappings.append(Mapping(inside, port, self._base + len(self.mappings)))
        self.apply()
        if self.upstream:
            self.upstream.map(self.outside, self.mappings[-1].outside_port)

    # -- what can happen to a router -----------------------------------------------------------------------

    def apply(self) -> None:
        """Bring its rules up to date; connections that exist are left as they are."""
        self.nft(f"table ip nat\ndelete table ip nat\n{_rules(self)}")

    def flush(self) -> None:
        """Forget all connections, as by a restart."""
        with self.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as kernel:
            header = struct.pack("=IHHII", 20, _DELETE_ALL_CONNECTIONS, _REQUEST_AND_ANSWER, 1, 0)
            kernel.send(header + bytes(4))
            answer = kernel.recv(4096)
            error = struct.unpack_from("=i", answer, 16)[0]
            assert error == 0, f"the kernel did not forget its connections: {error}"

    def remap(self) -> None:
        """From now on every host has another outside port than before."""
        assert self.upstream is None, "the router upstream would have to learn of it"
        self._base += 1000
        ports = range(self._base, self._base + len(self.mappings))
        self.mappings = [
            Mapping(old.inside, old.inside_port, port) for old, port in zip(self.mappings, ports, strict=True)
        ]
        self.apply()
        self.flush()

    def forget_after(self, seconds: int) -> None:
        """How long a UDP connection without packets is remembered."""
        for name in ("udp_timeout", "udp_timeout_stream"):
            self.run("sysctl", "-q", "-w", f"net.netfilter.nf_conntrack_{name}={seconds}")


def move(host: Host, to: Nat, old: Nat) -> None:
    """Unplug a host from one router and plug it in at another, under an address of that network."""
    old.behind.ip(f"link delete {host.port}")
    to.adopt_host(host, to.free_address())


def _rules(nat: Nat) -> str:
    """All nftables rules of a router."""
    cone = nat.kind is not Kind.SYMMETRIC
    into = [line for one in nat.mappings for line in _letting_in(nat, one)] if cone else []
    out = [f'oifname "outside" {_from(one)} snat to {nat.outside}:{one.outside_port}' for one in nat.mappings]
    back = [
        f'iifname "inside" oifname "inside" {_from(one)} snat to {nat.outside}:{one.outside_port}'
        for one in nat.mappings
        if nat.hairpin
    ]
    rest = 'oifname "outside" masquerade' + ("" if cone else " random,fully-random")
    contacts = [_contacts(one) for one in nat.mappings]
    seen = [
        f'oifname "outside" {_from(one)} update @{_set(one)} {{ ip daddr timeout {_CONTACT_SECONDS}s }}'
        for one in nat.mappings
    ]
    return "\n".join(
        (
            "table ip nat {",
            *contacts,
            _chain("into", "nat", "prerouting", -100, into),
            _chain("seen", "filter", "forward", 0, seen),
            _chain("unasked", "filter", "input", 0, ['iifname "outside" ct state new drop']),
            _chain("out", "nat", "postrouting", 100, [*(out if cone else []), *(back if cone else []), rest]),
            "}",
        )
    )


def _letting_in(nat: Nat, one: Mapping) -> list[str]:
    """The rules by which packets to an outside port reach the host that has it."""
    there = f"ip daddr {nat.outside} udp dport {one.outside_port} dnat to {one.inside}:{one.inside_port}"
    rules = []
    if nat.kind is Kind.FULL_CONE:
        rules.append(f'iifname "outside" {there}')
    elif nat.kind is Kind.RESTRICTED:
        rules.append(f'iifname "outside" ip saddr @{_set(one)} {there}')
    if nat.hairpin:
        rules.append(f'iifname "inside" {there}')
    return rules


def _from(one: Mapping) -> str:
    return f"ip saddr {one.inside} udp sport {one.inside_port}"


def _set(one: Mapping) -> str:
    return f"contacts_{one.inside_port}_{int(one.inside)}"


def _contacts(one: Mapping) -> str:
    return f"set {_set(one)} {{ type ipv4_addr; flags dynamic,timeout; timeout {_CONTACT_SECONDS}s; }}"


def _chain(name: str, kind: str, hook: str, priority: int, rules: list[str]) -> str:
    lines = "\n".join(rules)
    return f"chain {name} {{ type {kind} hook {hook} priority {priority};\n{lines}\n}}"
