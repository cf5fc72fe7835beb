"""Playing a scenario: one seed, one run, one outcome; the same every time."""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from tulle.sim.checks import Settle
from tulle.sim.judge import Violation
from tulle.sim.operations import DiskFull, Heal, Start
from tulle.sim.plan import Plan, Step
from tulle.sim.scenario import Scenario
from tulle.sim.settings import Settings
from tulle.sim.story import Line
from tulle.sim.world import World


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run. ``failure`` is empty if all went well; ``trace`` digests all that arrived."""

    scenario: str
    seed: int
    failure: str
    trace: str
    seconds: float
    events: int
    bytes_sent: int
    granted: int
    local: int
    delays: tuple[float, ...]
    refusals: tuple[str, ...]
    settle_times: tuple[float, ...]
    story: tuple[Line, ...]


MEETING = 20.0
"""Seconds after which all have met again, and who had begun anew is known."""


def planned(scenario: Scenario, seed: int) -> tuple[Settings, list[Step]]:
    """The cluster and the schedule of a run."""
    plan = Plan(Random(f"{scenario.name}/{seed}/plan"))
    scenario.write(plan)
    return plan.settings, plan.steps


def run(
    scenario: Scenario,
    seed: int,
    steps: Sequence[Step] | None = None,
    told: bool = False,
    observe: Callable[[World], None] = lambda world: None,
) -> Outcome:
    """Play it; ``steps`` replace its own schedule, ``told`` keeps the story, ``observe`` gets the world."""
    settings, own = planned(scenario, seed)
    world = World(settings, f"{scenario.name}/{seed}", told)
    observe(world)
    failure = ""
    try:
        play(world, own if steps is None else steps)
        if scenario.recovers:
            recover(world, scenario.recovers)
    except Violation as violation:
        failure = str(violation)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        failure = f"{type(error).__name__} in {place.name}, line {place.lineno} of {place.filename}: {error}"
    if failure:
        world.story.tell(None, f"VIOLATION: {failure}")
    judge = world.judge
    granted, local = judge.totals()
    return Outcome(
        scenario=scenario.name,
        seed=seed,
        failure=failure,
        trace=world.network.trace.hexdigest(),
        seconds=world.clock.mono,
        events=world.clock.events,
        bytes_sent=world.network.total_bytes,
        granted=granted,
        local=local,
        delays=tuple(judge.delays),
        refusals=tuple(judge.refusals),
        settle_times=tuple(world.settle_times),
        story=(*world.story.lines, *(world.beliefs() if failure else [])),
    )


def play(world: World, steps: Sequence[Step]) -> None:
    """Do all steps. Raises Violation."""
    shift = 0.0
    for step in steps:
        world.clock.run_until(step.at + shift)
        world.story.tell(None, str(step.do))
        step.do.apply(world)
        shift = max(shift, world.clock.mono - step.at)


def recover(world: World, within: float) -> None:
    """Everything works again: then everybody must come to one state, and those in need get what they asked
    for when what the lost had is taken over. Raises Violation."""
    world.network.paths.improve(world.settings.quality)
    for machine in world.machines.values():
        DiskFull(machine.number, False).apply(world)
        Start(machine.number).apply(world)
        missing = [target for target in world.first_targets(machine.number) if target not in machine.targets]
        machine.connect(missing, False)
    Heal().apply(world)
    world.clock.run_until(world.clock.mono + MEETING)
    world.reunite()
    Settle(within, answered=False).apply(world)
    for name in world.lost_owners():
        world.machines[1].rmpeer(name, force=True)
    Settle(within).apply(world)
