"""Endpoints: veth pairs that a container engine moves into its containers by itself.

The outer end is a port of the bridge, as that of every attachment. The inner end waits in the host's
namespace until the engine takes it, and comes back there when the engine lets it go. As with attachments, the
outer end's alias says what it is, and there is no other list.
"""

import asyncio
import errno
import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Interface, NetmaskValueError
from typing import Any

from tulle.errors import UserError
from tulle.host import netlink, sysctl
from tulle.host.bridge import bridge_index
from tulle.host.namespace import enter, in_new_thread
from tulle.host.neighbours import Announcer
from tulle.host.netlink import KernelRefused, Request, Rtnl

_MARK, _RETIRED = "tulle-endpoint", "tulle-retired"
_OUTER = re.compile(r"te[0-9a-f]{12}\Z")
_IDENT = re.compile(r"[0-9a-f]{12,64}\Z")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A container's place on a network, as the engine calls them.

    ``bridge`` is that of the daemon to which it belongs; ``sandbox`` the engine's file for the container's
    namespace, empty before the container has joined.
    """

    ident: str
    network: str
    address: IPv4Interface
    mac: str
    bridge: str
    sandbox: str = ""

    @property
    def outer(self) -> str:
        """The name of the end at the bridge."""
        return f"te{self.ident[:12]}"

    @property
    def inner(self) -> str:
        """The name of the end for the container, as long as it has not got it."""
        return f"ti{self.ident[:12]}"

    @property
    def alias(self) -> str:
        """What the outer end carries."""
        words = (_MARK, self.bridge, self.ident, self.network, str(self.address), self.mac)
        return " ".join((*words, self.sandbox or "-"))


@dataclass(frozen=True, slots=True)
class Found:
    """An endpoint that exists. ``taken``: a container has its inner end; ``joined``: the outer is a port."""

    endpoint: Endpoint
    index: int
    taken: bool
    joined: bool


def check_ident(ident: str) -> str:
    """An id as the engine makes them, fit to name interfaces by. Raises UserError."""
    if not _IDENT.match(ident):
        raise UserError(f"{ident[:70]!r} is not an endpoint id of Docker's")
    return ident


def random_mac() -> str:
    """A locally administered unicast address."""
    first, *rest = secrets.token_bytes(6)
    return bytes([first & 0xFC | 0x02, *rest]).hex(":")


async def create(endpoint: Endpoint, mtu: int) -> int:
    """Make the pair, in place of one that is there; answers the index of the outer end. Raises UserError."""
    return await asyncio.to_thread(_create, endpoint, mtu)


async def describe(endpoint: Endpoint) -> None:
    """Correct what is written at the outer end. Raises UserError."""
    await _changing([netlink.set_named_link(endpoint.outer, [("IFLA_IFALIAS", endpoint.alias)])])


async def retire(endpoint: Endpoint) -> None:
    """Have an endpoint be none any more, for us and for the next daemon. Raises UserError.

    The kernel takes its time over a removal, in which nobody has to wait: see ``remove``.
    """
    alias = ("IFLA_IFALIAS", f"{_RETIRED} {endpoint.bridge}")
    await _changing([netlink.set_named_link(endpoint.outer, [alias], tolerated=_GONE)])


async def remove(ident: str) -> None:
    """Remove an endpoint's pair, wherever its inner end is; none there is no error. Raises UserError."""
    await _changing([netlink.delete_named_link(f"te{ident[:12]}")])


async def remove_retired(bridge: str) -> None:
    """Remove what an earlier life of the daemon had retired and not removed. Raises UserError."""
    await _changing([netlink.delete_link(index) for index in await asyncio.to_thread(_retired, bridge)])


async def list_endpoints(bridge: str) -> list[Found]:
    """Every endpoint of a daemon, also those that an earlier life of it made."""
    return [found for found in await asyncio.to_thread(_list) if found.endpoint.bridge == bridge]


async def remove_all(bridge: str) -> None:
    """Take every container of a daemon off the network. Raises UserError."""
    await _changing([netlink.delete_link(found.index) for found in await list_endpoints(bridge)])


def announce(endpoint: Endpoint, announcer: Announcer | None) -> None:
    """Tell the network who has the address now, unless the endpoint is gone already."""
    with suppress(OSError):
        index = socket.if_nametoindex(endpoint.outer)
        if announcer is not None:
            announcer.announce([endpoint.address.ip], endpoint.mac, index)


async def has_way_out(sandbox: str) -> bool:
    """Whether a container has a default route. Before it has begun, there is no namespace to look into."""
    try:
        return await in_new_thread(lambda: _has_default_route(sandbox))
    except OSError as error:
        return error.errno not in (errno.ENOENT, errno.EINVAL)


async def join_again(found: Found) -> None:
    """Make the outer end a port of the bridge, which is new. Raises UserError."""
    port = [("IFLA_MASTER", bridge_index(found.endpoint.bridge))]
    await _changing([netlink.set_named_link(found.endpoint.outer, port, up=True)])


async def join_all_again(bridge: str) -> list[UserError]:
    """Have the bridge, which is new, all ports that it had: what was refused."""
    refusals = []
    for found in await list_endpoints(bridge):
        if not found.joined:
            try:
                await join_again(found)
            except UserError as error:
                refusals.append(error)
    return refusals


async def _changing(requests: list[Request]) -> None:
    def change() -> None:
        with Rtnl() as rtnl:
            rtnl.send(requests)

    try:
        await asyncio.to_thread(change)
    except KernelRefused as error:
        raise _refused(error) from error


def _create(endpoint: Endpoint, mtu: int) -> int:
    master = bridge_index(endpoint.bridge)
    inner = [("IFLA_IFNAME", endpoint.inner), ("IFLA_ADDRESS", endpoint.mac), ("IFLA_MTU", mtu)]
    data = {"attrs": [("VETH_INFO_PEER", {"attrs": inner})]}
    kind = {"attrs": [("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", data)]}
    pair = [("IFLA_IFNAME", endpoint.outer), ("IFLA_MTU", mtu), ("IFLA_LINKINFO", kind)]
    port = [("IFLA_IFALIAS", endpoint.alias), ("IFLA_MASTER", master)]
    with Rtnl() as rtnl:
        try:
            rtnl.send([netlink.delete_named_link(endpoint.outer)])
            rtnl.send([netlink.new_link(pair)])
            sysctl.write({f"ipv6/conf/{endpoint.outer}/{key}": value for key, value in _IPV6})
            index = socket.if_nametoindex(endpoint.outer)
            joining = netlink.set_named_link(endpoint.outer, port, up=True)
            rtnl.send([netlink.early_filter_hooks(index), joining])
        except OSError as error:
            rtnl.send([netlink.delete_named_link(endpoint.outer)])
            raise _refused(error) from error
        return index


_IPV6 = (("disable_ipv6", "1"), ("accept_ra", "0"))


def _has_default_route(sandbox: str) -> bool:
    space = os.open(sandbox, os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(space)
    finally:
        os.close(space)
    with Rtnl() as rtnl:
        routes = rtnl.dump(netlink.list_routes())
    return any(route["dst_len"] == 0 and route["table"] == netlink.MAIN_TABLE for route in routes)


_GONE = frozenset({errno.ENODEV})


def _list() -> list[Found]:
    return list(_found(_links()))


def _retired(bridge: str) -> list[int]:
    return [link["index"] for link in _links() if link.get_attr("IFLA_IFALIAS") == f"{_RETIRED} {bridge}"]


def _links() -> list[Any]:
    with Rtnl() as rtnl:
        return rtnl.dump(netlink.list_links())


def _found(links: list[Any]) -> Iterator[Found]:
    for link in links:
        if not _OUTER.match(link.get_attr("IFLA_IFNAME")):
            continue
        endpoint = from_alias(link.get_attr("IFLA_IFALIAS"))
        if endpoint is not None:
            taken = link.get_attr("IFLA_LINK_NETNSID") is not None
            joined = link.get_attr("IFLA_MASTER") is not None
            yield Found(endpoint, link["index"], taken, joined)


def from_alias(alias: str | None) -> Endpoint | None:
    """The endpoint behind an alias, or None if the alias is not one of an endpoint."""
    words = (alias or "").split(" ")
    if len(words) != 7 or words[0] != _MARK:
        return None
    _mark, bridge, ident, network, address, mac, sandbox = words
    try:
        return Endpoint(
            ident, network, IPv4Interface(address), mac, bridge, "" if sandbox == "-" else sandbox
        )
    except (AddressValueError, NetmaskValueError):
        return None


def _refused(error: OSError) -> UserError:
    return UserError(f"the container could not be joined to tulle's bridge: {error.strerror}", 500)
