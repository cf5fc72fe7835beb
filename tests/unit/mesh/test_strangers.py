"""What is said of peers whom nobody has introduced is kept for a while, and no more than so much of it."""

import math

from tulle.instant import Instant
from tulle.mesh.peername import PeerName
from tulle.mesh.strangers import KEPT, MOST, Strangers

KNOWN, UNKNOWN = PeerName(1), PeerName(2)


def at(mono: float) -> Instant:
    return Instant(mono, 1e9 + mono)


def test_who_is_known_is_no_stranger() -> None:
    strangers = Strangers()
    strangers.known = {KNOWN}
    assert strangers.admit(KNOWN, at(0))
    assert KNOWN not in strangers
    assert strangers.next_deadline() == math.inf


def test_a_stranger_is_overdue_after_its_time() -> None:
    strangers = Strangers()
    assert strangers.admit(UNKNOWN, at(5))
    assert UNKNOWN in strangers
    assert strangers.next_deadline() == 5 + KEPT
    assert strangers.overdue(at(5 + KEPT - 0.1)) == []
    assert strangers.overdue(at(5 + KEPT)) == [UNKNOWN]
    strangers.drop(UNKNOWN)
    assert strangers.overdue(at(5 + KEPT)) == []


def test_whoever_is_introduced_in_time_stays() -> None:
    strangers = Strangers()
    known = {KNOWN}
    strangers.known = known
    strangers.admit(UNKNOWN, at(0))
    known.add(UNKNOWN)
    assert strangers.overdue(at(KEPT)) == []
    assert UNKNOWN not in strangers


def test_invented_names_are_kept_up_to_a_limit() -> None:
    strangers = Strangers()
    assert all(strangers.admit(PeerName(number), at(0)) for number in range(10, 10 + MOST))
    assert not strangers.admit(UNKNOWN, at(0))
    strangers.drop(PeerName(10))
    assert strangers.admit(UNKNOWN, at(0))
