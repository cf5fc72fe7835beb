import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.datapath.sleeve.weave_mtu import RETEST, SMALLEST, MtuSearch


class Path:
    """A path that takes packets up to a size, and the search for it."""

    def __init__(self, takes: int, rtt: float = 0.001) -> None:
        self.takes, self.rtt = takes, rtt
        self.now = 1000.0
        self.search = MtuSearch(1438)
        self.acknowledged: list[tuple[float, int]] = []
        self.tests = 0

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := min([self.search.due(), *(at for at, _ in self.acknowledged)])) <= end:
            self.now = max(self.now, due)
            for item in [item for item in self.acknowledged if item[0] <= self.now]:
                self.acknowledged.remove(item)
                self.search.passed(item[1], self.now)
            size = self.search.turn(self.now)
            if size is not None:
                self.tests += 1
                if size <= self.takes:
                    self.acknowledged.append((self.now + self.rtt, size))
        self.now = end

    def limit(self, mtu: int) -> None:
        self.search.limit(mtu, self.now)


def test_until_the_kernel_speaks_the_usual_is_used() -> None:
    path = Path(9000)
    path.run(10)
    assert path.search.in_use == 1438
    assert path.tests == 0


def test_what_the_kernel_says_is_used_at_once_and_proven() -> None:
    path = Path(1438)
    path.limit(1438)
    assert path.search.in_use == 1438
    assert not path.search.settled
    path.run(0.1)
    assert path.search.in_use == 1438
    assert path.search.settled
    assert path.search.rtt == pytest.approx(0.001)


@given(st.integers(SMALLEST, 3000), st.integers(SMALLEST, 3000), st.sampled_from([0.0001, 0.02, 0.3]))
def test_it_finds_what_the_path_takes(takes: int, limit: int, rtt: float) -> None:
    path = Path(takes, rtt)
    path.limit(limit)
    path.run(60)
    assert path.search.in_use == min(takes, limit)


def test_a_black_hole_is_not_trusted_for_long() -> None:
    path = Path(1000)
    path.limit(1438)
    path.run(2.6)
    assert path.search.in_use <= 1000
    path.run(5)
    assert path.search.in_use == 1000


@given(st.integers(SMALLEST, 1438), st.integers(SMALLEST, 1438))
def test_it_follows_a_path_that_changes(first: int, then: int) -> None:
    path = Path(first)
    path.limit(1438)
    path.run(60)
    path.takes = then
    path.run(RETEST + 2.7)
    assert path.search.in_use <= max(then, SMALLEST)
    path.limit(1438)
    path.run(30)
    path.limit(1438)
    path.run(30)
    assert path.search.in_use == then


def test_the_kernel_learns_that_the_path_takes_less() -> None:
    path = Path(1438)
    path.limit(1438)
    path.run(10)
    path.takes = 1200
    path.limit(1200)
    assert path.search.in_use == 1200


def test_more_is_tried_without_giving_up_what_passes() -> None:
    path = Path(1200)
    path.limit(1200)
    path.run(1)
    path.limit(8000)
    assert path.search.in_use == 1200
    path.run(20)
    assert path.search.in_use == 1200


def test_what_is_in_use_is_tentative_only_while_more_is_tried() -> None:
    path = Path(1000)
    path.limit(1438)
    assert not path.search.tentative
    path.run(2.6)
    assert path.search.tentative
    path.run(5)
    assert not path.search.tentative


def test_a_path_that_takes_nothing_is_dead_until_something_passes() -> None:
    path = Path(1438)
    path.limit(1438)
    path.run(10)
    path.takes = 0
    path.run(2 * 2.55 + RETEST + 0.1)
    assert path.search.dead
    path.takes = 1200
    path.run(RETEST + 2.6)
    assert not path.search.dead
    path.run(8)
    assert path.search.in_use == 1200


def test_a_doubt_is_looked_into_at_once() -> None:
    path = Path(1438)
    path.limit(1438)
    path.run(0.1)
    path.takes = 0
    before = path.tests
    path.search.doubt(path.now)
    path.run(0.001)
    assert path.tests == before + 1
    path.run(2 * 2.55 + 0.1)
    assert path.search.dead


def test_a_doubt_before_anything_is_known_means_nothing() -> None:
    path = Path(1438)
    path.search.doubt(path.now)
    path.run(10)
    assert path.tests == 0


def test_on_a_long_path_tests_are_not_sent_again_before_they_can_be_acknowledged() -> None:
    path = Path(1438, rtt=0.2)
    path.limit(1438)
    path.run(10)
    assert path.search.rtt == pytest.approx(0.2)
    before = path.tests
    path.run(100)
    assert path.tests - before <= 100 / RETEST


def test_a_late_acknowledgement_counts() -> None:
    path = Path(1438, rtt=4.0)
    path.limit(1438)
    path.run(60)
    assert path.search.in_use == 1438


@pytest.mark.parametrize("mtu", [0, SMALLEST - 1, 1439, 65535])
def test_acknowledgements_of_what_cannot_be_are_ignored(mtu: int) -> None:
    path = Path(0)
    path.limit(1438)
    path.search.passed(mtu, path.now)
    path.run(10)
    assert path.search.in_use == SMALLEST


def test_what_was_given_up_is_tested_at_a_bounded_pace() -> None:
    path = Path(0)
    path.limit(1438)
    path.run(60)
    before = path.tests
    path.run(60)
    assert path.tests - before < 60 * 8
