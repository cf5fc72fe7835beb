"""An event loop that serves a few busy descriptors by itself, without the way round for each frame.

asyncio makes a list of what is ready, then a list of what to call, and looks at all its timers before it
waits again. Where frames come one by one, that costs more than carrying them. What is registered here is
called inside the wait, again and again, until something else is ready, a timer is due, or one of those called
says that it has done what may concern the loop.
"""

import asyncio
import logging
import select
import selectors
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

_AT_ONCE = 8
"""Descriptors that are looked at; if more are ready, they are in the next look."""

Serve = Callable[[], bool]
"""Takes what is ready to be read, but not for ever. True if that may have given the loop work, or a timer."""


class DirectSelector(selectors.EpollSelector):
    """What the loop waits with. Its own descriptors are, all together, one of those that are waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._all = select.epoll()
        self._all.register(self.fileno(), select.EPOLLIN)
        self._served: dict[int, Serve] = {}

    def serve(self, descriptor: int, serve: Serve) -> None:
        """Call ``serve`` from now on whenever the descriptor can be read."""
        self._all.register(descriptor, select.EPOLLIN)
        self._served[descriptor] = serve

    def leave(self, descriptor: int) -> None:
        """Do so no longer."""
        del self._served[descriptor]
        self._all.unregister(descriptor)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready for the loop, after ``timeout`` seconds at the latest (None: whenever)."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            others = concerned = False
            ready = self._all.poll(timeout, _AT_ONCE)
            for descriptor, _ in ready:
                serve = self._served.get(descriptor)
                try:
                    if serve is None:
                        others = True
                    elif serve():
                        concerned = True
                except Exception:
                    log.exception("internal error while frames were carried")
                    concerned = True
            if others:
                return super().select(0)
            if concerned or not ready:
                return []
            if until is not None:
                timeout = until - time.monotonic()
                if timeout <= 0:
                    return []

    def close(self) -> None:
        """See ``selectors.BaseSelector``."""
        self._all.close()
        super().close()


class DirectLoop(asyncio.SelectorEventLoop):
    """The loop of a daemon."""

    def __init__(self) -> None:
        self.direct = DirectSelector()
        super().__init__(self.direct)


def add_reader(descriptor: int, serve: Serve) -> Callable[[], None]:
    """Have the running loop call ``serve``, as directly as it can. Answers what ends that."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, DirectLoop):
        loop.add_reader(descriptor, serve)
        return lambda: _end(loop, loop.remove_reader, descriptor)
    loop.direct.serve(descriptor, serve)
    return lambda: _end(loop, loop.direct.leave, descriptor)


def _end(loop: asyncio.AbstractEventLoop, end: Callable[[int], object], descriptor: int) -> None:
    if not loop.is_closed():
        end(descriptor)
