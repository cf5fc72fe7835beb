"""Scenarios by name, with what they show."""

from collections.abc import Callable
from dataclasses import dataclass

from tulle.sim.plan import Plan

Write = Callable[[Plan], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """``shows`` are the claims that it bears out, ``write`` makes the schedule.

    ``recovers``: at the end everything is made to work again, and within so many seconds there must be one
    state; 0 for not at all.
    """

    name: str
    claim: str
    shows: tuple[str, ...]
    write: Write
    recovers: float


SCENARIOS: dict[str, Scenario] = {}


def scenario(name: str, *shows: str, recovers: float = 90.0) -> Callable[[Write], Write]:
    """Register a function that writes a schedule; the first paragraph of its docstring is the claim."""

    def register(write: Write) -> Write:
        claim = " ".join((write.__doc__ or "").partition("\n\n")[0].split())
        SCENARIOS[name] = Scenario(name, claim, shows, write, recovers)
        return write

    return register
