"""What is attached to the bridge, read from the kernel: there is no other list."""

import asyncio
import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface
from typing import Any

from tulle.errors import UserError
from tulle.host import netlink
from tulle.host.bridge import bridge_index, ports_of
from tulle.host.container import Container
from tulle.host.netlink import KernelRefused, Request, Rtnl

_MARK = "tulle"
_SAME = "-"
_LONGEST_ALIAS = 255
_HOST_NAME = re.compile(r"tl[0-9a-f]{12}\Z")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A container on the bridge: by which interfaces, and its addresses on this network.

    ``host_index`` and ``host_name`` are of the veth end that is a port of the bridge, ``interface`` and
    ``mac`` of the one in the container.
    """

    container: Container
    host_index: int
    host_name: str
    interface: str
    mac: str
    addresses: tuple[IPv4Interface, ...]


async def list_attached(bridge: str) -> list[Attachment]:
    """Every container attached to ``bridge``, also those of an earlier life of the daemon."""
    return await asyncio.to_thread(_list_attached, bridge)


@dataclass(frozen=True, slots=True)
class Strays:
    """Host ends of ours that are ports of no bridge.

    ``unfinished`` are the names of those whose making was broken off before there was an address;
    ``unbridged`` are containers that have one, and their interfaces' names: their bridge was removed, or the
    last step of their making is missing.
    """

    unfinished: tuple[str, ...]
    unbridged: tuple[tuple[Container, str], ...]


async def list_strays() -> Strays:
    """What a daemon that was killed, or somebody who removed the bridge, left behind."""
    return await asyncio.to_thread(_list_strays)


async def remove_stray(name: str) -> None:
    """Remove a host end and with it the container's."""
    await asyncio.to_thread(_remove, name)


async def remove_attachment(attachment: Attachment) -> None:
    """Take a container off the bridge, whatever its interface is called; one that is gone is no error."""
    await asyncio.to_thread(_remove, attachment.host_name)


def to_alias(target: Container, interface: str) -> str:
    """What the host end carries as its alias. Raises UserError if the reference is too long for it."""
    ident = _SAME if target.ident == target.namespace else target.ident
    alias = f"{_MARK} {target.namespace} {interface} {ident} {target.reference}"
    if len(alias.encode()) > _LONGEST_ALIAS:
        raise UserError(
            f"{target.reference} is too long a name to attach; use a shorter path to the container"
        )
    return alias


def from_alias(alias: str | None) -> tuple[Container, str] | None:
    """The container and its interface behind an alias, or None if the alias is not one of ours."""
    words = (alias or "").split(" ", 4)
    if len(words) != 5 or words[0] != _MARK:
        return None
    _mark, identity, interface, ident, reference = words
    return Container(identity if ident == _SAME else ident, identity, reference), interface


def _remove(host_name: str) -> None:
    with Rtnl() as rtnl:
        rtnl.send([netlink.delete_named_link(host_name)])


def _list_attached(bridge: str) -> list[Attachment]:
    with Rtnl() as rtnl:
        return list(_attachments(rtnl, bridge_index(bridge)))


def _list_strays() -> Strays:
    unfinished, unbridged = [], []
    with Rtnl() as rtnl:
        for link in rtnl.dump(netlink.list_links()):
            name, alias = link.get_attr("IFLA_IFNAME"), link.get_attr("IFLA_IFALIAS")
            if link.get_attr("IFLA_MASTER") is not None or not _HOST_NAME.match(name):
                continue
            owner = from_alias(alias)
            if owner is not None and _has_addresses(rtnl, link):
                unbridged.append(owner)
            elif owner is not None or alias is None:
                unfinished.append(name)
    return Strays(tuple(unfinished), tuple(unbridged))


def _has_addresses(rtnl: Rtnl, port: Any) -> bool:
    with contextlib.suppress(KernelRefused):  # it has gone, and its pair with it
        return bool(_far_addresses(rtnl, port))
    return False


def _attachments(rtnl: Rtnl, bridge: int) -> Iterator[Attachment]:
    for port in ports_of(rtnl, bridge):
        owner = from_alias(port.get_attr("IFLA_IFALIAS"))
        if owner is None:
            continue
        try:
            yield _attachment(rtnl, port, *owner)
        except KernelRefused:
            continue  # its container died since the list was made


def _attachment(rtnl: Rtnl, port: Any, target: Container, interface: str) -> Attachment:
    """Read the far end through the id that its namespace has here, without going there."""
    far = port.get_attr("IFLA_LINK_NETNSID")
    index = port.get_attr("IFLA_LINK")
    link = rtnl.get(Request(netlink.GETLINK, 0, {"index": index}, [("IFLA_IF_NETNSID", far)]))
    return Attachment(
        target,
        port["index"],
        port.get_attr("IFLA_IFNAME"),
        link.get_attr("IFLA_IFNAME"),
        link.get_attr("IFLA_ADDRESS"),
        _far_addresses(rtnl, port),
    )


def _far_addresses(rtnl: Rtnl, port: Any) -> tuple[IPv4Interface, ...]:
    """The addresses of the container's end. Raises KernelRefused if it is gone."""
    index, far = port.get_attr("IFLA_LINK"), port.get_attr("IFLA_LINK_NETNSID")
    return tuple(netlink.address_of(message) for message in rtnl.dump(netlink.list_addresses(index, far)))
