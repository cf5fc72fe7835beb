"""TLS towards clients: who may, and streams whose directions end on their own."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from raw_engine import Exchange, Proxied, proxied

from lab.certificates import make_certificates
from tulle.api.listen import TcpAddress
from tulle.docker.proxy.options import ProxyOptions
from tulle.docker.proxy.stream import PlainStream, Stream, TlsStream, copy
from tulle.docker.proxy.tls import server_context
from tulle.errors import UserError

LOCAL = ipaddress.IPv4Address("127.0.0.1")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tls")
    make_certificates(directory, LOCAL)
    return directory


def client_context(certificates: Path, shown: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    if shown is not None:
        context.load_cert_chain(certificates / f"{shown}.pem", certificates / f"{shown}-key.pem")
    return context


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
async def proxy(tmp_path: Path, certificates: Path) -> AsyncGenerator[tuple[Proxied, int]]:
    """A proxy that takes only clients with a certificate, and its port."""
    port = free_port()
    async with proxied(
        tmp_path,
        proxy_listen=(TcpAddress(LOCAL, port),),
        tlsverify=True,
        tlscacert=str(certificates / "ca.pem"),
        tlscert=str(certificates / "server.pem"),
        tlskey=str(certificates / "server-key.pem"),
    ) as made:
        yield made, port


async def dialled(port: int, context: ssl.SSLContext) -> TlsStream:
    connection = socket.socket()
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    stream = TlsStream(PlainStream(connection), context, "127.0.0.1")
    try:
        await stream.handshake()
    except BaseException:
        stream.close()
        raise
    return stream


async def everything(stream: Stream) -> bytes:
    got = b""
    while data := await stream.receive():
        got += data
    return got


async def test_input_ends_before_output(proxy: tuple[Proxied, int], certificates: Path) -> None:
    made, port = proxy
    block = bytes(range(256)) * 4000

    async def echo(exchange: Exchange) -> None:
        await exchange.say(b"HTTP/1.1 101 UPGRADED\r\n\r\n")
        await exchange.say(await exchange.reader.read(), b" and more")

    made.engine.answers["attach"] = echo
    stream = await dialled(port, client_context(certificates, "client"))
    await stream.send(b"POST /containers/web/attach HTTP/1.1\r\nHost: docker\r\nUpgrade: tcp\r\n\r\n" + block)
    await stream.end()
    assert await everything(stream) == b"HTTP/1.1 101 UPGRADED\r\n\r\n" + block + b" and more"
    stream.close()


async def test_a_client_without_a_certificate_is_refused(
    proxy: tuple[Proxied, int], certificates: Path
) -> None:
    made, port = proxy

    async def try_it() -> None:
        stream = await dialled(port, client_context(certificates, None))
        try:
            await everything(stream)  # in TLS 1.3 the client learns of it when it reads
        finally:
            stream.close()

    with pytest.raises(OSError):
        await try_it()
    assert made.engine.seen == []


async def test_plain_text_is_no_tls(proxy: tuple[Proxied, int]) -> None:
    made, port = proxy
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /info HTTP/1.1\r\nHost: docker\r\n\r\n")
    assert b"HTTP" not in await reader.read()
    writer.close()
    assert made.engine.seen == []


async def test_both_ends_of_a_copy_may_be_tls(certificates: Path) -> None:
    """Client to proxy, and proxy to an engine: bytes and both ends pass."""
    options = ProxyOptions(
        tls=True, tlscert=str(certificates / "server.pem"), tlskey=str(certificates / "server-key.pem")
    )
    server = server_context(options)
    assert server is not None
    client = client_context(certificates, None)

    async def pair() -> tuple[TlsStream, TlsStream]:
        one, two = socket.socketpair()
        ends = TlsStream(PlainStream(one), client, "127.0.0.1"), TlsStream(PlainStream(two), server)
        await asyncio.gather(*(end.handshake() for end in ends))
        return ends

    near, left = await pair()
    right, far = await pair()
    copying = asyncio.gather(copy(left, right), copy(right, left))

    async def ask() -> None:
        await near.send(b"asked" * 100_000)
        await near.end()

    asking = asyncio.create_task(ask())
    assert await everything(far) == b"asked" * 100_000
    await asking
    await far.send(b"answered")
    await far.end()
    assert await everything(near) == b"answered"
    await copying
    for stream in (near, left, right, far):
        stream.close()


SERVER = {"tlscert": "server.pem", "tlskey": "server-key.pem"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tls": True}, "needs --tlscert and --tlskey"),
        ({"tlscert": "server.pem", "tlskey": "nowhere.pem"}, "cannot be used for TLS"),
        ({"tlscert": "server.pem", "tlskey": "client-key.pem"}, "cannot be used for TLS"),
        ({"tlsverify": True, **SERVER}, "needs --tlscacert"),
        ({"tlsverify": True, **SERVER, "tlscacert": "ca-key.pem"}, "not a CA's certificate"),
    ],
)  # fmt: skip
def test_files_that_will_not_do(certificates: Path, options: dict[str, object], words: str) -> None:
    given = {
        name: str(certificates / value) if isinstance(value, str) else value
        for name, value in options.items()
    }
    with pytest.raises(UserError, match=words):
        server_context(ProxyOptions(**given))  # type: ignore[arg-type]
