"""Work for a container, given up when the container goes."""

import asyncio

import pytest

from tulle.api.daemon import RequestCancelled
from tulle.daemon import addresses
from tulle.daemon.addresses import if_alive

ID = "ab" * 32


class Engine:
    """Says of a container that it is there, ``for_so_long`` times."""

    def __init__(self, for_so_long: int) -> None:
        self.left = for_so_long

    async def runs(self, ident: str) -> bool:
        self.left -= 1
        return self.left >= 0


async def answer() -> str:
    return "10.32.0.1"


async def test_work_for_a_container_that_runs_is_done() -> None:
    assert await if_alive(ID, answer(), Engine(1).runs) == "10.32.0.1"


async def test_work_for_one_that_does_not_is_not_begun() -> None:
    with pytest.raises(RequestCancelled):
        await if_alive(ID, answer(), Engine(0).runs)


async def test_work_for_one_that_ends_meanwhile_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "ALIVE_CHECK_INTERVAL", 0.001)
    given_up = asyncio.Event()

    async def wait_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    with pytest.raises(RequestCancelled):
        await if_alive(ID, wait_for_ever(), Engine(3).runs)
    async with asyncio.timeout(20):
        await given_up.wait()


async def test_what_nobody_can_ask_about_is_taken_to_be_there() -> None:
    assert await if_alive("some-script", answer()) == "10.32.0.1"
