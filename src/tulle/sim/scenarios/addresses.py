"""Addresses: the first division, and handing them out."""

from ipaddress import IPv4Network

from tulle.sim.checks import AllGranted, NoErrors, Settle
from tulle.sim.operations import BreakLinks, Crash, Heal, Partition, Start
from tulle.sim.plan import Plan
from tulle.sim.scenario import scenario
from tulle.sim.settings import Settings


@scenario("first-division", "S25", "S50", "S52")
def first_division(plan: Plan) -> None:
    """However hosts start, crash and are cut off while the range is first divided: there is one ring."""
    size = plan.rng.randrange(2, 7)
    if plan.rng.random() < 0.5:
        plan.settings = Settings(hosts=size)
        plan.do(Partition(plan.split()))
    plan.cluster(Settings(hosts=size, quorum_of=size, start_spread=plan.rng.choice((0.05, 5.0))))
    end = plan.now
    for host in plan.hosts:
        if plan.rng.random() < 0.7:
            plan.now = plan.rng.random() * (end + 1)
            plan.launch(host)
    plan.now = end
    for _ in range(plan.rng.randrange(8)):
        plan.wait(plan.rng.random() * 4)
        host = plan.some_host()
        plan.do(
            plan.rng.choice(
                (
                    Partition(plan.split()),
                    Heal(),
                    Crash(host, power=plan.rng.random() < 0.3),
                    Start(host),
                    BreakLinks(host, plan.some_host()),
                )
            )
        )
        plan.launch(plan.some_host())


@scenario("local-allocation", "S21", "S27", "S51", "S54")
def local_allocation(plan: Plan) -> None:
    """Of ten thousand allocations 99 % and more are answered at once and without a message."""
    plan.cluster(Settings(hosts=5, universe=IPv4Network("10.32.0.0/16")))
    plan.do(Settle())
    plan.launch(1)
    plan.do(Settle(), AllGranted())
    for _ in range(10_000):
        plan.launch(plan.some_host(), named=False)
        plan.wait(0.002)
    plan.do(AllGranted(local=0.99), NoErrors())


@scenario("full-range", "S50")
def full_range(plan: Plan) -> None:
    """A range that is nearly full: hosts ask each other for the rest, and all of it is found."""
    plan.cluster(Settings(hosts=4, universe=IPv4Network("10.32.0.0/26")))
    plan.do(Settle())
    for _ in range(62):
        plan.launch(plan.some_host())
        plan.wait(plan.rng.random() * 0.5)
    plan.wait(30)
    plan.do(Settle(90), AllGranted(), NoErrors())
