"""DNS servers for tests: one that plays the rest of the world, and ours on a free port."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import cast

import dns.message
import dns.rcode
import dns.rrset

from tulle.host.dns_server import DnsServer
from tulle.instant import Instant
from tulle.mesh.peername import PeerName
from tulle.names.nameserver import Nameserver
from tulle.names.resolver import Resolver

NOW = Instant(0.0, 1_700_000_000.0)

Reaction = Callable[[bytes, bool], bytes | None]
"""What a server sends for a query, which came over TCP or not."""


def says(text: str, *, rcode: dns.rcode.Rcode = dns.rcode.NOERROR) -> Reaction:
    """A TXT record with this text, or an error."""

    def react(query: bytes, tcp: bool) -> bytes:
        response = dns.message.make_response(dns.message.from_wire(query), recursion_available=True)
        response.set_rcode(rcode)
        if rcode == dns.rcode.NOERROR:
            response.answer.append(
                dns.rrset.from_text(response.question[0].name, 60, "IN", "TXT", f'"{text}"')
            )
        return response.to_wire()

    return react


def silent(query: bytes, tcp: bool) -> None:
    """No answer, ever."""


def first_cut(query: bytes, tcp: bool) -> bytes:
    """A cut answer over UDP, the whole one over TCP."""
    answer = bytearray(says("whole" if tcp else "cut")(query, tcp) or b"")
    if not tcp:
        answer[2] |= 0x02
    return bytes(answer)


class World(asyncio.DatagramProtocol):
    """A DNS server on one address; ``asked`` collects the queries."""

    def __init__(self, reaction: Reaction) -> None:
        self.reaction = reaction
        self.asked: list[bytes] = []
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked.append(data)
        answer = self.reaction(data, False)
        if answer is not None:
            self.transport.sendto(answer, addr)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            self.asked.append(query)
            answer = self.reaction(query, True)
            if answer is not None:
                writer.write(len(answer).to_bytes(2, "big") + answer)
        finally:
            writer.close()


@asynccontextmanager
async def world(port: int, **reactions: Reaction) -> AsyncIterator[dict[str, World]]:
    """Servers on 127.0.0.2 and so on, named and ordered as the reactions are."""
    loop = asyncio.get_running_loop()
    worlds: dict[str, World] = {}
    listeners: list[asyncio.Server] = []
    try:
        for number, (name, reaction) in enumerate(reactions.items(), start=2):
            address = f"127.0.0.{number}"
            made = worlds[name] = World(reaction)
            await loop.create_datagram_endpoint(lambda made=made: made, local_addr=(address, port))  # type: ignore[misc]
            listeners.append(await asyncio.start_server(made.connected, address, port))
        yield worlds
    finally:
        for made in worlds.values():
            made.transport.close()
        for listener in listeners:
            listener.close()


def free_port() -> int:
    """A port that is free for UDP and TCP on all loopback addresses."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
        ):
            udp.bind(("0.0.0.0", 0))
            port = int(udp.getsockname()[1])
            try:
                tcp.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port


def resolv_conf(directory: Path, *servers: str) -> Path:
    """A file that names these servers."""
    path = directory / "resolv.conf"
    path.write_text("".join(f"nameserver {server}\n" for server in servers))
    return path


def named() -> Nameserver:
    """Names: ``db``, ``web`` with three addresses, ``many`` with a hundred."""
    server = Nameserver(PeerName(1), "tulle.internal")
    server.add("c0", "db", IPv4Address("10.32.0.9"), NOW)
    for count, name in ((3, "web"), (100, "many")):
        for number in range(count):
            server.add(f"{name}{number}", name, IPv4Address("10.33.0.1") + number, NOW)
    return server


def resolver() -> Resolver:
    """A resolver of those names."""
    return Resolver(named(), 1, random.Random(1))


@asynccontextmanager
async def serving(
    path: Path, address: str = "127.0.0.1", *, port: int = 0, upstream_port: int = 53, timeout: float = 5.0
) -> AsyncIterator[DnsServer]:
    """Our server with those names."""
    server = DnsServer(resolver(), (address, port), path, timeout, upstream_port)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def dig(server: DnsServer, *arguments: str, address: str | None = None) -> str:
    """What dig prints when it asks our server."""
    host, port = server.listen
    command = ["dig", f"@{address or host}", "-p", str(port), "+tries=1", "+timeout=10", *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode()


async def until(condition: Callable[[], object]) -> None:
    """Let the event loop run until the condition holds; the test's own time-out is the limit."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


class Asking(asyncio.DatagramProtocol):
    """A UDP client that takes what comes from anywhere."""

    def __init__(self) -> None:
        self.replies: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.replies.put_nowait((data, addr))


@asynccontextmanager
async def asking(local: str = "127.0.0.1") -> AsyncIterator[tuple[asyncio.DatagramTransport, Asking]]:
    """A UDP client."""
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_datagram_endpoint(Asking, local_addr=(local, 0))
    try:
        yield transport, client
    finally:
        transport.close()
