"""Tasks of one owner: how many go on, and how they end."""

import asyncio

from tulle.host.tasks import Tasks


async def test_a_task_that_is_over_counts_no_more() -> None:
    """Also at the very moment of its end: who asks then whether somebody is at work may rely on it."""
    tasks = Tasks()
    seen: list[int] = []

    async def nothing() -> None:
        pass

    async def count() -> None:
        seen.append(len(tasks))

    tasks.spawn(nothing())
    assert len(tasks) == 1
    await asyncio.create_task(count())
    assert seen == [0]


async def test_what_goes_on_is_broken_off() -> None:
    tasks = Tasks()
    task = tasks.spawn(asyncio.sleep(3600))
    await tasks.stop()
    assert task.cancelled()
    assert len(tasks) == 0
