"""Anything, at any moment."""

from collections.abc import Callable
from ipaddress import IPv4Interface, IPv4Network

from tulle.sim.checks import MergeLaws
from tulle.sim.operations import (
    Block,
    BreakLinks,
    Clock,
    Connect,
    Crash,
    DiskFull,
    Filter,
    Forget,
    Heal,
    Operation,
    Partition,
    Reset,
    RestartRouter,
    Rmpeer,
    Snapshot,
    Stall,
    Start,
    Weather,
)
from tulle.sim.paths import Quality
from tulle.sim.plan import Plan
from tulle.sim.scenario import scenario
from tulle.sim.scenarios.routers import some_sites
from tulle.sim.settings import Settings

Chance = Callable[[Plan, int], Operation]

WEATHERS = (
    Quality(0.002, 0.004),
    Quality(0.02, 0.02, loss=0.02, duplicate=0.01, reorder=0.05),
    Quality(0.15, 0.1, loss=0.1, duplicate=0.05, reorder=0.2),
)


def _other(plan: Plan, host: int) -> int:
    return plan.rng.choice([one for one in plan.hosts if one != host])


NETWORK: tuple[Chance, ...] = (
    lambda plan, host: Partition(plan.split(plan.rng.choice((2, 2, 3)))),
    lambda plan, host: Heal(),
    lambda plan, host: Block(host, _other(plan, host)),
    lambda plan, host: BreakLinks(host, _other(plan, host)),
    lambda plan, host: Weather(plan.rng.choice(WEATHERS)),
)
DAEMONS: tuple[Chance, ...] = (
    lambda plan, host: Crash(host, power=plan.rng.random() < 0.3),
    lambda plan, host: Start(host),
    lambda plan, host: Start(host),
    lambda plan, host: Stall(host, plan.rng.choice((0.3, 3.0, 30.0))),
    lambda plan, host: Clock(host, plan.rng.choice((-86400.0, -1000.0, 0.0, 3600.0))),
)
DISKS: tuple[Chance, ...] = (
    lambda plan, host: Start(host, "lost"),
    lambda plan, host: DiskFull(host, plan.rng.random() < 0.5),
)
OPERATORS: tuple[Chance, ...] = (
    lambda plan, host: Connect(host, (_other(plan, host),)),
    lambda plan, host: Forget(host, (_other(plan, host),)),
)
DISASTERS: tuple[Chance, ...] = (
    lambda plan, host: Reset(host),
    lambda plan, host: Reset(host, force=True),
    lambda plan, host: Rmpeer(host, _other(plan, host)),
    lambda plan, host: Rmpeer(host, _other(plan, host), force=True),
    lambda plan, host: Snapshot(host),
    lambda plan, host: Start(host, "old"),
    lambda plan, host: Start(host, "wiped"),
)
BOXES: tuple[Chance, ...] = (
    lambda plan, host: Filter(host, _other(plan, host), plan.rng.random() < 0.3),
    lambda plan, host: RestartRouter(plan.rng.randrange(len(plan.settings.sites)) + 1),
)


def _some_address(plan: Plan) -> IPv4Interface | None:
    """Mostly any; sometimes a user wants a certain one, which others may want too."""
    if plan.rng.random() < 0.8:
        return None
    universe = plan.settings.universe
    address = int(universe.network_address) + plan.rng.randrange(1, 25)
    return IPv4Interface((address, universe.prefixlen))


def _some_cluster(plan: Plan) -> None:
    size = plan.rng.randrange(2, 7)
    universe = IPv4Network(plan.rng.choice(("10.32.0.0/27", "10.32.0.0/24", "10.32.0.0/16")))
    frames = plan.rng.random() < 0.1
    plan.cluster(Settings(hosts=size, universe=universe, quorum_of=size, start_spread=3.0, frames=frames))


def _play(plan: Plan, chances: tuple[Chance, ...], steps: int) -> None:
    for _ in range(steps):
        plan.wait(plan.rng.expovariate(1.0) * plan.rng.choice((0.05, 1.0, 8.0)))
        host = plan.some_host()
        what = plan.rng.random()
        if plan.rng.random() < 0.1:
            plan.do(MergeLaws())
        if what < 0.35:
            plan.launch(host, plan.rng.choice(("web", "db", "")), _some_address(plan))
        elif what < 0.5:
            plan.end_some()
        else:
            plan.do(plan.rng.choice(chances)(plan, host))


@scenario("chaos", "S6", "S18", "S22", "S50", "S53")
def chaos(plan: Plan) -> None:
    """Partitions, one-way blocks, loss, crashes, stalls and wrong clocks at any moment: no address is ever in
    use twice, no range has two owners, nothing acknowledged is lost, and in the end all agree.
    """
    _some_cluster(plan)
    _play(plan, (*NETWORK, *DAEMONS, *OPERATORS), 60)


@scenario("chaos-of-disks", "S50")
def chaos_of_disks(plan: Plan) -> None:
    """The same with disks that fill up, and hosts that start over with an empty one under a new name."""
    _some_cluster(plan)
    _play(plan, (*NETWORK, *DAEMONS, *DISKS), 50)


@scenario("disaster", "S6", "S18")
def disaster(plan: Plan) -> None:
    """Disks roll back, names are used again, hosts are removed by force while they live: addresses can be in
    use twice then, but everybody goes on, and in the end all agree.
    """
    _some_cluster(plan)
    _play(plan, (*NETWORK, *DAEMONS, *DISKS, *DISASTERS), 60)


@scenario("chaos-behind-routers", "S6", "S18", "S50")
def chaos_behind_routers(plan: Plan) -> None:
    """Chaos with both carriers where only some hosts are in the open, routers restart, and firewalls stop
    tunnels or all UDP: the same holds.
    """
    size = plan.rng.randrange(3, 6)
    sites = some_sites(plan, range(plan.rng.choice((2, 3)), size + 1))
    frames = plan.rng.random() < 0.1
    plan.cluster(
        Settings(hosts=size, quorum_of=size, start_spread=3.0, frames=frames, sleeve=True, sites=sites)
    )
    _play(plan, (*NETWORK, *DAEMONS, *BOXES), 40)
