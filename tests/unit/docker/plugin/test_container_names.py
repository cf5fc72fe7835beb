"""Names of containers on the plugin's networks: asked of Docker after each event, until it answers."""

import asyncio
import json
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

import pytest

from tulle.api.daemon import NameRequest
from tulle.docker.engine import EngineRefused, EngineUnreachable, Summary
from tulle.docker.plugin import names
from tulle.docker.plugin.names import ContainerNames

ADDRESSES = {"first": "10.32.0.1", "second": "10.32.0.2"}


class FakeEngine:
    """Answers for a container when its gate is open; ``errors`` come before that."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.asked: list[str] = []
        self.lists = 0
        self.called = {"first": "web", "second": "db"}

    async def request(self, method: str, path: str) -> bytes:
        container = path.split("/")[2]
        self.asked.append(container)
        called = self.called[container]
        if self.errors:
            raise self.errors.pop(0)
        if container in self.gates:
            await self.gates[container].wait()
        networks = {"tulle": {"IPAddress": ADDRESSES[container], "Aliases": ["a1b2c3d4e5f6", "alias"]}}
        return json.dumps(
            {"Name": f"/{called}", "Config": {}, "NetworkSettings": {"Networks": networks}}
        ).encode()

    async def containers(self) -> list[Summary]:
        self.lists += 1
        return [Summary(id=one, state="running") for one in ADDRESSES]


class FakeNames:
    """The names of the daemon, and who holds which address."""

    dns = True

    def __init__(self) -> None:
        self.known: dict[str, set[str]] = {}

    async def held(self) -> dict[IPv4Address, str]:
        return {IPv4Address(address): container for container, address in ADDRESSES.items()}

    async def dns_remove(self, request: NameRequest) -> int:
        return len(self.known.pop(str(request.container), ()))

    async def dns_holders(self) -> set[str]:
        return set(self.known)

    async def dns_add(self, request: NameRequest) -> None:
        self.known.setdefault(str(request.container), set()).add(str(request.hostname))


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def daemon() -> FakeNames:
    return FakeNames()


@pytest.fixture
def watched(engine: Any, daemon: Any, monkeypatch: pytest.MonkeyPatch) -> ContainerNames:
    monkeypatch.setattr(names, "SECOND_LOOK", 0)
    return ContainerNames(engine, daemon, daemon)


def look_at(watched: ContainerNames, *containers: str) -> None:
    watched.caught_up([Summary(id=one, state="running") for one in containers])


async def settled(watched: ContainerNames) -> None:
    await until(lambda: not watched._workers)


async def until(holds: Callable[[], object]) -> None:
    """Let the loop turn until something is so."""
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


async def test_no_answer_in_time_is_asked_for_again(
    watched: ContainerNames, engine: FakeEngine, daemon: FakeNames
) -> None:
    engine.errors = [EngineUnreachable("/docker.sock", "busy"), EngineUnreachable("/docker.sock", "busy")]
    look_at(watched, "first")
    await settled(watched)
    assert engine.asked == ["first"] * 3
    assert daemon.known == {"first": {"web", "alias"}}


async def test_what_is_not_there_is_not_asked_for_again(
    watched: ContainerNames, engine: FakeEngine, daemon: FakeNames
) -> None:
    engine.errors = [EngineRefused("no such container", 404)]
    look_at(watched, "first")
    await settled(watched)
    assert (engine.asked, daemon.known) == (["first"], {})


async def test_one_that_is_being_started_holds_up_no_other(
    watched: ContainerNames, engine: FakeEngine, daemon: FakeNames
) -> None:
    engine.gates["first"] = asyncio.Event()
    look_at(watched, "first", "second")
    await until(lambda: "second" in daemon.known)
    assert "first" not in daemon.known
    engine.gates["first"].set()
    await settled(watched)
    assert daemon.known == {"first": {"web", "alias"}, "second": {"db", "alias"}}


async def test_a_container_is_looked_at_again_only_when_the_first_look_is_over(
    watched: ContainerNames, engine: FakeEngine, daemon: FakeNames
) -> None:
    gate = engine.gates["first"] = asyncio.Event()
    look_at(watched, "first")
    await until(lambda: engine.asked)
    engine.called["first"] = "renamed"
    look_at(watched, "first")
    for _ in range(10):
        await asyncio.sleep(0)
    assert engine.asked == ["first"]
    gate.set()
    await settled(watched)
    assert engine.asked == ["first"] * 2
    assert daemon.known == {"first": {"renamed", "alias"}}


async def test_stopping_does_not_wait_for_the_engine(watched: ContainerNames, engine: FakeEngine) -> None:
    engine.gates["first"] = asyncio.Event()
    look_at(watched, "first")
    await until(lambda: engine.asked)
    await watched.stop()
    await settled(watched)


async def test_a_name_that_was_lost_comes_again(
    watched: ContainerNames, engine: FakeEngine, daemon: FakeNames
) -> None:
    look_at(watched, "first", "second")
    await settled(watched)
    del daemon.known["first"]
    await watched.mend([IPv4Address(address) for address in ADDRESSES.values()])
    await settled(watched)
    assert (sorted(engine.asked), engine.lists) == (["first", "first", "second"], 0)
    assert daemon.known == {"first": {"web", "alias"}, "second": {"db", "alias"}}


async def test_a_container_that_was_never_heard_of_gets_its_name(
    watched: ContainerNames, engine: FakeEngine, daemon: FakeNames
) -> None:
    await watched.mend([IPv4Address(ADDRESSES["first"])])
    await settled(watched)
    assert engine.lists == 1
    assert daemon.known["first"] == {"web", "alias"}


async def test_nothing_is_asked_where_all_have_names(
    watched: ContainerNames, engine: FakeEngine, daemon: FakeNames
) -> None:
    look_at(watched, "first")
    await settled(watched)
    await watched.mend([IPv4Address(ADDRESSES["first"]), IPv4Address("10.32.9.9")])
    await settled(watched)
    assert (engine.asked, engine.lists) == (["first"], 0)
