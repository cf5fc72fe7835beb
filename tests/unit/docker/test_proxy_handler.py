"""The proxy in front of an engine that is a raw socket: what passes unchanged, and what does not."""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_engine import ID, Exchange, Proxied, ok, parsed, proxied

from tulle.docker.proxy.message import LONGEST_BODY, LONGEST_HEAD, Malformed, read_request

UPGRADE = (
    b"POST /v1.41/containers/web/attach?stream=1 HTTP/1.1\r\nHost: docker\r\n"
    b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
)
SWITCHING = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
IMAGE = {"Config": {"Entrypoint": ["/entry"], "Cmd": ["serve"], "Env": ["PATH=/bin"]}}
HELD_BACK = {"Id": ID, "Name": "/web", "State": {"Running": True, "Pid": 1}, "Config": {}}
HELD_BACK["Config"] = {"Entrypoint": ["/.tulle/wait", "/entry"]}


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncGenerator[Proxied]:
    async with proxied(tmp_path) as made:
        yield made


async def test_an_answer_comes_back_byte_by_byte(proxy: Proxied) -> None:
    answer = b"HTTP/1.1 299 Odd  Reason\r\nX-oDd:  two  spaces\r\n\r\nnot even\x00framed\xff"
    seen: list[bytes] = []

    async def answers(exchange: Exchange) -> None:
        seen.append(exchange.head)
        await exchange.say(answer)

    proxy.engine.answers["GET"] = answers
    request = b"GET /v1.24/x%20y?a=b%2Fc HTTP/1.1\r\nHost: docker\r\nX-CaSe: Kept\r\n"
    assert await proxy.ask(request + b"Connection: keep-alive\r\n\r\n") == answer
    assert seen == [request + b"Connection: close\r\n\r\n"]


async def test_the_input_of_a_hijacked_stream_ends_before_its_output(proxy: Proxied) -> None:
    async def cat(exchange: Exchange) -> None:
        await exchange.say(SWITCHING)
        given = await exchange.reader.read()
        await exchange.say(given, b" and more after the end")

    proxy.engine.answers["attach"] = cat
    reader, writer = await proxy.connect()
    writer.write(UPGRADE)
    assert await reader.readuntil(b"\r\n\r\n") == SWITCHING
    writer.write(b"typed")
    writer.write_eof()
    assert await reader.read() == b"typed and more after the end"
    writer.close()


async def test_bytes_sent_together_with_the_head_are_not_lost(proxy: Proxied) -> None:
    async def cat(exchange: Exchange) -> None:
        await exchange.say(SWITCHING, await exchange.reader.read())

    proxy.engine.answers["attach"] = cat
    reader, writer = await proxy.connect()
    writer.write(UPGRADE + b"early")
    writer.write_eof()
    assert (await reader.read()).endswith(b"early")
    writer.close()


async def test_large_bodies_pass_both_ways_at_once(proxy: Proxied) -> None:
    block = bytes(range(256)) * 4096
    rounds = 24

    async def archive(exchange: Exchange) -> None:
        await exchange.say(SWITCHING)
        sending = asyncio.create_task(exchange.say(*[block] * rounds))
        received = hashlib.sha256()
        while data := await exchange.reader.read(1 << 16):
            received.update(data)
        await sending
        await exchange.say(received.digest())

    proxy.engine.answers["attach"] = archive
    reader, writer = await proxy.connect()
    writer.write(UPGRADE)
    await reader.readuntil(b"\r\n\r\n")
    reading = asyncio.create_task(reader.read())
    for _ in range(rounds):
        writer.write(block)
        await writer.drain()
    writer.write_eof()
    got = await reading
    assert got[:-32] == block * rounds
    assert got[-32:] == hashlib.sha256(block * rounds).digest()
    writer.close()


async def test_a_client_that_leaves_an_idle_stream_leaves_the_engine_too(proxy: Proxied) -> None:
    async def logs(exchange: Exchange) -> None:
        await exchange.say(b"HTTP/1.1 200 OK\r\n\r\nfirst line\n")
        assert await exchange.reader.read() == b""

    proxy.engine.answers["logs"] = logs
    reader, writer = await proxy.connect()
    writer.write(b"GET /containers/web/logs?follow=1 HTTP/1.1\r\nHost: docker\r\n\r\n")
    await reader.readuntil(b"first line\n")
    writer.close()
    assert "logs" in await proxy.engine.ended.get()


async def test_a_client_that_leaves_in_the_middle_of_a_download_stops_it(proxy: Proxied) -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.say(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await exchange.say(b"x" * 65536)

    proxy.engine.answers["archive"] = endless
    reader, writer = await proxy.connect()
    writer.write(b"GET /containers/web/archive HTTP/1.1\r\nHost: docker\r\n\r\n")
    await reader.readexactly(1 << 20)
    writer.transport.abort()
    assert "archive" in await proxy.engine.ended.get()


async def test_an_engine_that_breaks_off_is_not_waited_for(proxy: Proxied) -> None:
    async def half(exchange: Exchange) -> None:
        await exchange.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    proxy.engine.answers["json"] = half
    reader, writer = await proxy.connect()
    writer.write(b"GET /containers/json HTTP/1.1\r\nHost: docker\r\n\r\n")
    assert (await reader.read()).endswith(b"\r\n\r\nhalf")
    writer.close()


CREATE = b"POST /containers/create HTTP/1.1\r\nHost: docker\r\n"
MALFORMED = [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    (b"GET\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: docker\r\nBroken header\r\n\r\n", 400),
    (CREATE + b"Content-Length: -1\r\n\r\n", 400),
    (CREATE + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    (CREATE + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: docker\r\nX: " + b"y" * LONGEST_HEAD * 2, 431),
    (CREATE + b"Content-Length: %d\r\n\r\n" % (LONGEST_BODY + 1) + b" " * (LONGEST_BODY + 1), 413),
]


@pytest.mark.parametrize(("sent", "status"), MALFORMED, ids=range(len(MALFORMED)))
async def test_malformed_requests_are_refused_in_words(proxy: Proxied, sent: bytes, status: int) -> None:
    got, value = parsed(await proxy.ask(sent))
    assert got == status
    assert value["message"]
    assert proxy.engine.seen == []


async def test_a_request_that_ends_in_its_body_goes_nowhere(proxy: Proxied) -> None:
    reader, writer = await proxy.connect()
    writer.write(b"POST /containers/create HTTP/1.1\r\nHost: docker\r\nContent-Length: 10\r\n\r\n{")
    writer.write_eof()
    assert parsed(await reader.read())[0] == 400
    assert proxy.engine.seen == []
    writer.close()


class Given:
    """A stream of which these bytes come, and then the end."""

    def __init__(self, data: bytes, size: int) -> None:
        self.pieces = [data[start : start + size] for start in range(0, len(data), size)]

    async def receive(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""


@given(
    st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=200).map(lambda tail: b"POST /containers/create HTTP/1.1\r\nHost: a\r\n" + tail),
    ),
    st.integers(1, 50),
)
@settings(max_examples=300)
def test_no_bytes_do_more_than_be_refused(data: bytes, size: int) -> None:
    async def read() -> None:
        stream: Any = Given(data, size)
        try:
            request = await read_request(stream)
            if request is not None:
                await request.read_body(stream)
        except Malformed as error:
            statuses.append(error.status)

    statuses: list[int] = []
    asyncio.run(read())
    assert all(400 <= status < 500 for status in statuses)


async def test_without_an_engine_clients_are_told(tmp_path: Path) -> None:
    async with proxied(tmp_path) as proxy:
        (tmp_path / "engine.sock").unlink()
        status, value = parsed(await proxy.ask(b"GET /info HTTP/1.1\r\nHost: docker\r\n\r\n"))
        assert status == 502
        assert "cannot reach Docker" in value["message"]


# --- creating -----------------------------------------------------------------------------------------------


async def created(proxy: Proxied, body: Any, target: str = "/v1.41/containers/create?name=web") -> Any:
    """What the engine was asked to create; bytes where it is not JSON."""
    asked: list[bytes] = []

    async def create(exchange: Exchange) -> None:
        asked.append(await exchange.body())
        await exchange.say(ok({"Id": ID, "Warnings": []}, "201 Created"))

    proxy.engine.answers.setdefault("/images/busybox/json", ok(IMAGE))
    proxy.engine.answers["/containers/create"] = create
    assert await proxy.post(target, body) == (201, {"Id": ID, "Warnings": []})
    try:
        return json.loads(asked[0])
    except ValueError:
        return asked[0]


async def test_a_container_is_created_behind_the_helper(proxy: Proxied) -> None:
    got = await created(proxy, {"Image": "busybox", "Unknown": [1.5, None]})
    assert got["Entrypoint"] == ["/.tulle/wait", "/entry"]
    assert got["Cmd"] == ["serve"]
    assert got["Hostname"] == "web"
    assert got["Unknown"] == [1.5, None]


@pytest.mark.parametrize(
    "target", ["/containers/create", "/v1.24/containers/create", "/v9.99/containers/create"]
)
async def test_every_version_is_understood(proxy: Proxied, target: str) -> None:
    assert (await created(proxy, {"Image": "busybox"}, target))["Entrypoint"][0] == "/.tulle/wait"


async def test_a_body_in_chunks_is_put_together(proxy: Proxied) -> None:
    body = json.dumps({"Image": "busybox", "Labels": {"x": "y" * 100_000}}).encode()
    seen: list[bytes] = []

    async def create(exchange: Exchange) -> None:
        seen.append(await exchange.body())
        await exchange.say(ok({"Id": ID}, "201 Created"))

    proxy.engine.answers = {"/images/busybox/json": ok(IMAGE), "/containers/create": create}
    head = b"POST /containers/create HTTP/1.1\r\nHost: docker\r\nTransfer-Encoding: chunked\r\n\r\n"
    pieces = [body[start : start + 777] for start in range(0, len(body), 777)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    assert parsed(await proxy.ask(head + chunks))[0] == 201
    assert json.loads(seen[0])["Labels"] == {"x": "y" * 100_000}


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b"[]", b'{"Image": 3}', b'{"Image": ""}', b"[" * 100_000, b'{"Image": "else\xff"}'],
)
async def test_what_is_not_understood_is_left_to_the_engine(proxy: Proxied, body: bytes) -> None:
    asked: list[bytes] = []

    async def create(exchange: Exchange) -> None:
        asked.append(await exchange.body())
        await exchange.say(ok({"message": "the engine's words"}, "400 Bad Request"))

    proxy.engine.answers["/containers/create"] = create
    assert await proxy.post("/containers/create", body) == (400, {"message": "the engine's words"})
    assert asked == [body]


async def test_an_image_that_is_not_there_is_the_engines_matter(proxy: Proxied) -> None:
    assert await created(proxy, {"Image": "absent"}) == {"Image": "absent"}


async def test_addresses_that_are_none_are_refused_before_anything_is_made(proxy: Proxied) -> None:
    proxy.engine.answers["/images/busybox/json"] = ok(IMAGE)
    status, value = await proxy.post(
        "/containers/create", {"Image": "busybox", "Env": ["TULLE_CIDR=10.1.1.1"]}
    )
    assert status == 400
    assert value["message"].startswith("TULLE_CIDR: '10.1.1.1' is not")
    assert not any("create" in line for line in proxy.engine.seen)


async def test_a_client_that_waits_to_be_told_to_go_on_is_told(proxy: Proxied) -> None:
    proxy.engine.answers = {
        "/images/busybox/json": ok(IMAGE),
        "/containers/create": ok({"Id": ID}, "201 Created"),
    }
    reader, writer = await proxy.connect()
    body = json.dumps({"Image": "busybox"}).encode()
    writer.write(CREATE + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert parsed(await reader.read())[0] == 201
    writer.close()
