"""Making a schedule that fails shorter: what can be left out without the failure going away is left out."""

import re
from collections.abc import Callable, Sequence

from tulle.sim.plan import Step
from tulle.sim.run import planned, run
from tulle.sim.scenario import Scenario

MOST_RUNS = 300
"""Tries in all; a schedule that is not the very shortest still helps."""


def shorten(
    scenario: Scenario, seed: int, failure: str, tried: Callable[[int], None] = lambda runs: None
) -> list[Step]:
    """The shortest schedule found that fails in the same way. ``tried`` hears how many runs were made."""
    kind = kind_of(failure)
    _, steps = planned(scenario, seed)
    runs = 0

    def still_fails(some: Sequence[Step]) -> bool:
        nonlocal runs
        runs += 1
        tried(runs)
        return kind_of(run(scenario, seed, some).failure) == kind

    portion = len(steps) // 2
    while portion and runs < MOST_RUNS:
        shorter = _drop_portions(steps, portion, still_fails, lambda: runs < MOST_RUNS)
        portion = portion if len(shorter) < len(steps) and portion == 1 else portion // 2
        steps = shorter
    return steps


def kind_of(failure: str) -> str:
    """A failure without hosts, addresses and times: two are alike if this is equal."""
    return re.sub(r"[\d.:/\[\]', ]+", " ", failure.partition(" (")[0])


def _drop_portions(
    steps: list[Step], portion: int, fails: Callable[[Sequence[Step]], bool], may_go_on: Callable[[], bool]
) -> list[Step]:
    """Try to do without each run of ``portion`` steps, from the end, where less depends on them."""
    start = len(steps) - portion
    while start > -portion and may_go_on():
        first = max(start, 0)
        dropped = [step for step in steps[first : start + portion] if not step.do.is_check]
        if dropped:
            rest = [step for step in steps if not any(step is one for one in dropped)]
            if fails(rest):
                steps = rest
        start -= portion
    return steps
