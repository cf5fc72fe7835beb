"""Turns: one at a time for each key, and nothing kept for keys that nobody wants."""

import asyncio

from tulle.daemon.turns import Turns


async def test_one_after_the_other_for_a_key_and_beside_each_other_for_two() -> None:
    turns, order = Turns(), []
    inside = asyncio.Event()

    async def use(key: str, name: str) -> None:
        async with turns.of(key):
            order.append(f"{name} in")
            await inside.wait()
            order.append(f"{name} out")

    tasks = [asyncio.create_task(use(key, name)) for key, name in (("a", "1"), ("a", "2"), ("b", "3"))]
    await asyncio.sleep(0)
    assert order == ["1 in", "3 in"]
    assert turns.taken("a")
    inside.set()
    await asyncio.gather(*tasks)
    assert order.index("1 out") < order.index("2 in")
    assert not turns.taken("a")
    assert not turns.taken("b")


async def test_who_gives_up_waiting_holds_nobody_up() -> None:
    turns = Turns()
    async with turns.of("a"):
        waiting = asyncio.create_task(turns.of("a").__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert not turns.taken("a")
    async with turns.of("a"):
        assert turns.taken("a")
