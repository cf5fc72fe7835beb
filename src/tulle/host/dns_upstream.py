"""Questions about the rest of the world: passed on to the host's own DNS servers.

A query travels unchanged except for its id, and so does the reply. Each attempt has a new random id and a
new port of the kernel's choice, and takes a reply only from the address it asked, with its id and its
question: who forges blindly has to guess both.

The servers are tried in the file's order, because the first may know names that the others do not. But
the time of a dead one is not waited out: after a moment the next is asked as well, and the first useful
reply wins. A server that was silent goes to the end of the line for a while.
"""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import dns.rcode

from tulle.host.resolv_conf import ResolvConfFile
from tulle.names.question import HEADER, bare_error, read, study

log = logging.getLogger(__name__)

PORT = 53
MAX_IN_FLIGHT = 512
"""Queries under way at once; more get an error at once instead of piling up sockets."""

NEXT_AFTER = 1.0
"""Seconds without a reply after which the next server is asked too, or the same one again."""

ROUNDS = 2
"""How often each server is asked: datagrams get lost."""

AVOIDED_FOR = 30.0
"""Seconds for which a server that was silent is asked last."""

_USEFUL = (int(dns.rcode.NOERROR), int(dns.rcode.NXDOMAIN))
_TRUNCATED = 0x02


class Upstream:
    """The servers of a resolv.conf, which may change at any time.

    ``timeout`` is for the whole of one query, in seconds; ``is_self`` tells which addresses are our own
    server.
    """

    def __init__(
        self, resolv_conf: Path, timeout: float, is_self: Callable[[str], bool], port: int = PORT
    ) -> None:
        self._file = ResolvConfFile(resolv_conf)
        self._timeout = timeout
        self._is_self = is_self
        self.port = port
        self._avoided: dict[str, float] = {}
        self._silent: set[str] = set()
        self._in_flight = 0

    def servers(self) -> list[str]:
        """The addresses in the order in which they would be asked now."""
        now = time.monotonic()
        self._avoided = {server: until for server, until in self._avoided.items() if until > now}
        servers = [server for server in self._file.current().servers if not self._is_self(server)]
        return sorted(servers, key=self._avoided.__contains__)

    async def forward(self, query: bytes, tcp: bool) -> bytes:
        """The reply to a well-formed query, for a client that came over TCP or not, or an error."""
        servers = self.servers()
        reply = None
        if servers and self._in_flight < MAX_IN_FLIGHT:
            self._in_flight += 1
            try:
                reply = await self._race(servers, query, tcp)
            finally:
                self._in_flight -= 1
        return bare_error(query, dns.rcode.SERVFAIL) if reply is None else query[:2] + reply[2:]

    async def _race(self, servers: list[str], query: bytes, tcp: bool) -> bytes | None:
        """Ask one server after another until one is useful; failing that, the last error of any of them."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        waiting = deque(servers * ROUNDS)
        asked: dict[asyncio.Task[bytes | None], str] = {}
        error = None
        try:
            while waiting or asked:
                if waiting:
                    server = waiting.popleft()
                    asked[loop.create_task(self._ask(server, query, tcp))] = server
                left = deadline - loop.time()
                patience = min(left, NEXT_AFTER) if waiting else left
                done, _ = await asyncio.wait(asked, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    server = asked.pop(task)
                    reply = task.result()
                    if reply is not None and reply[3] & 15 in _USEFUL:
                        self._heard(server)
                        return reply
                    error = reply or error
                    waiting = deque(other for other in waiting if other != server)
                if not done and deadline <= loop.time():
                    break
            return error
        finally:
            await self._give_up(asked)

    async def _give_up(self, asked: dict[asyncio.Task[bytes | None], str]) -> None:
        """Whoever has not replied by now is avoided."""
        for task, server in asked.items():
            task.cancel()
            self._avoid(server)
        await asyncio.gather(*asked, return_exceptions=True)

    def _avoid(self, server: str) -> None:
        self._avoided[server] = time.monotonic() + AVOIDED_FOR
        if server not in self._silent:
            self._silent.add(server)
            log.warning("DNS server %s does not answer; it is asked after the others for now", server)

    def _heard(self, server: str) -> None:
        self._avoided.pop(server, None)
        if server in self._silent:
            self._silent.discard(server)
            log.info("DNS server %s answers again", server)

    async def _ask(self, server: str, query: bytes, tcp: bool) -> bytes | None:
        """The reply of one server; None if it cannot be reached. For TCP clients a cut one is had whole."""
        sent = secrets.token_bytes(2) + query[2:]
        section = (read(query) or study(query)).section.lower()
        try:
            reply = await _over_udp(server, self.port, sent, section)
            if tcp and reply[2] & _TRUNCATED:
                reply = await _over_tcp(server, self.port, sent, section)
        except (OSError, EOFError) as problem:
            log.debug("DNS server %s: %s", server, problem)
            self._avoid(server)
            return None
        return reply


def is_reply(data: bytes, sent: bytes, section: bytes) -> bool:
    """Whether ``data`` answers the message ``sent``, whose question section in lower case is given.

    A server that understood nothing may repeat no question; its error counts too.
    """
    if len(data) < HEADER or data[:2] != sent[:2] or not data[2] & 0x80:
        return False
    if data[4:6] == b"\0\0":
        return data[3] & 15 not in _USEFUL
    return data[4:6] == b"\0\1" and data[HEADER : HEADER + len(section)].lower() == section


class _Exchange(asyncio.DatagramProtocol):
    """One query over UDP. The socket is connected: the kernel passes on what comes from that server only."""

    def __init__(self, sent: bytes, section: bytes) -> None:
        self.reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._sent = sent
        self._section = section

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.reply.done() and is_reply(data, self._sent, self._section):
            self.reply.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.reply.done():
            self.reply.set_exception(exc)


async def _over_udp(server: str, port: int, sent: bytes, section: bytes) -> bytes:
    transport, exchange = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Exchange(sent, section), remote_addr=(server, port)
    )
    try:
        transport.sendto(sent)
        return await exchange.reply
    finally:
        transport.close()


async def _over_tcp(server: str, port: int, sent: bytes, section: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(server, port)
    try:
        writer.write(len(sent).to_bytes(2, "big") + sent)
        reply = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    finally:
        writer.close()
    if not is_reply(reply, sent, section):
        raise ConnectionError("the reply over TCP is to something else")
    return reply
