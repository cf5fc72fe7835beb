import asyncio
import errno
import os
import random
import re
import socket
from collections import Counter
from pathlib import Path

import dns.message
import dns.rcode
import pytest
from fake_dns import (
    asking,
    dig,
    first_cut,
    free_port,
    resolv_conf,
    resolver,
    says,
    serving,
    silent,
    until,
    world,
)

from tulle.errors import UserError
from tulle.host.dns_server import DnsServer

NOWHERE = Path("/nonexistent/resolv.conf")


def query(name: str, rtype: str = "A") -> bytes:
    return dns.message.make_query(name, rtype).to_wire()


def status(output: str) -> str:
    found = re.search(r"status: (\w+)", output)
    assert found, output
    return found[1]


async def test_dig_gets_answers() -> None:
    async with serving(NOWHERE) as server:
        assert await dig(server, "+short", "db.tulle.internal") == "10.32.0.9\n"
        assert await dig(server, "+short", "DB.Tulle.INTERNAL") == "10.32.0.9\n"
        assert await dig(server, "+short", "db") == "10.32.0.9\n"
        assert await dig(server, "+short", "-x", "10.32.0.9") == "db.tulle.internal.\n"
        assert sorted((await dig(server, "+short", "web")).split()) == ["10.33.0.1", "10.33.0.2", "10.33.0.3"]
        assert re.search(r"db\.tulle\.internal\.\s+1\s+IN\s+A", await dig(server, "db.tulle.internal"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("db.tulle.internal", "AAAA"), "NOERROR"),
        (("nobody.tulle.internal",), "NXDOMAIN"),
        (("nobody",), "NXDOMAIN"),
        (("www.example.org",), "SERVFAIL"),
        (("-x", "9.9.9.9"), "SERVFAIL"),
        (("version.bind", "TXT", "CH"), "NOTIMP"),
        (("db.tulle.internal", "+edns=1", "+noednsneg"), "BADVERS"),
        (("+opcode=UPDATE", "db.tulle.internal"), "NOTIMP"),
        (("db.tulle.internal", "+dnssec", "+cdflag", "+cookie=0123456789abcdef"), "NOERROR"),
        (("db.tulle.internal", "+noedns", "+norecurse"), "NOERROR"),
    ],
)
async def test_dig_understands_our_status(arguments: tuple[str, ...], expected: str) -> None:
    async with serving(NOWHERE) as server:
        for transport in ("+notcp", "+tcp"):
            output = await dig(server, transport, *arguments)
            assert status(output) == expected
            assert "malformed" not in output


async def test_dig_fetches_a_long_answer_over_tcp_by_itself() -> None:
    async with serving(NOWHERE) as server:
        cut = await dig(server, "+ignore", "+noedns", "many")
        assert " tc" in cut
        assert 20 < cut.count("IN\tA\t") < 32
        whole = await dig(server, "+noedns", "many")
        assert whole.count("IN\tA\t") == 100
        assert "(TCP)" in whole
        assert (await dig(server, "+bufsize=4096", "many")).count("IN\tA\t") == 100


async def test_equal_names_are_balanced() -> None:
    asked = query("web.tulle.internal.")
    firsts = Counter[bytes]()
    async with serving(NOWHERE) as server, asking() as (transport, client):
        for _ in range(3000):
            transport.sendto(asked, server.listen)
            answer, _ = await client.replies.get()
            firsts[answer[len(asked) + 12 : len(asked) + 16]] += 1
    assert len(firsts) == 3
    assert set(firsts.values()) == {1000}


async def test_other_names_are_passed_on_to_the_hosts_servers(tmp_path: Path) -> None:
    port = free_port()
    async with (
        world(port, first=silent, second=says("hello")) as worlds,
        serving(resolv_conf(tmp_path, "127.0.0.2", "127.0.0.3"), upstream_port=port) as server,
    ):
        assert await dig(server, "+short", "www.example.org", "TXT") == '"hello"\n'
        assert await dig(server, "+short", "9.9.9.9.in-addr.arpa", "TXT") == '"hello"\n'
        assert await dig(server, "+short", "+tcp", "com", "TXT") == '"hello"\n'
        assert status(await dig(server, "nobody.tulle.internal")) == "NXDOMAIN"
        assert status(await dig(server, "nobody")) == "NXDOMAIN"
        names = [str(dns.message.from_wire(each).question[0].name) for each in worlds["second"].asked]
        assert names == ["www.example.org.", "9.9.9.9.in-addr.arpa.", "com."]


async def test_a_cut_reply_of_the_world_is_fetched_over_tcp(tmp_path: Path) -> None:
    port = free_port()
    async with (
        world(port, only=first_cut),
        serving(resolv_conf(tmp_path, "127.0.0.2"), upstream_port=port) as server,
    ):
        assert await dig(server, "+short", "www.example.org", "TXT") == '"whole"\n'


async def test_it_never_asks_itself(tmp_path: Path) -> None:
    port = free_port()
    path = resolv_conf(tmp_path, "127.0.0.1", "127.0.0.9")
    async with serving(path, port=port, upstream_port=port) as server:
        assert server.upstream_servers() == ["127.0.0.9"]
    async with serving(path, "0.0.0.0", port=port, upstream_port=port) as server:
        assert server.upstream_servers() == []
        assert status(await dig(server, "www.example.org", address="127.0.0.1")) == "SERVFAIL"
    path = resolv_conf(tmp_path, "127.0.0.1", "192.0.2.1")
    async with serving(path, "0.0.0.0", port=port, upstream_port=port) as server:
        assert server.upstream_servers() == ["192.0.2.1"]


async def test_a_reply_comes_from_the_address_that_was_asked(tmp_path: Path) -> None:
    port = free_port()
    path = resolv_conf(tmp_path, "127.0.0.2")
    upstream_port = free_port()
    async with (
        world(upstream_port, only=says("hello")),
        serving(path, "0.0.0.0", port=port, upstream_port=upstream_port),
        asking("0.0.0.0") as (transport, client),
    ):
        for name, rtype in (("db.tulle.internal.", "A"), ("www.example.org.", "TXT")):
            transport.sendto(query(name, rtype), ("127.0.0.7", port))
            answer, source = await client.replies.get()
            assert source == ("127.0.0.7", port)
            assert dns.message.from_wire(answer).answer


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
async def test_a_port_in_use_is_explained(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = int(taken.getsockname()[1])
        with pytest.raises(UserError, match=rf"port {port} of 127\.0\.0\.1 is in use.*--dns-listen-address"):
            async with serving(NOWHERE, port=port):
                raise AssertionError


async def test_an_address_that_is_not_here_is_explained() -> None:
    with pytest.raises(UserError, match=r"no interface of this host has the address 192\.0\.2\.1"):
        async with serving(NOWHERE, "192.0.2.1"):
            raise AssertionError


@pytest.mark.parametrize(
    ("number", "text"),
    [(errno.EACCES, "port 53 may only be used by root"), (errno.EIO, "Input/output error")],
)
async def test_other_obstacles_are_explained(number: int, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(UserError, match=f"{text}.*--dns-listen-address"):
        await DnsServer(resolver(), ("10.32.0.1", 53), NOWHERE).start()


async def test_it_can_be_stopped_at_any_time_and_started_again(tmp_path: Path) -> None:
    port = free_port()
    upstream_port = free_port()
    path = resolv_conf(tmp_path, "127.0.0.2")
    async with world(upstream_port, only=silent) as worlds:
        for _ in range(2):
            async with (
                serving(path, port=port, upstream_port=upstream_port) as server,
                asking() as (transport, _),
            ):
                reader, writer = await asyncio.open_connection(*server.listen)
                transport.sendto(query("www.example.org."), server.listen)
                await until(lambda: worlds["only"].asked)
                await server.stop()
                await server.stop()
                assert await reader.read() == b""
                writer.close()
                worlds["only"].asked.clear()


async def test_stopping_what_was_not_started_is_nothing() -> None:
    await DnsServer(resolver(), ("127.0.0.1", 0), NOWHERE).stop()


async def test_whatever_comes_the_server_goes_on() -> None:
    rng = random.Random(7)
    good = query("db.tulle.internal.")
    async with serving(NOWHERE) as server, asking() as (transport, client):
        for _ in range(500):
            damaged = bytearray(good)
            for _ in range(rng.randrange(1, 6)):
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
            transport.sendto(bytes(damaged[: rng.randrange(len(damaged) + 1)]), server.listen)
            transport.sendto(rng.randbytes(rng.randrange(64)), server.listen)
            await asyncio.sleep(0)
        transport.sendto(b"\xff\xff" + good[2:], server.listen)
        answer = b""
        while not (answer[:2] == b"\xff\xff" and dns.message.from_wire(answer).answer):
            answer, _ = await client.replies.get()
