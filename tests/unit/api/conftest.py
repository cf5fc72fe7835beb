"""A server over a real unix socket with a fake daemon behind it, and a client."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from api.fake_daemon import FakeDaemon
from tulle.api.server import ApiServer


class Answer(NamedTuple):
    """The part of an HTTP answer that tests look at."""

    status: int
    text: str
    content_type: str


Ask = Callable[..., Awaitable[Answer]]


@pytest.fixture
def daemon() -> FakeDaemon:
    return FakeDaemon()


@pytest.fixture
async def server(daemon: FakeDaemon, tmp_path: Path) -> AsyncGenerator[ApiServer]:
    made = ApiServer(daemon, str(tmp_path / "run" / "tulle.sock"))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def session(server: ApiServer, tmp_path: Path) -> AsyncGenerator[aiohttp.ClientSession]:
    connector = aiohttp.UnixConnector(path=str(tmp_path / "run" / "tulle.sock"))
    async with aiohttp.ClientSession("http://tulle", connector=connector) as made:
        yield made


@pytest.fixture
def ask(session: aiohttp.ClientSession) -> Ask:
    async def call(method: str, path: str, **options: object) -> Answer:
        async with session.request(method, path, **options) as response:  # type: ignore[arg-type]
            return Answer(response.status, await response.text(), response.content_type)

    return call
