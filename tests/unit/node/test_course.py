"""When frames go over to another carrier, and when they do not yet."""

from tulle.datapath.carrier import Neighbour
from tulle.mesh.events import LinkId
from tulle.mesh.peername import PeerName
from tulle.node.course import GRACE, LONGEST_TRIAL, MEMORY, PROBATION, TRIAL, Course

NEAR = Neighbour(LinkId(1), PeerName(2), None, "10.0.0.2", "10.0.0.1", 5, True, False)


def course() -> Course:
    """Both carriers work, and the better one is in use."""
    both = Course(NEAR, ("fast", "slow"), ("fast", "slow"), 0.0)
    both.works("slow", 0.0)
    both.works("fast", 0.0)
    both.chosen = both.best(0.0)
    assert both.chosen == "fast"
    return both


def review(both: Course, now: float) -> str | None:
    both.chosen = both.best(now)
    return both.chosen


def flap(both: Course, now: float) -> float:
    """The better carrier fails and works again; for how long it is on trial."""
    both.fails("fast", now)
    review(both, now)
    both.works("fast", now + 1)
    return both.next_review() - (now + 1)


def test_what_has_failed_is_on_trial_before_it_is_used_again() -> None:
    both = course()
    both.fails("fast", 10.0)
    assert review(both, 10.0) == "slow"
    both.works("fast", 11.0)
    assert review(both, 11.0) == "slow"
    assert both.trial("fast", 12.0) == TRIAL - 1
    assert both.next_review() == 11.0 + TRIAL
    assert review(both, 11.0 + TRIAL) == "fast"
    assert both.next_review() == float("inf")


def test_better_on_trial_than_nothing() -> None:
    both = course()
    both.fails("fast", 10.0)
    both.fails("slow", 10.5)
    assert review(both, 10.5) is None
    both.works("fast", 11.0)
    assert review(both, 11.0) == "fast"
    both.works("slow", 11.1)
    assert review(both, 11.1) == "fast"
    assert both.trial("fast", 11.2) is None


def test_the_trial_grows_while_it_goes_up_and_down_and_only_so_far() -> None:
    both = course()
    trials = [flap(both, 10.0 + 2 * turn) for turn in range(10)]
    assert trials[:2] == [TRIAL, TRIAL]
    assert trials == sorted(trials)
    assert trials[-1] == LONGEST_TRIAL


def test_old_failures_are_forgotten() -> None:
    both = course()
    for turn in range(5):
        flap(both, 10.0 + turn)
    both.fails("fast", 100.0)
    review(both, 100.0)
    both.works("fast", 100.0 + MEMORY + 1)
    assert review(both, 100.0 + MEMORY + 1) == "fast"


def test_a_carrier_that_the_other_end_lacks_is_never_chosen() -> None:
    alone = Course(NEAR, ("slow",), ("slow",), 0.0)
    alone.works("fast", 0.0)
    assert alone.best(0.0) is None
    assert alone.next_review() == PROBATION


def test_a_new_link_on_which_nothing_works_is_doubtful_once() -> None:
    dead = Course(NEAR, ("fast", "slow"), ("fast", "slow"), 10.0)
    assert dead.next_review() == 10.0 + PROBATION
    assert not dead.is_doubtful(9.9 + PROBATION)
    assert dead.is_doubtful(10.0 + PROBATION)
    assert not dead.is_doubtful(20.0 + PROBATION)
    assert dead.next_review() == float("inf")


def test_a_link_that_worked_once_is_none_of_those() -> None:
    both = course()
    both.fails("fast", 1.0)
    both.fails("slow", 1.0)
    assert review(both, 1.0) is None
    assert not both.is_doubtful(PROBATION)


def test_the_best_carrier_of_a_new_link_has_a_moment() -> None:
    fresh = Course(NEAR, ("fast", "slow"), ("fast", "slow"), 0.0)
    fresh.works("slow", 0.1)
    assert review(fresh, 0.1) is None
    assert fresh.next_review() == GRACE
    fresh.works("fast", 0.5)
    assert review(fresh, 0.5) == "fast"


def test_but_a_moment_only_and_none_if_it_cannot_work() -> None:
    late = Course(NEAR, ("fast", "slow"), ("fast", "slow"), 0.0)
    late.works("slow", 0.1)
    assert review(late, GRACE) == "slow"
    late.works("fast", GRACE + 1)
    assert review(late, GRACE + 1) == "fast"
    hopeless = Course(NEAR, ("fast", "slow"), ("slow",), 0.0)
    hopeless.works("slow", 0.1)
    assert review(hopeless, 0.1) == "slow"
