"""What happens to the containers of an engine, for as long as there is one, and whenever there is one again.

An event only says where to look: whoever listens asks the engine how things are. So it does no harm that an
engine forgets events when it ends, and repeats some: after each gap there is a list of all containers.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Sequence
from typing import Protocol

from tulle.docker.engine import Engine, EngineRefused, EngineUnreachable, Event, Summary

log = logging.getLogger(__name__)

ACTIONS = ("start", "die", "destroy", "rename", "connect")
"""Of containers, and of networks ("connect"); the engine sends no others, however many there are."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds between two tries to reach an engine that is away: twice as long each time."""


class Listener(Protocol):
    """Somebody who wants to know. Both are called in the event loop, and must return soon."""

    def happened(self, event: Event) -> None:
        """One of ACTIONS happened to a container or a network."""

    def caught_up(self, containers: Sequence[Summary]) -> None:
        """There was a gap, or this is the beginning: these are all containers now."""


class Watch:
    """Follows an engine. A service: ``start`` returns at once, whether there is an engine or not."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._listeners: list[Listener] = []
        self._task: asyncio.Task[None] | None = None
        self._newest: int | None = None
        self._pause = FIRST_PAUSE
        self._said = ""
        self.connected = False
        """Whether an engine is there and all it does is heard of."""

    def add(self, listener: Listener) -> None:
        """Tell ``listener`` from now on. To be called before ``start``."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Begin to look for the engine."""
        self._task = asyncio.create_task(self._follow_for_ever())

    async def stop(self) -> None:
        """Look away."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _follow_for_ever(self) -> None:
        while True:
            if not self._said or self._is_there():
                await self._try_to_follow()
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

    async def _try_to_follow(self) -> None:
        try:
            await self._follow()
        except (EngineUnreachable, EngineRefused) as error:
            if self.connected:
                log.warning("Docker is away: %s", error)
                self._pause = FIRST_PAUSE
            elif str(error) != self._said:
                log.info("no Docker for now: %s", error)
            self._said, self.connected = str(error), False
        except Exception:
            log.exception("internal error while following Docker; beginning again")
            self.connected = False

    def _is_there(self) -> bool:
        """Whether it is worth asking, which costs a hundred times as much as looking."""
        return os.path.exists(self._engine.socket)

    async def _follow(self) -> None:
        """Until the engine goes away. The list comes after the events have begun, so nothing is between."""
        wanted = {"type": ["container", "network"], "event": ACTIONS}
        async with self._engine.events(wanted, self._newest) as events:
            containers = await self._engine.containers()
            log.info("Docker is there, with %d containers", len(containers))
            self.connected = True
            for listener in self._listeners:
                listener.caught_up(containers)
            async for event in events:
                self._newest = max(event.time, self._newest or 0)
                for listener in self._listeners:
                    listener.happened(event)
