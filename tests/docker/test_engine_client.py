"""The client, and following what happens, with a real engine that comes and goes."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TypeVar

import pytest

from lab import Lab
from lab.engines import Engine as LabEngine
from lab.engines import engines
from tulle.docker.engine import Engine, EngineRefused, EngineUnreachable, Event, Summary
from tulle.docker.watch import Watch

Found = TypeVar("Found")


async def until(look: Callable[[], Found]) -> Found:
    """The first true thing that ``look`` finds, in this loop and without holding it up."""
    async with asyncio.timeout(60):
        while True:
            if found := look():
                return found
            await asyncio.sleep(0.02)


def _at_least(count: int, things: list[Found]) -> list[Found]:
    return things if len(things) >= count else []


@pytest.fixture
async def client(engine: LabEngine) -> AsyncGenerator[Engine]:
    client = Engine(str(engine.socket))
    yield client
    await client.close()


class Heard:
    """Remembers all it is told."""

    def __init__(self) -> None:
        self.lists: list[Sequence[Summary]] = []
        self.events: list[tuple[str, str]] = []

    def happened(self, event: Event) -> None:
        self.events.append((event.action, event.actor.attributes["name"]))

    def caught_up(self, containers: Sequence[Summary]) -> None:
        self.lists.append(containers)

    async def of(self, name: str, count: int) -> list[str]:
        """The first so many things that happened to a container."""
        return await until(lambda: _at_least(count, [action for action, who in self.events if who == name]))


async def test_containers_are_found_by_id_prefix_and_name(engine: LabEngine, client: Engine) -> None:
    ident = engine.run("found", options=["--hostname", "box", "--label", "a=b"])
    for word in (ident, ident[:7], "found"):
        found = await client.inspect(word)
        assert (found.id, found.name, found.config.hostname) == (ident, "/found", "box")
        assert found.state.running
        assert found.state.pid == engine.pid("found")
    summary = next(one for one in await client.containers() if one.id == ident)
    assert (summary.alive, summary.labels) == (True, {"a": "b"})
    engine.docker("rm", "-f", "found")
    with pytest.raises(EngineRefused, match="No such container: found") as refused:
        await client.inspect("found")
    assert refused.value.status == 404


async def test_names_cannot_leave_their_place_in_a_path(client: Engine) -> None:
    with pytest.raises(EngineRefused):
        await client.inspect("../images/json?x=")


async def test_an_engine_that_is_not_there_is_said_at_once() -> None:
    client = Engine("/nonexistent/docker.sock")
    with pytest.raises(EngineUnreachable, match="on /nonexistent/docker"):
        await client.containers()
    await client.close()


async def test_an_engine_that_does_not_answer_holds_nobody_up_for_ever(engine: LabEngine) -> None:
    client = Engine(str(engine.socket))
    engine.freeze()
    try:
        with pytest.raises(EngineUnreachable, match="no answer in time"):
            await client.request("GET", "/containers/json", patience=0.3)
    finally:
        engine.thaw()
        await client.close()


async def test_what_happens_is_heard_through_the_death_of_the_engine() -> None:
    with Lab() as lab:
        engine = engines(lab, 1)[0]
        client, heard = Engine(str(engine.socket)), Heard()
        watch = Watch(client)
        watch.add(heard)
        await watch.start()
        await asyncio.to_thread(engine.run, "first")
        assert await heard.of("first", 1) == ["start"]
        await asyncio.to_thread(engine.kill)
        await asyncio.to_thread(engine.start)
        lists = await until(lambda: _at_least(2, heard.lists))
        assert [one.state for one in lists[-1]] == ["exited"], "the engine ended it while it started"
        await asyncio.to_thread(engine.run, "second")
        await asyncio.to_thread(engine.docker, "rm", "-f", "second")
        assert await heard.of("second", 3) == ["start", "die", "destroy"]
        await watch.stop()
        await client.close()
