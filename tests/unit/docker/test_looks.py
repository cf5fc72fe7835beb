"""When containers are looked at."""

import asyncio

from tulle.daemon.turns import Turns
from tulle.docker.engine import Actor, Event
from tulle.docker.looks import Looks
from tulle.errors import UserError

OURS, THEIRS = "ab" * 32, "cd" * 32


class Rig:
    """Counts looks; ``error`` is raised by each."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.seen: list[str] = []
        self.error: Exception | None = None
        self.looks = Looks(self.turns, lambda: {OURS}, self.settle)

    async def settle(self, ident: str) -> None:
        self.seen.append(ident)
        if self.error is not None:
            raise self.error

    def hear(self, ident: str, times: int = 1) -> None:
        for _ in range(times):
            self.looks.happened(Event("container", "die", Actor(ident)))


async def rest() -> None:
    """Let all that can happen at once happen."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_thousand_events_before_a_turn_are_one_look() -> None:
    rig = Rig()
    async with rig.turns.of(OURS):
        rig.hear(OURS, 1000)
        await rest()
        assert rig.seen == []
    await rest()
    assert rig.seen == [OURS]
    rig.hear(OURS)
    await rest()
    assert rig.seen == [OURS, OURS]


async def test_an_event_during_a_look_leads_to_another() -> None:
    rig = Rig()
    again = [True]

    async def settle(ident: str) -> None:
        rig.seen.append(ident)
        if again.pop() if again else False:
            rig.hear(OURS)

    rig.looks = Looks(rig.turns, lambda: {OURS}, settle)
    rig.hear(OURS)
    await rest()
    assert rig.seen == [OURS, OURS]


async def test_events_of_others_cost_no_look() -> None:
    rig = Rig()
    rig.hear(THEIRS, 200)
    await rest()
    assert rig.seen == []


async def test_after_a_gap_everything_is_looked_at_also_what_is_not_there_any_more() -> None:
    rig = Rig()
    rig.looks.caught_up([])
    await rest()
    assert rig.seen == [OURS]


async def test_a_look_that_fails_stops_no_other() -> None:
    rig = Rig()
    for error in (UserError("no"), RuntimeError("a mistake")):
        rig.error = error
        rig.hear(OURS)
        await rest()
    assert rig.seen == [OURS, OURS]


async def test_nothing_is_looked_at_after_the_end() -> None:
    rig = Rig()
    await rig.looks.start()
    rig.looks.later(OURS, 0)
    await rig.looks.stop()
    await asyncio.sleep(0.01)
    assert rig.seen == []
