"""What to show of a run that failed: which it was, the shortest schedule, and what everybody believed."""

from collections.abc import Callable
from dataclasses import dataclass

from tulle.sim.plan import Step
from tulle.sim.run import Outcome, run
from tulle.sim.scenario import Scenario
from tulle.sim.shrink import shorten
from tulle.sim.story import Line


@dataclass(frozen=True, slots=True)
class Postmortem:
    """``story`` is that of the shortest schedule, with what every daemon believed at its end."""

    scenario: str
    seed: int
    failure: str
    steps: tuple[Step, ...]
    story: tuple[Line, ...]

    def lines(self) -> list[str]:
        """All of it as text."""
        return [
            f"{self.scenario}, seed {self.seed}: {self.failure}",
            "",
            f"The shortest schedule found ({len(self.steps)} steps; in the end everything is made to work):",
            *(f"  {step}" for step in self.steps),
            "",
            "What happened, and what every daemon believed at the end:",
            *(f"  {line}" for line in self.story),
        ]


def examine(
    scenario: Scenario, failed: Outcome, tried: Callable[[int], None] = lambda runs: None
) -> Postmortem:
    """Find the shortest schedule that still fails, and tell its story."""
    steps = shorten(scenario, failed.seed, failed.failure, tried)
    told = run(scenario, failed.seed, steps, told=True)
    return Postmortem(scenario.name, failed.seed, told.failure, tuple(steps), told.story)
