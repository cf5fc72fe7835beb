from hypothesis import given
from hypothesis import strategies as st

from tulle.datapath.sleeve.weave_replay import ReplayWindow

WINDOW = 1 << 20


def seen(*numbers: int) -> ReplayWindow:
    window = ReplayWindow()
    for number in numbers:
        assert window.is_new(number)
        window.add(number)
    return window


@given(st.lists(st.integers(0, 3 * WINDOW)))
def test_it_remembers_two_windows(numbers: list[int]) -> None:
    window = ReplayWindow()
    known: set[int] = set()
    for number in numbers:
        oldest = (max(known, default=0) // WINDOW - 1) * WINDOW
        assert window.is_new(number) == (number not in known and number >= oldest)
        if window.is_new(number):
            window.add(number)
            known.add(number)
    assert window.end == max(known, default=-1) + 1


def test_a_complete_page_is_remembered() -> None:
    window = seen(*range(5000))
    assert not any(window.is_new(number) for number in range(5000))
    assert window.is_new(5000)


def test_the_window_before_the_newest_still_counts_and_older_ones_do_not() -> None:
    window = seen(5, 2 * WINDOW - 1)
    assert window.is_new(6)
    assert not window.is_new(5)
    window.add(2 * WINDOW)
    assert not window.is_new(6)
    assert window.is_new(WINDOW)


def test_numbers_may_leap() -> None:
    window = seen(0, 2**63 - 1)
    assert not window.is_new(1)
    assert not window.is_new(2**63 - 1)
    assert window.is_new(2**63 - 2)


def test_steady_traffic_takes_little_memory() -> None:
    window = seen(*range(100_000))
    pages, complete = window._pages, window._complete
    assert len(pages) == 1
    assert len(complete) == 100_000 >> 12
