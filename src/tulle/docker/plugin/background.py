"""Work beside the handlers: things done once, or again and again, until the plugin stops."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from tulle.errors import StorageError, UserError
from tulle.host.tasks import Tasks

log = logging.getLogger(__name__)


class Background(Tasks):
    """Tasks that end together. What goes wrong in one of them is for the log."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Do ``work`` beside whatever else goes on."""
        return super().spawn(_logged(work))

    def repeat(
        self, interval: float, work: Callable[[], Awaitable[None]], first_pause: float | None = None
    ) -> None:
        """Do ``work`` now and every ``interval`` seconds; the second time after ``first_pause``, if given."""

        async def for_ever() -> None:
            pause = first_pause or interval
            while True:
                await _logged(work())
                await asyncio.sleep(pause)
                pause = interval

        self.spawn(for_ever())


async def _logged(work: Awaitable[None]) -> None:
    try:
        await work
    except (UserError, StorageError) as error:
        log.warning("the network plugin: %s", error)
    except Exception:
        log.exception("internal error of the network plugin")
