"""Writing a schedule: what happens to which cluster, and when."""

from dataclasses import dataclass
from ipaddress import IPv4Interface
from random import Random

from tulle.sim.operations import End, Launch, LaunchChosen, Operation, Start
from tulle.sim.settings import Settings


@dataclass(frozen=True, slots=True)
class Step:
    """``do`` happens at second ``at`` of the plan. Its time stands still while a check waits."""

    at: float
    do: Operation

    def __str__(self) -> str:
        return f"{self.at:9.3f} s  {self.do}"


class Plan:
    """A schedule in the making. ``rng`` is its only chance; ``now`` is where the next step goes."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.settings = Settings()
        self.now = 0.0
        self._steps: list[Step] = []
        self._containers: list[tuple[int, str]] = []
        self._count = 0

    @property
    def hosts(self) -> range:
        """All host numbers."""
        return range(1, self.settings.hosts + 1)

    @property
    def steps(self) -> list[Step]:
        """What was planned, in order of time."""
        return sorted(self._steps, key=lambda step: step.at)

    def cluster(self, settings: Settings) -> None:
        """This is the cluster, and all its daemons are started."""
        self.settings = settings
        for host in self.hosts:
            self.at(self.rng.random() * settings.start_spread, Start(host))
        self.now += settings.start_spread

    def do(self, *operations: Operation) -> None:
        """These happen now."""
        for operation in operations:
            self.at(self.now, operation)

    def at(self, at: float, operation: Operation) -> None:
        """This happens then; where the next step goes stays as it is."""
        self._steps.append(Step(at, operation))

    def wait(self, seconds: float) -> None:
        """What follows comes so much later."""
        self.now += seconds

    def launch(
        self, host: int, hostname: str = "", address: IPv4Interface | None = None, named: bool = True
    ) -> str:
        """A new container on this host, now; what it is called by the daemons. ``named``: it gets a name."""
        self._count += 1
        ident = f"c{self._count}"
        self._containers.append((host, ident))
        self.do(Launch(host, ident, (hostname or ident) if named else "", address))
        return ident

    def launch_chosen(self, host: int, hostname: str) -> None:
        """The same with an address that its user chose from the host's share."""
        self._count += 1
        self._containers.append((host, f"c{self._count}"))
        self.do(LaunchChosen(host, f"c{self._count}", hostname))

    def containers_on(self, host: int) -> list[str]:
        """What was started on this host and has not been ended."""
        return [ident for where, ident in self._containers if where == host]

    def end_some(self) -> None:
        """Some container ends now, if there is one."""
        if self._containers:
            host, ident = self._containers.pop(self.rng.randrange(len(self._containers)))
            self.do(End(host, ident))

    def some_host(self) -> int:
        """Any host."""
        return self.rng.choice(self.hosts)

    def split(self, parts: int = 2) -> tuple[tuple[int, ...], ...]:
        """All hosts, dealt into so many groups by chance; none is empty if there are enough."""
        hosts = list(self.hosts)
        self.rng.shuffle(hosts)
        groups: list[list[int]] = [[] for _ in range(parts)]
        for position, host in enumerate(hosts):
            chosen = position if position < parts else self.rng.randrange(parts)
            groups[chosen].append(host)
        return tuple(tuple(sorted(group)) for group in groups if group)
