"""Who listens to multicast behind this host's bridge: what the bridge has found out by snooping.

The kernel tells of every change; what has changed is not taken from the telling but looked up, so that
nothing is missed for good. Reports of other hosts do not count: those hosts speak for themselves.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tulle.datapath.groups.record import Group, parse_group
from tulle.errors import BadMessage
from tulle.host import netlink, sysctl
from tulle.host.netlink import Rtnl
from tulle.host.news import MEMBERSHIPS, ROUTING, News, attributes, messages

_log = logging.getLogger(__name__)

SETTLE = 0.02
"""Seconds from a change to the look: changes seldom come alone."""

PACE = 0.1
"""Seconds between two looks at least."""

INTERVAL = 15.0
"""Seconds after which to look without being told: whether the bridge snoops is not said."""

_HEADER = struct.Struct("=IHHII")
_PORT_MESSAGE = struct.Struct("=B3xI")
_ENTRY = struct.Struct("=IBBH16s2s2x")
_NEWMDB, _GETMDB = 84, 86
"""The bridge's code gives its answers the type of the question."""
_ERROR, _DONE = 2, 3
_MDB, _ROUTERS = 1, 2
_MDB_ENTRY, _ENTRY_INFO, _ROUTER_PORT = 1, 1, 1
_LENGTHS = {b"\x08\x00": 4, b"\x86\xdd": 16}
"""How long a group's address is, by its Ethernet type. Other entries are hardware addresses."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The groups that containers here, or this host itself, listen to; ``everything`` says why all groups are
    wanted, or is empty."""

    groups: frozenset[Group] = frozenset()
    everything: str = ""


class GroupWatch:
    """Calls ``on_change`` with what there is at first, and whenever it changes.

    ``carrier`` is the port of the bridge that leads to the other hosts.
    """

    def __init__(self, bridge: str, carrier: str, on_change: Callable[[Joined], None]) -> None:
        self._bridge = bridge
        self._carrier = carrier
        self._on_change = on_change
        self._known: Joined | None = None
        self._stirred = asyncio.Event()
        self._news: News | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the running event loop does the work."""
        self._news = News(ROUTING, MEMBERSHIPS, lambda _: self._stirred.set(), self._stirred.set)
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._news is not None:
            self._news.close()
            self._news = None

    async def _watch(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(PACE)
            try:
                async with asyncio.timeout(INTERVAL):
                    await self._stirred.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(SETTLE)

    async def _look(self) -> None:
        self._stirred.clear()
        try:
            joined = await asyncio.to_thread(look, self._bridge, self._carrier)
        except OSError as error:
            joined = Joined(everything=f"the kernel does not tell who listens ({error.strerror})")
        if joined is not None and joined != self._known:
            self._known = joined
            self._on_change(joined)


def look(bridge: str, carrier: str) -> Joined | None:
    """What is behind the bridge now; None if there is no such bridge. Blocking. Raises OSError."""
    with Rtnl() as rtnl:
        link = rtnl.get(netlink.get_link(bridge))
    if link is None:
        return None
    reason = _why_blind(bridge, link)
    if reason:
        return Joined(everything=reason)
    try:
        foreign = socket.if_nametoindex(carrier)
    except OSError:
        foreign = 0
    return found_in(_dump(), link["index"], foreign)


def found_in(messages: Iterator[bytes], bridge: int, foreign: int) -> Joined:
    """What the kernel's messages say of a bridge, but for its port ``foreign``."""
    groups: set[Group] = set()
    routers: set[int] = set()
    for message in messages:
        if _PORT_MESSAGE.unpack_from(message)[1] == bridge:
            for kind, content in attributes(message[_PORT_MESSAGE.size :]):
                if kind == _MDB:
                    groups |= {group for port, group in _entries(content) if port != foreign}
                elif kind == _ROUTERS:
                    routers |= set(_router_ports(content))
    if routers - {foreign}:
        return Joined(everything="one of its containers acts as a multicast router")
    return Joined(frozenset(groups))


def _why_blind(bridge: str, link: Any) -> str:
    """Why the bridge cannot know who listens, or the empty string."""
    options = link.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_DATA")
    if not options.get_attr("IFLA_BR_MCAST_SNOOPING"):
        return "its bridge has stopped snooping: more groups were joined than it can hold, or it was told to"
    if sysctl.read(f"ipv6/conf/{bridge}/disable_ipv6") == "1":
        return "IPv6 is turned off on its bridge, which then cannot ask who listens"
    return ""


def _dump() -> Iterator[bytes]:
    """The bodies of all messages in the answer to "who is in which group", of all bridges."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as asking:
        asking.bind((0, 0))
        body = _PORT_MESSAGE.pack(socket.AF_BRIDGE, 0)
        flags = netlink.REQUEST | netlink.DUMP
        asking.send(_HEADER.pack(_HEADER.size + len(body), _GETMDB, flags, 1, 0) + body)
        while True:
            data = asking.recv(1 << 18)
            for kind, content in messages(data):
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    (code,) = struct.unpack_from("=i", content)
                    raise OSError(-code, "the kernel does not list multicast groups")
                if kind in (_NEWMDB, _GETMDB):
                    yield content


def _entries(content: bytes) -> Iterator[tuple[int, Group]]:
    """The port and the group of each membership. The bridge itself is the port of those of the host."""
    for outer, inner in attributes(content):
        for kind, entry in attributes(inner) if outer == _MDB_ENTRY else ():
            if kind == _ENTRY_INFO and len(entry) >= _ENTRY.size:
                port, _state, _flags, _vlan, address, ethertype = _ENTRY.unpack_from(entry)
                if ethertype in _LENGTHS:
                    try:
                        yield port, parse_group(address[: _LENGTHS[ethertype]])
                    except BadMessage as error:
                        _log.debug("an entry of the bridge is left out: %s", error)


def _router_ports(content: bytes) -> Iterator[int]:
    for kind, port in attributes(content):
        if kind == _ROUTER_PORT and len(port) >= 4:
            yield int.from_bytes(port[:4], "little")
