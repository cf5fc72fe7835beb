import asyncio
from pathlib import Path

import dns.message
import pytest
from fake_dns import free_port, resolv_conf, says, serving, until, world

from tulle.host import dns_tcp as module
from tulle.host.dns_server import DnsServer

NOWHERE = Path("/nonexistent/resolv.conf")


def framed(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def query(name: str, rtype: str = "A") -> bytes:
    return framed(dns.message.make_query(name, rtype).to_wire())


async def answer(reader: asyncio.StreamReader) -> dns.message.Message:
    size = int.from_bytes(await reader.readexactly(2), "big")
    return dns.message.from_wire(await reader.readexactly(size))


async def connect(server: DnsServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(*server.listen)


async def test_several_queries_of_a_connection_are_answered_in_order(tmp_path: Path) -> None:
    port = free_port()
    async with (
        world(port, only=says("hello")),
        serving(resolv_conf(tmp_path, "127.0.0.2"), upstream_port=port) as server,
    ):
        reader, writer = await connect(server)
        names = ["db.", "www.example.org.", "many.", "nobody."]
        writer.write(b"".join(query(name, "TXT" if "example" in name else "A") for name in names))
        answers = [await answer(reader) for _ in names]
        assert [str(each.question[0].name) for each in answers] == names
        assert [sum(map(len, each.answer)) for each in answers] == [1, 1, 100, 0]
        writer.close()


async def test_a_query_may_come_in_pieces() -> None:
    async with serving(NOWHERE) as server:
        reader, writer = await connect(server)
        for byte in query("db."):
            writer.write(bytes((byte,)))
            await writer.drain()
        assert len((await answer(reader)).answer) == 1
        writer.close()


@pytest.mark.parametrize(
    "scrap", [b"", b"\0", b"\0\x05abc", framed(b""), framed(b"short"), framed(b"\0\1\x80" + bytes(9))]
)
async def test_after_a_scrap_the_connection_ends_and_others_go_on(scrap: bytes) -> None:
    async with serving(NOWHERE) as server:
        reader, writer = await connect(server)
        writer.write(scrap)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        reader, writer = await connect(server)
        writer.write(query("db."))
        assert (await answer(reader)).answer
        writer.close()


async def test_a_silent_client_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_AFTER", 0.05)
    async with serving(NOWHERE) as server:
        reader, writer = await connect(server)
        with pytest.raises(ConnectionError):
            await gone(reader)
        writer.close()


async def test_a_client_that_does_not_take_its_answers_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_AFTER", 0.2)
    async with serving(NOWHERE) as server:
        _, writer = await connect(server)
        tcp = server._tcp
        assert tcp is not None
        writer.write(query("many.") * 20_000)
        await until(lambda: tcp._connections)
        await until(lambda: not tcp._connections)
        writer.transport.abort()


async def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 2)
    async with serving(NOWHERE) as server:
        held = [await connect(server) for _ in range(2)]
        for reader, writer in held:
            writer.write(query("db."))
            await answer(reader)
        reader, writer = await connect(server)
        with pytest.raises(ConnectionError):
            await gone(reader)
        writer.close()
        held[0][1].close()
        tcp = server._tcp
        assert tcp is not None
        await until(lambda: len(tcp._connections) < 2)
        reader, writer = await connect(server)
        writer.write(query("db."))
        assert (await answer(reader)).answer
        for each in (writer, held[1][1]):
            each.close()


async def gone(reader: asyncio.StreamReader) -> None:
    """Wait until the server has closed; a reset or a plain end, whichever the kernel makes of it."""
    if await reader.read() == b"":
        raise ConnectionError("closed")
