"""An engine that is only a socket: a test says, byte by byte, what it answers, and sees what it was sent."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from api.fake_daemon import FakeDaemon

from tulle.api.daemon import DnsService
from tulle.api.listen import UnixAddress
from tulle.docker.engine import Engine
from tulle.docker.proxy.create import Joining
from tulle.docker.proxy.options import ProxyOptions
from tulle.docker.proxy.service import Proxy

ID = "ab" * 32
Answer = Callable[["Exchange"], Awaitable[None]]


@dataclass
class Exchange:
    """One request at the engine, its head read, and the connection it came on."""

    head: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def line(self) -> str:
        """Method and target."""
        return self.head.decode("latin-1").rpartition(" HTTP/")[0].partition(" HTTP/")[0]

    async def body(self) -> bytes:
        """A body with Content-Length."""
        for row in self.head.lower().split(b"\r\n"):
            name, _, value = row.partition(b":")
            if name == b"content-length":
                return await self.reader.readexactly(int(value))
        return b""

    async def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()


def ok(value: Any, status: str = "200 OK") -> bytes:
    """A whole answer with JSON."""
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@dataclass
class RawEngine:
    """``answers`` are tried in order: those whose key is in the request's line. ``seen`` are the lines."""

    answers: dict[str, Answer | bytes] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    ended: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    """The line of each request whose connection has ended."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            exchange = Exchange(await reader.readuntil(b"\r\n\r\n"), reader, writer)
        except asyncio.IncompleteReadError:
            writer.close()
            return
        self.seen.append(exchange.line)
        answer = next((value for key, value in self.answers.items() if key in exchange.line), None)
        try:
            if callable(answer):
                await answer(exchange)
            else:
                await exchange.say(answer or ok({"message": "no such thing"}, "404 Not Found"))
        except ConnectionError:
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            self.ended.put_nowait(exchange.line)


@dataclass
class Proxied:
    """A proxy in front of a raw engine."""

    path: Path
    engine: RawEngine
    daemon: FakeDaemon
    proxy: Proxy

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(self.path)

    async def ask(self, request: bytes) -> bytes:
        """All that comes back for these bytes."""
        reader, writer = await self.connect()
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return answer

    async def post(self, target: str, value: Any) -> tuple[int, Any]:
        """Status and JSON."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        head = f"POST {target} HTTP/1.1\r\nHost: docker\r\nContent-Length: {len(body)}\r\n\r\n"
        return parsed(await self.ask(head.encode() + body))


def parsed(answer: bytes) -> tuple[int, Any]:
    """Status and JSON of a whole answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body) if body else None


@asynccontextmanager
async def proxied(directory: Path, **options: Any) -> AsyncIterator[Proxied]:
    """A proxy with these options, for as long as this is entered."""
    engine = RawEngine()
    daemon = FakeDaemon()
    daemon.dns = DnsService("tulle.internal.", IPv4Address("10.99.0.2"), 53)
    chosen = ProxyOptions(**options)
    joining = Joining(chosen, str(directory / "wait"), daemon.dns, ("corp.example",))
    server = await asyncio.start_unix_server(engine.serve, directory / "engine.sock")
    client = Engine(str(directory / "engine.sock"))
    addresses = chosen.proxy_listen or (UnixAddress(str(directory / "proxy.sock")),)
    proxy = Proxy(daemon, client, joining, addresses)
    await proxy.start()
    try:
        yield Proxied(directory / "proxy.sock", engine, daemon, proxy)
    finally:
        await proxy.stop()
        await client.close()
        server.close()
