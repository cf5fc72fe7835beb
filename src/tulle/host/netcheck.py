"""Whether the range of container addresses is free of what this host already routes elsewhere.

An overlap would cut off either the containers or the other network, and mostly in ways that are hard to
understand later; so it is looked for before anything is set up.
"""

import asyncio
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from tulle.errors import UserError
from tulle.host import netlink
from tulle.host.netlink import Rtnl

_UNICAST, _LOCAL = 1, 2


@dataclass(frozen=True, slots=True)
class Route:
    """A network that the host reaches through ``device``; its own addresses count as routes to itself."""

    network: IPv4Network
    device: str


async def check_range(universe: IPv4Network, bridge: str, servers: Iterable[str] = ()) -> None:
    """Raise UserError (409) if ``universe`` overlaps a route of this host, or holds one of its DNS servers.

    Routes through ``bridge`` are our own, from an earlier life, and do not count.
    """
    routes = await asyncio.to_thread(host_routes)
    problem = find_overlap(universe, (route for route in routes if route.device != bridge), servers)
    if problem:
        raise UserError(f"{problem}; choose another range with --ipalloc-range", 409)


def find_overlap(universe: IPv4Network, routes: Iterable[Route], servers: Iterable[str]) -> str | None:
    """What is wrong with ``universe``, as a clause, or None if nothing is. Default routes never overlap."""
    for route in routes:
        if route.network.prefixlen and route.network.overlaps(universe):
            return (
                f"the range {universe} for containers overlaps {route.network}, which this host reaches"
                f" through {route.device}"
            )
    for server in servers:
        if _inside(server, universe):
            return f"the range {universe} for containers holds {server}, a name server of this host"
    return None


def _inside(server: str, universe: IPv4Network) -> bool:
    try:
        return IPv4Address(server) in universe
    except ValueError:
        return False  # IPv6, or nothing that a resolver would use


def host_routes() -> list[Route]:
    """Every IPv4 route that leads somewhere, the host's own addresses included."""
    with Rtnl() as rtnl:
        answers = rtnl.dump(netlink.list_routes())
    names: dict[int, str] = {}
    return [
        Route(network, names.setdefault(index, _name(index)))
        for answer in answers
        if answer["type"] in (_UNICAST, _LOCAL)
        for network in [_destination(answer)]
        for index in _links(answer)
    ]


def _destination(answer: Any) -> IPv4Network:
    return IPv4Network((answer.get_attr("RTA_DST") or "0.0.0.0", answer["dst_len"]))


def _links(answer: Any) -> Iterator[int]:
    if index := answer.get_attr("RTA_OIF"):
        yield index
    for hop in answer.get_attr("RTA_MULTIPATH") or ():
        yield hop["oif"]


def _name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return f"interface {index}"
