"""What the simulator has found in the product, each as the shortest schedule that showed it."""

from collections.abc import Callable
from ipaddress import IPv4Network

import pytest

from tulle.mesh.connection import DOUBT_SECONDS
from tulle.mesh.views import LinkState
from tulle.node.course import PROBATION
from tulle.sim.checks import Settle
from tulle.sim.operations import Crash, Heal, Partition, Reset, Rmpeer, Start
from tulle.sim.plan import Plan
from tulle.sim.run import run
from tulle.sim.scenario import Scenario
from tulle.sim.scenarios import SCENARIOS
from tulle.sim.settings import Settings
from tulle.sim.world import World


def failure_of(write: Callable[[Plan], None], seed: int = 0) -> str:
    return run(Scenario(write.__name__, "", (), write, 90.0), seed).failure


@pytest.mark.parametrize("seed", range(4))
def test_a_long_cut_is_over_soon_after_it_ended(seed: int) -> None:
    """Attempts to connect came ever later, up to nine minutes apart (``every-partition-of-four``, seed 1)."""

    def long_cut(plan: Plan) -> None:
        plan.cluster(Settings(hosts=2))
        plan.do(Settle(), Partition(((1,), (2,))))
        plan.wait(1500)
        plan.do(Heal(), Settle(60))

    assert failure_of(long_cut, seed) == ""


@pytest.mark.parametrize("seed", range(4))
def test_a_link_that_is_cut_before_a_frame_has_passed_is_soon_given_up(seed: int) -> None:
    """No carrier had worked on it, so none said that it was lost, and the kernel took 20 seconds."""
    world = World(Settings(hosts=2, start_spread=0.0), f"cut at once/{seed}")
    for number in world.machines:
        world.start(number)
    ends = [machine.daemon.node.mesh for machine in world.machines.values() if machine.daemon]
    while [[view.state for view in mesh.links()] for mesh in ends] != [[LinkState.PENDING]] * 2:
        world.clock.run_until(world.clock.mono + 0.001)
    Partition(((1,), (2,))).apply(world)
    world.clock.run_until(world.clock.mono + PROBATION + DOUBT_SECONDS + 1)
    assert [mesh.links() for mesh in ends] == [[], []]


@pytest.mark.parametrize("seed", range(4))
def test_hosts_that_lost_all_find_each_other_without_the_one_they_were_told_of(seed: int) -> None:
    """They knew each other only by gossip, and forgot where to look (``chaos``)."""

    def cut_off(plan: Plan) -> None:
        plan.cluster(Settings(hosts=3, targets=1))
        plan.launch(1)
        plan.do(Settle(), Partition(((1,), (2,), (3,))))
        plan.wait(120)
        plan.do(Partition(((1,), (2, 3))), Settle(60))

    assert failure_of(cut_off, seed) == ""


@pytest.mark.parametrize("seed", [502, 520])
def test_what_was_told_to_a_host_that_then_forgot_it_is_told_again_soon(seed: int) -> None:
    """Who had been told lately was not told again for half a minute (``partly-connected``)."""
    outcome = run(SCENARIOS["partly-connected"], seed)
    assert outcome.failure == ""
    assert max(outcome.settle_times) < 30


def test_what_a_host_with_an_empty_disk_still_runs_is_not_given_to_another_one() -> None:
    """Its old name was removed while somebody else asked for the same address (``chaos-of-disks``)."""
    assert run(SCENARIOS["chaos-of-disks"], 592).failure == ""


@pytest.mark.parametrize("seed", [57, 58, 1000])
def test_two_who_leave_at_once_do_not_end_up_with_all_of_it(seed: int) -> None:
    """They handed what they had to each other, and it was nobody's (``disaster``, 5022); or one gave it
    to the other that had left already (1000).
    """
    assert run(SCENARIOS["two-leave-at-once"], seed).failure == ""


def test_who_leaves_takes_nothing_over() -> None:
    """A reset while an rmpeer waited for answers left ranges with a name that was gone (``disaster``, 21)."""

    def leaves_while_removing(plan: Plan) -> None:
        plan.cluster(Settings(hosts=3, universe=IPv4Network("10.32.0.0/27")))
        plan.launch(1)
        plan.do(Settle(), Crash(3, power=True))
        plan.wait(60)
        plan.do(Partition(((1, 2), (3,))), Rmpeer(1, 3, force=True), Reset(1))
        plan.wait(10)
        plan.do(Start(1, "lost"))
        plan.wait(10)
        for _ in range(25):
            plan.launch(1)

    assert failure_of(leaves_while_removing) == ""
