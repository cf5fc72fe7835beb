"""The words that nft's rules are made of, as its JSON has them."""

from collections.abc import Sequence
from ipaddress import IPv4Network
from typing import Any

Expression = dict[str, Any]

DROP: Expression = {"drop": None}
ACCEPT: Expression = {"accept": None}
MASQUERADE: Expression = {"masquerade": None}
RETURN: Expression = {"return": None}


def match(left: Expression, right: object, operator: str = "==") -> Expression:
    """Go on only with packets of which this is true."""
    return {"match": {"op": operator, "left": left, "right": right}}


def meta(key: str) -> Expression:
    """What the kernel knows of a packet: its interfaces, its mark."""
    return {"meta": {"key": key}}


def field(protocol: str, name: str) -> Expression:
    """What is written in a packet."""
    return {"payload": {"protocol": protocol, "field": name}}


def connection(key: str) -> Expression:
    """What is remembered of the connection that a packet belongs to."""
    return {"ct": {"key": key}}


def put(where: Expression, value: object) -> Expression:
    """Write something at the packet or at its connection."""
    return {"mangle": {"key": where, "value": value}}


def prefix(network: IPv4Network) -> Expression:
    """All addresses of a network."""
    return {"prefix": {"addr": str(network.network_address), "len": network.prefixlen}}


def any_of(values: Sequence[object]) -> Expression:
    """One of these."""
    return {"set": list(values)}


TCP_UDP = match(meta("l4proto"), any_of(["tcp", "udp"]))
