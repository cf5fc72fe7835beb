"""The addresses of this host, and word of every change: hosts move from network to network."""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Interface
from typing import Any

from tulle.host import netlink
from tulle.host.netlink import Rtnl
from tulle.host.news import ADDRESSES, ROUTING, News

log = logging.getLogger(__name__)

SETTLE = 0.1
"""Seconds to wait for more after a first change: an address rarely comes or goes alone."""

_SOMEWHERE_IN_THE_WORLD = ("192.0.2.1", 9)

Listener = Callable[[Sequence[IPv4Interface]], None]


class OwnAddresses:
    """Tells ``listener`` the IPv4 addresses on all interfaces but ``without``, at first and when they change.

    The one from which packets leave for the world comes first.
    """

    def __init__(self, listener: Listener, without: str) -> None:
        self._listener = listener
        self._without = without
        self._known: list[IPv4Interface] | None = None
        self._changed = asyncio.Event()
        self._news: News | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Tell the addresses of now, and from now on every change."""
        self._news = News(ROUTING, ADDRESSES, lambda _: self._changed.set(), self._changed.set)
        await self._look()
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Tell nothing more."""
        if self._news is not None:
            self._news.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(SETTLE)
            self._changed.clear()
            try:
                await self._look()
            except OSError as error:
                log.error("the addresses of this host cannot be read: %s", error)

    async def _look(self) -> None:
        found = await asyncio.to_thread(own_addresses, self._without)
        if found != self._known:
            self._known = found
            self._listener(found)


def own_addresses(without: str) -> list[IPv4Interface]:
    """All IPv4 addresses of this host but those of the interface ``without``."""
    with Rtnl() as rtnl:
        answers = rtnl.dump(netlink.list_addresses(0))
    outward = _outward()
    found = [netlink.address_of(answer) for answer in answers if _device(answer) != without]
    return sorted(found, key=lambda one: (str(one.ip) != outward, one))


def _outward() -> str:
    """The address from which packets leave for the world; "" if none do. Nothing is sent to find out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_SOMEWHERE_IN_THE_WORLD)
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def _device(answer: Any) -> str:
    try:
        return socket.if_indextoname(answer["index"])
    except OSError:
        return ""
