"""Steps of a schedule that only look: they wait for what must come, or object to what is."""

from dataclasses import dataclass
from typing import ClassVar

from tulle.sim.agreement import disagreement
from tulle.sim.judge import Violation
from tulle.sim.operations import Operation
from tulle.sim.world import World

LOOK_EVERY = 0.25


@dataclass(frozen=True, slots=True)
class Settle(Operation):
    """Within so many seconds all who can reach each other have one state.

    With ``answered`` also every request has an answer then.
    """

    is_check: ClassVar[bool] = True
    within: float = 60.0
    answered: bool = True

    def apply(self, world: World) -> None:
        """Let time pass until it is so."""
        begin = world.clock.mono
        while missing := disagreement(world, self.answered):
            if world.clock.mono - begin >= self.within:
                raise Violation(f"no one state after {self.within:g} s: {missing}")
            world.clock.run_until(world.clock.mono + LOOK_EVERY)
        world.settle_times.append(world.clock.mono - begin)
        world.story.tell(None, f"one state after {world.clock.mono - begin:.2f} s")


@dataclass(frozen=True, slots=True)
class Resolves(Operation):
    """On these hosts the name has exactly so many addresses."""

    is_check: ClassVar[bool] = True
    hostname: str = ""
    count: int = 1
    hosts: tuple[int, ...] = ()

    def apply(self, world: World) -> None:
        """Look."""
        for machine in world.running():
            if machine.daemon is None or (self.hosts and machine.number not in self.hosts):
                continue
            found = machine.daemon.names.lookup(self.hostname)
            if len(found) != self.count:
                raise Violation(
                    f"{self.hostname} has {len(found)} addresses on h{machine.number}, not {self.count}"
                )


@dataclass(frozen=True, slots=True)
class AllGranted(Operation):
    """Every container that was started has its address, none was refused, and of the answers at least this
    share came at once and without a byte sent.
    """

    is_check: ClassVar[bool] = True
    local: float = 0.0

    def apply(self, world: World) -> None:
        """Look."""
        judge = world.judge
        if judge.granted != judge.asked:
            why = "; ".join(f"{times} x {text}" for text, times in judge.refusals.items()) or "no answer"
            raise Violation(f"{judge.granted} of {judge.asked} containers were started ({why})")
        if judge.granted and judge.local < self.local * judge.granted:
            raise Violation(f"only {judge.local} of {judge.granted} allocations were local")


@dataclass(frozen=True, slots=True)
class NoErrors(Operation):
    """No daemon has logged an error."""

    is_check: ClassVar[bool] = True

    def apply(self, world: World) -> None:
        """Look."""
        if world.judge.errors:
            raise Violation(f"an error was logged: {world.judge.errors[0]}")
