"""TCP connections between daemons: sockets on one side, the mesh's numbered links on the other.

Nothing is decided here. Bytes go to the mesh, the mesh's bytes go out as fast as the socket takes them, and
while a socket is full the mesh keeps what waits for it merged.
"""

import asyncio
import errno
import itertools
import logging
import os
import socket
import struct
from typing import Protocol, cast

from tulle.errors import UserError
from tulle.mesh.events import Address, LinkId

log = logging.getLogger(__name__)

DIAL_TIMEOUT = 5.0
HIGH_WATER = 256 * 1024
PARTING_SECONDS = 1.0
"""How long the other end may take to read why we leave."""

RESET_ON_CLOSE = struct.pack("ii", 1, 0)

KEEP_ALIVE = 5
"""Seconds of silence after which the kernel asks whether the other end is there; so NATs remember it, too."""

DEAD_AFTER = 20
"""Seconds without any sign of the other machine, after which the connection is over."""


class LinkHandler(Protocol):
    """What the sockets tell; each call is followed by whatever the mesh wants done."""

    def link_accepted(self, link: LinkId, remote: Address, local: Address) -> bool:
        """A peer connected; False to turn it away."""

    def link_dialled(self, link: LinkId, target: Address, local: Address) -> None:
        """Our dial to ``target`` went through."""

    def link_dial_failed(self, target: Address, reason: str) -> None:
        """Our dial to ``target`` did not."""

    def link_received(self, link: LinkId, data: bytes) -> None:
        """Bytes came in."""

    def link_closed(self, link: LinkId, reason: str) -> None:
        """The connection is gone."""

    def link_pull(self, link: LinkId) -> bytes:
        """The next bytes to send; empty when there are none."""


class Links:
    """All TCP connections of one daemon."""

    def __init__(self, handler: LinkHandler) -> None:
        self._handler = handler
        self._numbers = itertools.count(1)
        self._open: dict[LinkId, _Link] = {}
        self._parting: set[_Link] = set()
        self._dials: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> None:
        """Accept peers on ``port`` of ``host`` (empty: every IPv4 address). Raises UserError if taken."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: _Link(self, self.next_number(), None), host or "0.0.0.0", port
            )
        except OSError as error:
            raise UserError(_cannot_listen(error, host, port), 409) from error

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is not None:
            self._server.close()
        for dial in list(self._dials):
            dial.cancel()
        await asyncio.gather(*self._dials, return_exceptions=True)
        for link in [*self._open.values(), *self._parting]:
            link.drop()

    def next_number(self) -> LinkId:
        """A link number never used before in this process."""
        return LinkId(next(self._numbers))

    def dial(self, target: Address) -> None:
        """Connect in the background; the handler hears how it went."""
        task = asyncio.get_running_loop().create_task(self._dial(target))
        self._dials.add(task)
        task.add_done_callback(self._dials.discard)

    async def _dial(self, target: Address) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(DIAL_TIMEOUT):
                await loop.create_connection(lambda: _Link(self, self.next_number(), target), *target)
        except TimeoutError:
            self._handler.link_dial_failed(target, f"no answer within {DIAL_TIMEOUT:.0f} s")
        except OSError as error:
            self._handler.link_dial_failed(target, _plain(error))

    def writable(self, link: LinkId) -> None:
        """There is something to pull for this link."""
        connection = self._open.get(link)
        if connection is not None:
            connection.fill()

    def close_link(self, link: LinkId, last_words: bytes = b"") -> None:
        """Close at once, or once the other end has heard why; the handler does not hear of it again."""
        connection = self._open.pop(link, None)
        if connection is not None and last_words:
            self._parting.add(connection)
            connection.part(last_words)
        elif connection is not None:
            connection.drop()

    # what connections report

    def opened(self, connection: "_Link", remote: Address, local: Address) -> bool:
        """Register a connection that came up; False turns it away."""
        self._open[connection.number] = connection
        if connection.target is not None:
            self._handler.link_dialled(connection.number, connection.target, local)
            return True
        accepted = self._handler.link_accepted(connection.number, remote, local)
        if not accepted:
            self._open.pop(connection.number, None)
        return accepted

    def lost(self, connection: "_Link", reason: str) -> None:
        """A connection ended by itself."""
        self._parting.discard(connection)
        if self._open.pop(connection.number, None) is not None:
            self._handler.link_closed(connection.number, reason)

    def received(self, number: LinkId, data: bytes) -> None:
        """Hand bytes on, unless the link was closed meanwhile."""
        if number in self._open:
            self._handler.link_received(number, data)

    def pull(self, number: LinkId) -> bytes:
        """The next bytes to write for a link that is still open."""
        return self._handler.link_pull(number) if number in self._open else b""


class _Link(asyncio.Protocol):
    def __init__(self, links: Links, number: LinkId, target: Address | None) -> None:
        self.number = number
        self.target = target
        self._links = links
        self._transport: asyncio.Transport | None = None
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=HIGH_WATER)
        sock = cast(socket.socket, transport.get_extra_info("socket"))
        # The original resets connections instead of closing them; so do we, and lose no TIME_WAIT ports.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEP_ALIVE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEP_ALIVE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER * 1000)
        remote = transport.get_extra_info("peername")[:2]
        local = transport.get_extra_info("sockname")[:2]
        if self._links.opened(self, remote, local):
            self.fill()
        else:
            self.drop()

    def data_received(self, data: bytes) -> None:
        self._links.received(self.number, data)

    def connection_lost(self, exc: Exception | None) -> None:
        reason = "connection closed by the peer" if exc is None else _plain(exc)
        self._links.lost(self, reason)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self.fill()

    def fill(self) -> None:
        """Write what the mesh has for us until there is nothing or the socket is full."""
        while not self._paused and self._transport is not None and not self._transport.is_closing():
            data = self._links.pull(self.number)
            if not data:
                return
            self._transport.write(data)

    def part(self, last_words: bytes) -> None:
        """Say this and wait a moment: a reset would overtake it. The other end closes when it has read it."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(last_words)
            asyncio.get_running_loop().call_later(PARTING_SECONDS, self.drop)

    def drop(self) -> None:
        """Reset the connection."""
        if self._transport is not None:
            self._transport.abort()


def _cannot_listen(error: OSError, host: str, port: int) -> str:
    remedy = (
        "this host has no such address; choose another with --host"
        if error.errno == errno.EADDRNOTAVAIL
        else "stop what uses it, or choose another with --port"
    )
    where = f"TCP port {port} of {host or 'this host'}"
    return f"cannot listen for peers on {where}: {_plain(error)}; {remedy}"


def _plain(error: Exception) -> str:
    """What the system calls this error, without what asyncio adds to it."""
    code = error.errno if isinstance(error, OSError) else None
    return os.strerror(code).lower() if code else str(error).lower()
