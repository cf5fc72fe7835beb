import math

from ipam.builders import NOW
from tulle.ipam.settling import GRACE, Settling


def test_without_doubt_there_is_no_wait() -> None:
    settling = Settling()
    assert settling.settled(NOW)
    assert settling.deadline == math.inf


def test_doubt_ends_with_the_grace_which_begins_when_it_matters() -> None:
    settling = Settling()
    settling.doubt()
    assert settling.deadline == math.inf
    assert not settling.settled(NOW)
    assert settling.deadline == NOW.mono + GRACE
    assert not settling.settled(NOW.later(GRACE - 0.1))
    assert settling.settled(NOW.later(GRACE))
    assert settling.deadline == math.inf


def test_doubt_ends_when_a_peer_is_heard() -> None:
    settling = Settling()
    settling.doubt()
    assert not settling.settled(NOW)
    settling.heard()
    assert settling.settled(NOW)
