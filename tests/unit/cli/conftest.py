"""Command lines run in this process against a fake daemon that answers over a real socket."""

import asyncio
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import NamedTuple

import pytest
from api.fake_daemon import FakeDaemon

from tulle.api.server import ApiServer
from tulle.cli.main import run
from tulle.cli.personality import TULLE, Personality


class Outcome(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Commands meant for the machine's own daemon must not reach it, whatever the environment says."""
    monkeypatch.setenv("TULLE_SOCKET", str(tmp_path / "tulle.sock"))
    monkeypatch.setenv("TULLE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("WEAVE_SOCKET", str(tmp_path / "tulle.sock"))
    monkeypatch.setenv("WEAVE_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture
def tulle(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command line in this process."""

    def call(*words: str, personality: Personality = TULLE) -> Outcome:
        status = run(personality, list(words))
        return Outcome(status, *capfd.readouterr())

    return call


@pytest.fixture
def daemon(tmp_path: Path) -> Generator[FakeDaemon]:
    """A fake daemon that answers in a thread of its own."""
    fake = FakeDaemon()
    loop = asyncio.new_event_loop()
    server = ApiServer(fake, str(tmp_path / "tulle.sock"))
    loop.run_until_complete(server.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield fake
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
