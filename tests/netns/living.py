"""The event loop of a daemon, for data paths that do things by themselves: a thread inside the host."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from netns.vxlan_lab import BRIDGE, MTU, PORT, Node, opened
from tulle.host.vxlan import KernelPath

Result = TypeVar("Result")


class Living:
    """Takes the place of the path that a host has, as a new daemon would."""

    def __init__(self, node: Node, *, bypass: bool = True) -> None:
        self.node = node
        node.path.close()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=lambda: node.host.inside(self._loop.run_forever))
        self._thread.start()
        self.open(bypass=bypass)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do ``work`` in the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def open(self, *, bypass: bool = True) -> None:
        """Begin to carry frames."""

        async def work() -> KernelPath:
            path = opened(await KernelPath.ensure(BRIDGE, PORT, MTU, bypass=bypass))
            path.tap.on_frame(lambda frame: None)
            self._looking = asyncio.create_task(_look_often(path))
            return path

        self.node.path = self.run(work())

    def close(self) -> None:
        """Leave, as a daemon that ends."""

        async def work() -> None:
            self._looking.cancel()
            self.node.path.close()

        self.run(work())

    def end(self) -> None:
        """Leave, and end the loop with all that goes on in it."""

        async def rest() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.close()
        self.run(rest())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _look_often(path: KernelPath) -> None:
    while True:
        path.look()
        await asyncio.sleep(1)
