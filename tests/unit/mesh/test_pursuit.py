"""The attempts at one address."""

from random import Random

from mesh.builders import make_link
from tulle.mesh.pursuit import DIAL_SECONDS, Pursuit
from tulle.mesh.views import LinkState, TargetState

ADDRESS = ("10.0.0.2", 6783)


def _pursuit() -> Pursuit:
    return Pursuit(ADDRESS, 0.0, None)


def test_states_of_an_attempt() -> None:
    pursuit = _pursuit()
    assert pursuit.state(None) is TargetState.WAITING
    pursuit.dial(0.0)
    assert pursuit.busy
    assert pursuit.state(None) is TargetState.CONNECTING
    pursuit.failed("refused", Random(0), 0.1)
    assert not pursuit.busy
    assert pursuit.state(None) is TargetState.FAILED
    pursuit.dial(0.5)
    assert pursuit.state(None) is TargetState.RETRYING
    link = make_link()
    pursuit.opened(link)
    assert pursuit.deadline is None
    link.state = LinkState.PENDING
    assert pursuit.state(link) is TargetState.PENDING
    link.establish(True)
    assert pursuit.state(link) is TargetState.ESTABLISHED


def test_quick_failures_wait_less_than_slow_ones() -> None:
    quick, slow = _pursuit(), _pursuit()
    quick.dial(0.0)
    slow.dial(0.0)
    quick.failed("refused", Random(0), 0.1)
    slow.failed("timed out", Random(0), 3.0)
    assert quick.due - 0.1 < 0.5
    assert slow.due - 3.0 >= 1.0


def test_a_dial_without_an_answer_has_a_deadline() -> None:
    pursuit = _pursuit()
    assert pursuit.deadline is None
    pursuit.dial(5.0)
    assert pursuit.deadline == 5.0 + DIAL_SECONDS


def test_a_link_that_lasted_is_dialled_again_at_once() -> None:
    pursuit = _pursuit()
    for mono in range(10):
        pursuit.dial(mono)
        pursuit.failed("timed out", Random(0), mono + 2)
    pursuit.lost("closed", up_since=20.0, rng=Random(0), mono=90.0)
    assert pursuit.due == 90.0
    pursuit.dial(90.0)
    pursuit.failed("refused", Random(0), 90.0)
    assert pursuit.due < 90.5


def test_a_link_that_did_not_last_waits() -> None:
    pursuit = _pursuit()
    pursuit.lost("closed", up_since=20.0, rng=Random(0), mono=30.0)
    assert pursuit.due >= 31.0
    assert pursuit.error == "closed"


def test_superseded_is_no_failure() -> None:
    pursuit = _pursuit()
    pursuit.error = "earlier"
    pursuit.dial(0.0)
    pursuit.superseded(Random(0), 1.0)
    assert pursuit.error is None
    assert 1.0 < pursuit.due < 1.5


def test_given_up() -> None:
    pursuit = _pursuit()
    pursuit.dial(0.0)
    pursuit.give_up("our own")
    assert pursuit.never
    assert pursuit.state(None) is TargetState.FAILED
