"""Requests that wait for an answer."""

import asyncio

import pytest

from tulle.daemon.requests import Tickets
from tulle.errors import UserError


class Desk:
    def __init__(self) -> None:
        self.withdrawn: list[int] = []
        self.made: list[int] = []
        self.tickets = Tickets(self.withdrawn.append)

    def ask(self) -> "asyncio.Task[object]":
        return asyncio.ensure_future(self.tickets.ask(self.made.append))


async def test_an_answer_finds_its_asker() -> None:
    desk = Desk()
    one, two = desk.ask(), desk.ask()
    await asyncio.sleep(0)
    desk.tickets.done(desk.made[1], "second")
    desk.tickets.failed(desk.made[0], UserError("no", 409))
    assert await two == "second"
    with pytest.raises(UserError, match="no"):
        await one
    assert desk.withdrawn == []


async def test_an_answer_may_come_at_once() -> None:
    tickets = Tickets(lambda ticket: None)
    assert await tickets.ask(lambda ticket: tickets.done(ticket, 5)) == 5


async def test_who_goes_away_withdraws_and_late_answers_are_dropped() -> None:
    desk = Desk()
    asker = desk.ask()
    await asyncio.sleep(0)
    asker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asker
    assert desk.withdrawn == desk.made
    desk.tickets.done(desk.made[0], "late")
    desk.tickets.failed(99, UserError("nobody"))


async def test_a_request_that_cannot_even_be_made_leaves_nothing_waiting() -> None:
    tickets = Tickets(lambda ticket: None)

    def refuse(_ticket: int) -> None:
        raise UserError("off", 404)

    with pytest.raises(UserError, match="off"):
        await tickets.ask(refuse)
    tickets.fail_all(UserError("ending", 503))


async def test_the_end_refuses_all_who_wait() -> None:
    desk = Desk()
    askers = [desk.ask() for _ in range(3)]
    await asyncio.sleep(0)
    desk.tickets.fail_all(UserError("the daemon is ending", 503))
    desk.tickets.fail_all(UserError("again", 503))
    for asker in askers:
        with pytest.raises(UserError, match="ending"):
            await asker
