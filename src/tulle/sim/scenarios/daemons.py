"""Daemons come and go; hosts and their containers do not care."""

from tulle.sim.checks import AllGranted, FramesPass, NoVotes, Settle
from tulle.sim.operations import Block, Crash, Heal, Partition, Stall, Start, Weather
from tulle.sim.paths import Quality
from tulle.sim.plan import Plan
from tulle.sim.scenario import scenario
from tulle.sim.settings import Settings


@scenario("daemon-killed", "S13", "S22")
def daemon_killed(plan: Plan) -> None:
    """Any daemon is killed or stopped: frames still pass between all hosts, the others start containers
    without a pause, and it comes back to what it had.
    """
    plan.cluster(Settings(hosts=4, frames=True))
    plan.do(Settle())
    for host in plan.hosts:
        plan.launch(host)
    plan.do(Settle(), FramesPass(), AllGranted())
    for victim in plan.hosts:
        others = [host for host in plan.hosts if host != victim]
        plan.do(Crash(victim) if plan.rng.random() < 0.5 else Stall(victim, 8))
        for _ in range(6):
            plan.wait(plan.rng.random() * 2)
            plan.launch(plan.rng.choice(others))
            plan.do(FramesPass())
        plan.do(AllGranted(local=0.9), Start(victim))
        plan.wait(9)
        plan.do(Settle(90))


@scenario("no-votes-after-the-first", "S26")
def no_votes_after_the_first(plan: Plan) -> None:
    """Once the range is divided no message of the election is sent any more, in an hour of churn."""
    plan.cluster(Settings(hosts=5, audit=True))
    plan.do(Settle())
    plan.launch(1)
    plan.do(Settle(), NoVotes(reset=True))
    for _ in range(120):
        plan.wait(plan.rng.random() * 60)
        host = plan.some_host()
        what = plan.rng.random()
        if what < 0.4:
            plan.launch(host, named=False)
        elif what < 0.6:
            plan.end_some()
        elif what < 0.75:
            plan.do(Crash(host))
            plan.at(plan.now + 5, Start(host))
        elif what < 0.9:
            plan.do(Partition(plan.split()))
        else:
            plan.do(Heal())
    plan.do(NoVotes())


@scenario("any-size", "S12")
def any_size(plan: Plan) -> None:
    """A cluster of 1, 2, 3, 5, 10 or 20 hosts that start at once has one state within ten seconds, with
    nothing set up for its size.
    """
    plan.cluster(Settings(hosts=plan.rng.choice((1, 2, 3, 5, 10, 20)), targets=1))
    plan.do(Settle(10))
    for host in plan.hosts:
        plan.launch(host)
    plan.do(Settle(10), AllGranted())


@scenario("way-over-another", "S28")
def way_over_another(plan: Plan) -> None:
    """Frames between two hosts that cannot reach each other any more go over others within four seconds, and
    in bad weather no path is given up.
    """
    plan.cluster(Settings(hosts=4, frames=True))
    plan.launch(1)
    plan.do(Settle(), FramesPass())
    one, other = plan.rng.sample(plan.hosts, 2)
    plan.do(Block(one, other))
    plan.wait(4)
    plan.do(FramesPass(), Heal(), Weather(Quality(0.02, 0.02, loss=0.05, duplicate=0.02, reorder=0.1)))
    plan.wait(20)
    plan.do(FramesPass(), Settle(90))


@scenario("a-host-that-does-not-read", "S22")
def a_host_that_does_not_read(plan: Plan) -> None:
    """A daemon stands still for a minute and more while 300 containers come and go elsewhere: what waits for
    it stays bounded, nobody else notices, and it catches up.
    """
    plan.cluster(Settings(hosts=3))
    plan.do(Settle())
    for host in plan.hosts:
        plan.launch(host)
    plan.do(Settle(), AllGranted())
    sleeper = plan.some_host()
    others = [host for host in plan.hosts if host != sleeper]
    plan.do(Stall(sleeper, 60 + plan.rng.random() * 60))
    for _ in range(300):
        plan.launch(plan.rng.choice(others))
        plan.end_some()
        plan.wait(plan.rng.random() * 0.4)
    plan.do(AllGranted())
    plan.wait(60)
    plan.do(Settle(90))
