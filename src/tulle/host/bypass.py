"""Past the bridge: frames between containers and other hosts need neither it nor its packet filters.

The program that sees to this sits at each container's port of the bridge and outlives the daemon. It is put
there when the port is a moment old: a container that ends sooner has nothing to gain by it.
"""

import asyncio
import logging
import os
import re
import socket
import struct
import threading
from collections.abc import Iterable, Iterator

from tulle.host.bpf.filters import Direction, attach, ensure_hooks
from tulle.host.bridge import bridge_index, ports_of
from tulle.host.monitor import removed_links
from tulle.host.netlink import Rtnl
from tulle.host.news import LINKS, ROUTING, News, attributes, messages

_log = logging.getLogger(__name__)

SETTLE = 1.0
"""Seconds from a port's coming to its program's: whoever waits for a container does not wait for this."""

_CONTAINERS = re.compile(rb"t[el][0-9a-f]{12}\Z")
"""The names of host ends (``veth``, ``endpoints``). Other ports are not ours to touch."""
_NEWLINK = 16
_LINK = struct.Struct("=BxHiII")
_NAME, _MASTER = 3, 10
_INDEX = struct.Struct("=I")


class Bypass:
    """Puts a program on the containers' ports of a bridge as they come. ``close`` leaves them there."""

    def __init__(self, bridge: str, program: int) -> None:
        """``program`` is a descriptor, which belongs to this object."""
        self._bridge = bridge_index(bridge)
        self._program = program
        self._turn = threading.Lock()
        """Held while the program is used, in whatever thread, or closed."""
        self._done: set[int] = set()
        self._fresh: set[int] = set()
        self._stirred = asyncio.Event()
        self._overlooked = False
        self._news: News | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """See to new ports from now on, in the running event loop, and to those that came meanwhile."""
        self._news = News(ROUTING, LINKS, self._hear, self._missed)
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._missed()

    def close(self) -> None:
        """Leave the ports as they are. May be called twice."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
        if self._news is not None:
            self._news.close()
        with self._turn:
            if self._program >= 0:
                os.close(self._program)
                self._program = -1

    def put_on_all(self) -> None:
        """Put the program on every container's port, also in place of an older one. Raises KernelRefused."""
        with Rtnl() as rtnl:
            ports = ports_of(rtnl, self._bridge)
        self.put(port["index"] for port in ports if _CONTAINERS.match(port.get_attr("IFLA_IFNAME").encode()))

    def put(self, ports: Iterable[int]) -> None:
        """Put the program on these ports now, unless they have it. Ports that have gone are no error."""
        for index in set(ports) - self._done:
            with self._turn:
                if self._program < 0:
                    return
                try:
                    ensure_hooks(index)
                    attach(index, Direction.INGRESS, self._program)
                except OSError as error:
                    if _exists(index):
                        _log.warning(
                            "port %d is not given what takes its frames past the bridge: %s", index, error
                        )
                else:
                    self._done.add(index)

    def _hear(self, data: bytes) -> None:
        gone = removed_links(data)
        self._done.difference_update(gone)
        self._fresh.difference_update(gone)
        came = [index for index in joined_links(data, self._bridge) if index not in self._done]
        if came:
            self._fresh.update(came)
            self._stirred.set()

    def _missed(self) -> None:
        self._overlooked = True
        self._stirred.set()

    async def _run(self) -> None:
        while True:
            await self._stirred.wait()
            await asyncio.sleep(SETTLE)
            self._stirred.clear()
            overlooked, self._overlooked = self._overlooked, False
            fresh, self._fresh = self._fresh, set()
            try:
                await (
                    asyncio.to_thread(self.put_on_all) if overlooked else asyncio.to_thread(self.put, fresh)
                )
            except OSError as error:
                _log.warning("frames of new containers go over the bridge: the kernel says %s", error)


def joined_links(data: bytes, bridge: int) -> Iterator[int]:
    """The indexes of containers' ports of this bridge that the messages in a netlink datagram tell of."""
    for kind, body in messages(data):
        if kind != _NEWLINK or len(body) < _LINK.size:
            continue
        family, _type, index, _flags, _change = _LINK.unpack_from(body)
        if family != socket.AF_UNSPEC:
            continue
        for key, value in attributes(body[_LINK.size :]):
            if key == _NAME and not _CONTAINERS.match(value.rstrip(b"\0")):
                break
            if key == _MASTER and value == _INDEX.pack(bridge):
                yield index


def _exists(index: int) -> bool:
    try:
        return bool(socket.if_indextoname(index))
    except OSError:
        return False
