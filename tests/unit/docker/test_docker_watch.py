"""Following an engine that says strange things. Real engines are followed in tests/docker."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiohttp import web

from tulle.docker.engine import Engine, EngineRefused, EngineUnreachable, Event, Summary
from tulle.docker.watch import Watch

ID = "ab" * 32


class FakeEngine:
    """Answers /events with ``lines`` and then waits, or ends the answer; remembers what it was asked."""

    def __init__(self, path: Path) -> None:
        self.path = str(path / "docker.sock")
        self.lines: list[bytes] = []
        self.ends = False
        self.asked: list[dict[str, str]] = []
        self.list_status = 200

    async def __aenter__(self) -> "FakeEngine":
        app = web.Application()
        app.add_routes([web.get("/events", self.events), web.get("/containers/json", self.list)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.UnixSite(self._runner, self.path).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def events(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(dict(request.query))
        answer = web.StreamResponse()
        await answer.prepare(request)
        for line in self.lines:
            await answer.write(line)
        if not self.ends:
            await asyncio.Event().wait()
        return answer

    async def list(self, request: web.Request) -> web.Response:
        return web.json_response([{"Id": ID, "Names": ["/web"], "State": "running"}], status=self.list_status)


class Heard:
    """Counts; ``enough`` is set at so many events, or at so many lists."""

    def __init__(self, events: int, lists: int) -> None:
        self.events: list[Event] = []
        self.lists: list[Sequence[Summary]] = []
        self.enough = asyncio.Event()
        self._wanted = (events, lists)

    def happened(self, event: Event) -> None:
        self.events.append(event)
        self._count()

    def caught_up(self, containers: Sequence[Summary]) -> None:
        self.lists.append(containers)
        self._count()

    def _count(self) -> None:
        if (len(self.events), len(self.lists)) >= self._wanted and len(self.lists) >= self._wanted[1]:
            self.enough.set()


def line(action: str, time: int) -> bytes:
    actor = {"ID": ID, "Attributes": {"name": "web"}}
    return (
        json.dumps({"Type": "container", "Action": action, "Actor": actor, "timeNano": time}).encode() + b"\n"
    )


async def follow(engine: FakeEngine, heard: Heard) -> None:
    """Until enough was heard."""
    client = Engine(engine.path)
    watch = Watch(client)
    watch.add(heard)
    await watch.start()
    try:
        async with asyncio.timeout(30):
            await heard.enough.wait()
    finally:
        await watch.stop()
        await client.close()


async def test_a_thousand_events_at_once_are_all_heard_in_order(tmp_path: Path) -> None:
    async with FakeEngine(tmp_path) as engine:
        engine.lines = [b"".join(line("die", number) for number in range(1000))]
        heard = Heard(1000, 1)
        await follow(engine, heard)
    assert [event.time for event in heard.events] == list(range(1000))
    assert [one.id for one in heard.lists[0]] == [ID]
    assert "container" in json.loads(engine.asked[0]["filters"])["type"]


async def test_after_a_gap_it_asks_for_what_was_since_the_newest(tmp_path: Path) -> None:
    async with FakeEngine(tmp_path) as engine:
        engine.lines, engine.ends = [line("start", 7_000_000_021), line("die", 5)], True
        await follow(engine, Heard(2, 2))
    assert "since" not in engine.asked[0]
    assert engine.asked[1]["since"] == "7.000000021"


@pytest.mark.parametrize("nonsense", [b"{\n", b"[]\n", b'{"Actor": 3}\n', b"x" * (2 << 20), b'"\xff"\n'])
async def test_an_engine_that_talks_nonsense_is_left_and_followed_again(
    tmp_path: Path, nonsense: bytes
) -> None:
    async with FakeEngine(tmp_path) as engine:
        engine.lines = [nonsense]
        heard = Heard(0, 2)
        await follow(engine, heard)
    assert heard.events == []


async def test_an_error_is_told_in_the_engines_words(tmp_path: Path) -> None:
    async with FakeEngine(tmp_path) as engine:
        engine.list_status = 500
        client = Engine(engine.path)
        with pytest.raises(EngineRefused, match=ID) as refused:
            await client.containers()
        assert refused.value.status == 500
        await client.close()


async def test_a_socket_where_nobody_listens_is_unreachable(tmp_path: Path) -> None:
    async with FakeEngine(tmp_path) as engine:
        pass
    client = Engine(engine.path)
    with pytest.raises(EngineUnreachable):
        await client.containers()
    await client.close()
