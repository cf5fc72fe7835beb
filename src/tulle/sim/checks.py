"""Steps of a schedule that only look: they wait for what must come, or object to what is."""

from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv4Address
from random import Random
from typing import ClassVar

import dns.message

from tulle.names.resolver import Resolver
from tulle.sim.agreement import disagreement
from tulle.sim.judge import Violation
from tulle.sim.laws import broken_law
from tulle.sim.operations import Operation
from tulle.sim.settings import name_of
from tulle.sim.walk import direct_both_ways, route_faults
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
        for machine in world.running():
            world.judge.weigh(machine)
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
    """Every container that was started since the last such check has its address, none was refused, and at
    least this share of the answers came at once and without a byte sent.
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
        judge.count_anew()


@dataclass(frozen=True, slots=True)
class SharedAreShown(Operation):
    """The addresses that two containers have are those that some host reports as used twice."""

    is_check: ClassVar[bool] = True

    def apply(self, world: World) -> None:
        """Look."""
        shown = {
            stray.address
            for machine in world.running()
            if machine.daemon is not None
            for stray in machine.daemon.ipam.status().strays
        }
        shared = world.judge.shared_addresses()
        if shared != shown:
            raise Violation(f"in use twice are {_listed(shared)}; shown are {_listed(shown)}")


@dataclass(frozen=True, slots=True)
class MergeLaws(Operation):
    """What all hosts know now merges to the same in any order, and however often it is heard."""

    is_check: ClassVar[bool] = True

    def apply(self, world: World) -> None:
        """Merge it."""
        daemons = [machine.daemon for machine in world.running() if machine.daemon is not None]
        rng = Random(f"{world.seed}/{world.clock.mono}")
        broken = broken_law(daemons, rng, world.clock.now)
        if broken:
            raise Violation(broken)


@dataclass(frozen=True, slots=True)
class Removed(Operation):
    """This host's old name owns nothing any more, as far as others know."""

    is_check: ClassVar[bool] = True
    host: int = 1

    def apply(self, world: World) -> None:
        """Look."""
        for machine in world.running():
            others = machine.number != self.host and machine.daemon is not None
            if others and machine.daemon and name_of(self.host) in machine.daemon.ipam.ring.owners:
                raise Violation(f"h{self.host} was removed, and h{machine.number} counts it as an owner")


def _listed(addresses: set[IPv4Address]) -> str:
    return ", ".join(map(str, sorted(addresses))) or "none"


@dataclass(frozen=True, slots=True)
class NoErrors(Operation):
    """No daemon has logged an error."""

    is_check: ClassVar[bool] = True

    def apply(self, world: World) -> None:
        """Look."""
        if world.judge.errors:
            raise Violation(f"an error was logged: {world.judge.errors[0]}")


@dataclass(frozen=True, slots=True)
class Balanced(Operation):
    """Each of so many addresses of a name is the first of its share of answers, within 3 % of all."""

    is_check: ClassVar[bool] = True
    hostname: str = ""
    count: int = 1
    queries: int = 10_000

    def apply(self, world: World) -> None:
        """Ask some daemon's resolver."""
        machine = world.running()[0]
        assert machine.daemon is not None
        names = machine.daemon.names
        resolver = Resolver(names, 1, Random(f"{world.seed}/resolver"))
        query = dns.message.make_query(f"{self.hostname}.{names.domain}", "A", id=1).to_wire()
        where = slice(len(query) + 12, len(query) + 16)
        first: Counter[bytes] = Counter()
        for _ in range(self.queries):
            answer = resolver.answer_udp(query)
            assert isinstance(answer, bytes)
            first[answer[where]] += 1
        worst = max(abs(times / self.queries - 1 / self.count) for times in first.values())
        if len(first) != self.count or worst > 0.03:
            raise Violation(f"{self.hostname} is not balanced: {sorted(first.values())}")


@dataclass(frozen=True, slots=True)
class FramesPass(Operation):
    """By the tables in the kernels frames get from every host that is on to every other."""

    is_check: ClassVar[bool] = True

    def apply(self, world: World) -> None:
        """Look."""
        fault = route_faults([machine for machine in world.machines.values() if machine.powered])
        if fault:
            raise Violation(fault)


@dataclass(frozen=True, slots=True)
class Meet(Operation):
    """Within so many seconds frames between these pairs of hosts pass without a relay, both ways."""

    is_check: ClassVar[bool] = True
    pairs: tuple[tuple[int, int], ...] = ()
    within: float = 20.0

    def apply(self, world: World) -> None:
        """Let time pass until it is so."""
        begin = world.clock.mono
        while apart := [pair for pair in self.pairs if not self._have_met(world, *pair)]:
            if world.clock.mono - begin >= self.within:
                raise Violation(f"{apart} have not met after {self.within:g} s")
            world.clock.run_until(world.clock.mono + LOOK_EVERY)

    def _have_met(self, world: World, one: int, other: int) -> bool:
        machines = tuple(world.machines.values())
        return direct_both_ways(world.machines[one], world.machines[other], machines)


@dataclass(frozen=True, slots=True)
class NoVotes(Operation):
    """No message of the election was sent since the last time that the count was ``reset``."""

    is_check: ClassVar[bool] = True
    reset: bool = False

    def apply(self, world: World) -> None:
        """Look."""
        if self.reset:
            world.judge.votes.clear()
        elif votes := world.judge.votes:
            raise Violation(f"{len(votes)} messages of the election were sent, the first {votes[0]}")
