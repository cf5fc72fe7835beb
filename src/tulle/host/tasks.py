"""Work beside other work, which ends together."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """Tasks of one owner. What goes wrong in one is its own business."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Do ``work`` beside whatever else goes on."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def __len__(self) -> int:
        """How many go on."""
        return sum(not task.done() for task in self._running)

    async def finish(self) -> None:
        """Wait for what goes on."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def stop(self) -> None:
        """Break off what goes on."""
        for task in self._running:
            task.cancel()
        await self.finish()
