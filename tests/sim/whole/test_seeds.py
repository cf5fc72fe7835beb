"""Every scenario with seeds that change from day to day: a share of what runs outside of the suite.

TULLE_SEED=N repeats a day. ``tulle simulate NAME --seed N`` shows a failure with its shortest schedule.
"""

import datetime
import os

import pytest

from tulle.sim.everyschedule import explore
from tulle.sim.run import run
from tulle.sim.scenarios import SCENARIOS

TODAY = int(os.environ.get("TULLE_SEED", datetime.date.today().toordinal() * 100))
OFTEN = ("chaos", "chaos-of-disks", "disaster", "first-division")
SELDOM = (
    "no-votes-after-the-first",
    "local-allocation",
    "any-size",
    "every-partition-of-four",
    "behind-routers",
    "router-restarts",
    "a-host-that-does-not-read",
)
"""They take seconds: one of them a day."""

RUNS = [
    (name, TODAY + number)
    for name in SCENARIOS
    if name not in SELDOM or SELDOM[TODAY // 100 % len(SELDOM)] == name
    for number in range(4 if name in OFTEN else 1)
]


@pytest.mark.parametrize(("name", "seed"), RUNS)
def test_nothing_that_must_hold_is_violated(name: str, seed: int) -> None:
    assert run(SCENARIOS[name], seed).failure == ""


@pytest.mark.parametrize(
    ("electors", "proposals"),
    [(2, (2, 2)), (3, (1, 0, 0))],
    ids=["two electors, two proposals each", "three electors, one proposes"],
)
def test_the_first_division_in_every_order(electors: int, proposals: tuple[int, ...]) -> None:
    explored = explore(electors, proposals)
    assert explored.complete
    assert explored.agreed
    assert explored.decided > 0


def test_every_requirement_has_a_scenario() -> None:
    """S19 and S23 ask for nothing that could be run."""
    numbers = {6, *range(9, 14), *range(18, 28), *range(46, 55)} - {19, 23}
    shown = {one for scenario in SCENARIOS.values() for one in scenario.shows}
    assert {f"S{number}" for number in numbers} <= shown
