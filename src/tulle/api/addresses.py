"""How users write addresses: ``[ip:]<cidr> | net:<cidr> | net:default``."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from tulle.errors import UserError


@dataclass(frozen=True, slots=True)
class ManualAddress:
    """Exactly this address, with the prefix length of its subnet."""

    interface: IPv4Interface

    def __str__(self) -> str:
        return f"ip:{self.interface}"


@dataclass(frozen=True, slots=True)
class AutoAddress:
    """Any free address of ``subnet``; None is the default subnet."""

    subnet: IPv4Network | None = None

    def __str__(self) -> str:
        return f"net:{self.subnet or 'default'}"


AddressSpec = ManualAddress | AutoAddress


def parse_spec(text: str) -> AddressSpec:
    """One word of the grammar. Raises UserError."""
    kind, separator, rest = text.partition(":")
    if not separator:
        return ManualAddress(parse_interface(text))
    if kind == "ip":
        return ManualAddress(parse_interface(rest))
    if kind == "net":
        return AutoAddress(None if rest == "default" else parse_subnet(rest))
    raise UserError(f"{text!r} is not an address; write ip:10.2.1.1/24, net:10.2.1.0/24 or net:default")


def parse_ip(text: str) -> IPv4Address:
    """A bare IPv4 address. Raises UserError."""
    try:
        return IPv4Address(text)
    except ValueError:
        raise UserError(f"{text!r} is not an IPv4 address; write it like 10.2.1.1") from None


def is_ip(text: str) -> bool:
    """Whether a word looks like a bare address, right or wrong, and so is not the name of a container."""
    return re.match(r"[0-9]+(\.[0-9]*)+\Z", text) is not None


def parse_interface(text: str) -> IPv4Interface:
    """An address with its prefix length, fit for one container. Raises UserError."""
    interface = _parse_cidr(text)
    network = interface.network
    if network.prefixlen < 31 and interface.ip in (network.network_address, network.broadcast_address):
        which = "network" if interface.ip == network.network_address else "broadcast"
        raise UserError(f"{text!r} is the {which} address of {network}; choose another one of that subnet")
    if interface.ip.is_multicast or interface.ip.is_unspecified or interface.ip.is_loopback:
        raise UserError(f"{text!r} is not an address that a container can have")
    return interface


def parse_subnet(text: str) -> IPv4Network:
    """A subnet without host bits. Raises UserError."""
    interface = _parse_cidr(text)
    if interface.ip != interface.network.network_address:
        raise UserError(f"{text!r} is an address inside a subnet; did you mean {interface.network}?")
    return interface.network


def _parse_cidr(text: str) -> IPv4Interface:
    address, slash, length = text.partition("/")
    try:
        if not (slash and length.isascii() and length.isdigit() and len(length) <= 2):
            raise ValueError("no prefix length")
        return IPv4Interface(f"{IPv4Address(address)}/{int(length)}")
    except ValueError:
        raise UserError(
            f"{text!r} is not of the form address/prefix-length; write it like 10.2.1.1/24"
        ) from None
