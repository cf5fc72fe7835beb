"""When to look at a container again: something was heard of it, or some time has passed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence

from tulle.daemon.turns import Turns
from tulle.docker.engine import Event, Summary
from tulle.errors import StorageError, UserError
from tulle.host.tasks import Tasks

log = logging.getLogger(__name__)

INTERVAL = 60.0
"""Seconds between two looks at everything, in case that something was not heard."""


class Looks:
    """A service, and a listener to events: has ``settle`` look at containers, one look at each at a time.

    However often a container is heard of before its turn comes, there is one look. ``concerned`` tells which
    containers are of interest at all; events of others cost nothing.
    """

    def __init__(
        self,
        turns: Turns,
        concerned: Callable[[], Collection[str]],
        settle: Callable[[str], Awaitable[None]],
    ) -> None:
        self._turns = turns
        self._concerned = concerned
        self._settle = settle
        self._waiting: set[str] = set()
        self._tasks = Tasks()
        self._stopped = False

    async def start(self) -> None:
        """Look at everything now and then, besides what is heard."""
        self._tasks.spawn(self._look_for_ever())

    async def stop(self) -> None:
        """Look no more."""
        self._stopped = True
        await self._tasks.stop()

    def happened(self, event: Event) -> None:
        """See Listener."""
        if event.actor.id in self._concerned():
            self.at(event.actor.id)

    def caught_up(self, containers: Sequence[Summary]) -> None:
        """See Listener. Also what is not in the list may have something here."""
        self._at_all()

    def at(self, ident: str) -> None:
        """Look at a container soon."""
        if not self._stopped and ident not in self._waiting:
            self._waiting.add(ident)
            self._tasks.spawn(self._look(ident))

    def later(self, ident: str, seconds: float) -> None:
        """Look at a container after some time."""
        asyncio.get_running_loop().call_later(seconds, self.at, ident)

    def _at_all(self) -> None:
        for ident in self._concerned():
            self.at(ident)

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            self._at_all()

    async def _look(self, ident: str) -> None:
        try:
            async with self._turns.of(ident):
                self._waiting.discard(ident)
                await self._settle(ident)
        except (UserError, StorageError) as error:
            log.error("%s could not be brought into order, and will be tried again: %s", ident[:12], error)
        except Exception:
            log.exception("internal error while looking at %s", ident[:12])
        finally:
            self._waiting.discard(ident)
