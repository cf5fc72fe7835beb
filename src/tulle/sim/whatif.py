"""A cluster of a user's own making: so many hosts, so much churn, and a partition in the middle."""

from dataclasses import dataclass
from ipaddress import IPv4Network

from tulle.sim.checks import Settle
from tulle.sim.operations import Crash, Heal, Partition, Start
from tulle.sim.plan import Plan
from tulle.sim.scenario import Scenario
from tulle.sim.settings import Settings

FULL_MESH = 25
"""Up to so many hosts all connect to all, unless a user says otherwise."""

DEGREE = 4
"""Hosts that each host of a larger cluster is told to connect to."""

PATIENCE = 600.0
DOWN_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Question:
    """What happens to ``peers`` hosts in ``minutes``?

    ``churn``: daemons per minute that are killed, and started again after 15 s. ``launches``: containers per
    minute that are started; half as many end. ``partition``: the share of the hosts that is cut off from the
    others in the middle third of the time. ``links``: how many hosts each is told to connect to, with no
    discovery of more; 0: everybody connects to everybody; None: that depends on the size.
    """

    peers: int = 10
    churn: float = 0.0
    launches: float = 60.0
    partition: float = 0.0
    minutes: float = 3.0
    links: int | None = None

    @property
    def degree(self) -> int:
        """``links`` as it is used."""
        if self.links is not None:
            return self.links
        return 0 if self.peers <= FULL_MESH else DEGREE

    def scenario(self) -> Scenario:
        """The question as something that can be run."""
        return Scenario("what-if", "a cluster of your own", (), self._write, PATIENCE)

    def _write(self, plan: Plan) -> None:
        plan.cluster(
            Settings(
                hosts=self.peers,
                universe=IPv4Network("10.32.0.0/12"),
                links=self.degree,
                discovery=not self.degree,
                start_spread=1.0,
            )
        )
        plan.launch(1)
        plan.do(Settle(PATIENCE))
        begin, length = plan.now, 60 * self.minutes
        self._churn(plan, begin, length)
        self._launch(plan, begin, length)
        cut = round(self.peers * self.partition)
        if cut:
            hosts = plan.rng.sample(plan.hosts, cut)
            plan.at(begin + length / 3, Partition((tuple(sorted(hosts)),)))
            plan.at(begin + 2 * length / 3, Heal())
        plan.now = begin + length

    def _churn(self, plan: Plan, begin: float, length: float) -> None:
        for _ in range(round(self.churn * self.minutes)):
            at, host = begin + plan.rng.random() * length, plan.some_host()
            plan.at(at, Crash(host))
            plan.at(at + DOWN_SECONDS, Start(host))

    def _launch(self, plan: Plan, begin: float, length: float) -> None:
        for at in sorted(plan.rng.random() * length for _ in range(round(self.launches * self.minutes))):
            plan.now = begin + at
            plan.launch(plan.some_host())
            if plan.rng.random() < 0.5:
                plan.end_some()
