"""The replay window, also against a plain set that remembers everything."""

from hypothesis import given
from hypothesis import strategies as st

from tulle.host.sleeve.window import REACH, ReplayWindow


def test_a_number_is_fresh_once() -> None:
    window = ReplayWindow()
    assert window.is_fresh(0)
    window.mark(0)
    assert not window.is_fresh(0)
    assert window.is_fresh(1)


def test_reordering_is_allowed_as_far_as_it_reaches() -> None:
    window = ReplayWindow()
    window.mark(10 * REACH)
    assert window.is_fresh(9 * REACH + 64)
    assert not window.is_fresh(9 * REACH - 64)


def test_a_jump_beyond_all_reach_forgets_what_was_seen_and_refuses_what_is_old() -> None:
    window = ReplayWindow()
    for number in range(0, 3 * REACH, 7):
        window.mark(number)
    window.mark(1 << 47)
    assert not window.is_fresh(3 * REACH)
    assert window.is_fresh((1 << 47) - REACH + 64)


def test_how_many_were_expected_counts_all_of_a_unit() -> None:
    window = ReplayWindow()
    window.mark(100, 46)
    window.mark(50, 10)
    assert window.next == 146


@given(st.lists(st.integers(0, 3 * REACH) | st.integers(0, 300), max_size=200))
def test_it_never_takes_a_number_twice(numbers: list[int]) -> None:
    window, seen, top = ReplayWindow(), set[int](), 0
    for number in numbers:
        fresh = window.is_fresh(number)
        if number in seen:
            assert not fresh
        elif number > top - REACH:
            assert fresh
        if fresh:
            window.mark(number)
            seen.add(number)
            top = max(top, number)
