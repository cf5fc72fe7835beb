"""The TCP side of the DNS server, for answers that are too long for UDP (RFC 7766).

Queries of one connection are answered one after another. Connections are few, and those that say nothing are
closed: a client that wants to ask again opens another.
"""

import asyncio
import socket

from tulle.host.dns_upstream import Upstream
from tulle.host.tasks import Tasks
from tulle.names.resolver import Resolver, Verdict

MAX_CONNECTIONS = 100
IDLE_AFTER = 10.0
"""Seconds in which a whole query must arrive, or an answer be taken."""


class TcpPort:
    """A bound socket and its connections."""

    def __init__(self, bound: socket.socket, resolver: Resolver, upstream: Upstream) -> None:
        self._socket = bound
        self._resolver = resolver
        self._upstream = upstream
        self._server: asyncio.Server | None = None
        self._connections = Tasks()
        self.queries = 0

    async def start(self) -> None:
        """Begin to answer."""
        self._server = await asyncio.start_server(self._accept, sock=self._socket)

    async def close(self) -> None:
        """Close the port and all connections."""
        if self._server is not None:
            self._server.close()
        await self._connections.stop()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        self._connections.spawn(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer queries until the client leaves, falls silent, or sends what is no query."""
        try:
            while (reply := await self._answer(await _receive(reader))) is not None:
                writer.write(len(reply).to_bytes(2, "big") + reply)
                async with asyncio.timeout(IDLE_AFTER):
                    await writer.drain()
        except (EOFError, OSError):  # TimeoutError is an OSError: each is a usual end of a connection
            writer.transport.abort()
        finally:
            writer.close()

    async def _answer(self, query: bytes) -> bytes | None:
        self.queries += 1
        reply = self._resolver.answer_tcp(query)
        if isinstance(reply, bytes):
            return reply
        return await self._upstream.forward(query, tcp=True) if reply is Verdict.FORWARD else None


async def _receive(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(IDLE_AFTER):
        size = await reader.readexactly(2)
        return await reader.readexactly(int.from_bytes(size, "big"))
