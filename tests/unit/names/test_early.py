import math

import pytest

from names.builders import OTHER, START, THIRD, entry
from tulle.names import early as module
from tulle.names.early import KEPT_FOR, LOOK_EVERY, EarlyEntries

LATER = START.later(LOOK_EVERY)


def test_nothing_waits_at_first() -> None:
    early = EarlyEntries()
    assert early.next_deadline() == math.inf
    assert early.take({OTHER}, START) == []


def test_entries_wait_for_their_origin() -> None:
    early = EarlyEntries()
    early.hold(entry("a"), START)
    early.hold(entry("b", THIRD), START)
    assert early.take({OTHER}, START) == []
    assert early.next_deadline() == LATER.mono
    assert early.take({OTHER}, LATER) == [entry("a")]
    assert early.take({OTHER}, LATER.later(LOOK_EVERY)) == []
    assert early.take({THIRD}, LATER.later(2 * LOOK_EVERY)) == [entry("b", THIRD)]
    assert early.next_deadline() == math.inf


def test_of_several_states_the_newest_waits() -> None:
    early = EarlyEntries()
    for version in (1, 3, 2):
        early.hold(entry(version=version), START)
    assert early.take({OTHER}, LATER) == [entry(version=3)]


def test_what_waits_too_long_is_dropped() -> None:
    early = EarlyEntries()
    early.hold(entry("a"), START)
    early.hold(entry("b"), START.later(KEPT_FOR - 1))
    assert early.take(set(), START.later(KEPT_FOR)) == []
    assert early.next_deadline() == math.inf
    assert early.take({OTHER}, START.later(2 * KEPT_FOR)) == []


def test_few_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    early = EarlyEntries()
    for number in range(10):
        early.hold(entry(f"n{number}"), START)
    assert len(early.take({OTHER}, LATER)) == 3
    for number in range(10):
        early.hold(entry(f"n{number}"), LATER)
        early.hold(entry(f"n{number}", version=1), LATER)
    much_later = LATER.later(KEPT_FOR)
    assert early.take(set(), much_later) == []
    early.hold(entry("room again"), much_later)
    assert len(early.take({OTHER}, much_later.later(1))) == 1
