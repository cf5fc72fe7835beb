"""Waiting for answers: a request to the allocator gets a ticket, the answer comes back as an event."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from tulle.errors import UserError


class Tickets:
    """Requests under way. An asker that goes away withdraws its request."""

    def __init__(self, withdraw: Callable[[int], None]) -> None:
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._withdraw = withdraw

    async def ask(self, make: Callable[[int], None]) -> Any:
        """Make a request under a new ticket and wait for its answer.

        Raises the UserError of the answer. Cancelled, it withdraws the request first.
        """
        ticket = next(self._numbers)
        answer = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        try:
            make(ticket)
            return await answer
        except asyncio.CancelledError:
            self._withdraw(ticket)
            raise
        finally:
            del self._waiting[ticket]

    def done(self, ticket: int, result: object) -> None:
        """The answer, unless nobody waits for it any more."""
        answer = self._waiting.get(ticket)
        if answer is not None and not answer.done():
            answer.set_result(result)

    def failed(self, ticket: int, error: UserError) -> None:
        """A refusal, unless nobody waits for it any more."""
        answer = self._waiting.get(ticket)
        if answer is not None and not answer.done():
            answer.set_exception(error)

    def fail_all(self, error: UserError) -> None:
        """Refuse whatever is still waiting, because the daemon ends."""
        for ticket in list(self._waiting):
            self.failed(ticket, error)
