"""Hosts are removed: rightly, wrongly, twice, and with their space under way."""

from ipaddress import IPv4Network

from tulle.sim.checks import AllGranted, Removed, Settle, SharedAreShown
from tulle.sim.operations import Crash, End, Heal, Partition, Reset, Rmpeer, Start
from tulle.sim.plan import Plan
from tulle.sim.scenario import scenario
from tulle.sim.settings import Settings

SMALL = IPv4Network("10.32.0.0/26")


def _busy_cluster(plan: Plan, hosts: int) -> None:
    plan.cluster(Settings(hosts=hosts, universe=SMALL))
    plan.do(Settle())
    for host in plan.hosts:
        plan.launch(host)
        plan.launch(host)
    plan.do(Settle())


def _launches(plan: Plan, hosts: tuple[int, ...], times: int) -> None:
    for _ in range(times):
        plan.launch(plan.rng.choice(hosts))
        plan.wait(plan.rng.random() * 2)


def _empty(plan: Plan, victim: int) -> None:
    """The daemon is killed, and then the containers end."""
    plan.do(Crash(victim))
    for ident in plan.containers_on(victim):
        plan.do(End(victim, ident))


@scenario("rmpeer-across-a-partition", "4.5", "S50")
def rmpeer_across_a_partition(plan: Plan) -> None:
    """rmpeer of a host that is alive on the other side of a partition, alone or with others, is refused at
    whatever moment it comes: no address is given out twice.
    """
    _busy_cluster(plan, 5)
    hosts = plan.rng.sample(plan.hosts, 5)
    cut = plan.rng.randrange(1, 4)
    near, far = tuple(hosts[:cut]), tuple(hosts[cut:])
    plan.do(Partition((near, far)))
    for _ in range(4):
        plan.wait(plan.rng.random() * 20)
        here, there = plan.rng.sample((near, far), 2)
        plan.do(Rmpeer(plan.rng.choice(here), plan.rng.choice(there)))
        _launches(plan, tuple(plan.hosts), 5)
    plan.do(Heal())


@scenario("rmpeer-by-force", "4.5")
def rmpeer_by_force(plan: Plan) -> None:
    """A host that is alive is removed by force: addresses can be in use twice then. After the heal all agree
    again, and every such address is shown as what it is.
    """
    _busy_cluster(plan, 4)
    alone = plan.some_host()
    others = tuple(host for host in plan.hosts if host != alone)
    plan.do(Partition(((alone,), others)))
    plan.wait(30 + plan.rng.random() * 60)
    plan.do(Rmpeer(plan.rng.choice(others), alone, force=True))
    _launches(plan, tuple(plan.hosts), 30)
    plan.do(Heal(), Settle(90, answered=False))
    plan.wait(70)
    plan.do(SharedAreShown())


@scenario("rmpeer-by-two", "4.5", "S50")
def rmpeer_by_two(plan: Plan) -> None:
    """Two hosts remove the same dead peer at once: its addresses have one owner afterwards."""
    _busy_cluster(plan, 4)
    victim = plan.some_host()
    others = tuple(host for host in plan.hosts if host != victim)
    _empty(plan, victim)
    plan.wait(3 + plan.rng.random() * 90)
    one, two = plan.rng.sample(others, 2)
    plan.do(Rmpeer(one, victim))
    plan.wait(plan.rng.choice((0.0, 0.001, 0.01, 1.0)))
    plan.do(Rmpeer(two, victim))
    _launches(plan, others, 20)
    plan.do(Removed(victim), Settle(90, answered=False))


@scenario("removed-peer-returns", "4.5", "S50")
def removed_peer_returns(plan: Plan) -> None:
    """A host that was removed while it had no daemon comes back with its old disk, and starts over."""
    _busy_cluster(plan, 4)
    victim = plan.some_host()
    others = tuple(host for host in plan.hosts if host != victim)
    _empty(plan, victim)
    plan.wait(3 + plan.rng.random() * 90)
    plan.do(Rmpeer(plan.rng.choice(others), victim))
    plan.wait(5)
    plan.do(Removed(victim))
    _launches(plan, others, 15)
    plan.do(Start(victim))
    _launches(plan, tuple(plan.hosts), 10)


@scenario("donation-in-flight", "4.5", "S50")
def donation_in_flight(plan: Plan) -> None:
    """A host dies while space it gave away is under way, and is removed: nothing has two owners."""
    _busy_cluster(plan, 3)
    for _ in range(12):
        plan.launch(1)
        plan.wait(0.1)
    for _ in range(8):
        plan.launch(1)
        plan.wait(plan.rng.random() * 0.01)
    victim = plan.rng.choice((2, 3))
    _empty(plan, victim)
    plan.wait(3 + plan.rng.random() * 70)
    plan.do(Rmpeer(5 - victim, victim))
    plan.wait(5)
    _launches(plan, (1, 5 - victim), 10)
    plan.do(Settle(90, answered=False))


@scenario("two-leave-at-once", "4.5", "S50")
def two_leave_at_once(plan: Plan) -> None:
    """Two hosts leave at the same moment, and hand each other what they have: all of it belongs to those who
    stay afterwards.
    """
    _leave_at_once(plan, plan.rng.randrange(3, 6), 2)


@scenario("most-leave-at-once", "4.5", "S50")
def most_leave_at_once(plan: Plan) -> None:
    """The same with three or four of six hosts."""
    _leave_at_once(plan, 6, plan.rng.choice((3, 4)))


def _leave_at_once(plan: Plan, size: int, count: int) -> None:
    _busy_cluster(plan, size)
    gone = plan.rng.sample(plan.hosts, count)
    for host in gone:
        plan.do(Reset(host))
        plan.wait(plan.rng.choice((0.0, 0.001, 0.003, 0.01, 0.1)))
    plan.wait(10)
    rest = [host for host in plan.hosts if host not in gone]
    for _ in range(SMALL.num_addresses - 2 - 2 * len(rest)):
        plan.launch(plan.rng.choice(rest))
    plan.do(Settle(90), AllGranted())
