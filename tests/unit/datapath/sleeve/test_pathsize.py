"""The search for the largest datagram that passes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tulle.datapath.sleeve.pathsize import MOST, SAFE, PathSize

RTT = 0.02


class Path:
    """A path that takes datagrams up to ``most``, and small questions always."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.now = 100.0
        self.size = PathSize(self.now)
        self.size.busy(True, self.now)
        self.asked = 0
        self._answers: list[tuple[float, int]] = []

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            due = min([self.size.next_turn, until, *(at for at, _ in self._answers)])
            self.now = max(due, self.now + 0.001)
            for at, number in [answer for answer in self._answers if answer[0] <= self.now]:
                self._answers.remove((at, number))
                self.size.answered(number, self.now)
            for number, size in self.size.turn(RTT, True, self.now):
                self.asked += 1
                if size <= self.most:
                    self._answers.append((self.now + RTT, number))


@given(st.integers(SAFE, MOST))
@settings(max_examples=60, deadline=None)
def test_any_size_is_found_exactly(most: int) -> None:
    path = Path(most)
    path.run(12)
    assert path.size.size == most


@pytest.mark.parametrize("most", [672, 1252, 1372, 1472, MOST])
def test_what_networks_have_is_found_in_a_round_trip(most: int) -> None:
    path = Path(most)
    path.run(3 * RTT)
    assert 0.9 * most <= path.size.size <= most


@given(st.integers(SAFE, MOST), st.integers(SAFE, MOST))
@settings(max_examples=40, deadline=None)
def test_a_change_under_way_is_noticed(before: int, after: int) -> None:
    path = Path(before)
    path.run(12)
    path.most = after
    path.run(3)
    assert path.size.size <= after
    path.run(120)
    assert after * 0.8 <= path.size.size <= after


def test_when_all_is_settled_little_is_asked() -> None:
    path = Path(1472)
    path.run(12)
    path.asked = 0
    path.run(60)
    assert path.asked <= 60 * 2 + 6 * 20
    path.size.busy(False, path.now)
    path.run(10)
    path.asked = 0
    path.run(60)
    assert path.asked <= 30


def test_silence_is_not_blamed_on_the_size_while_nothing_is_answered() -> None:
    size = PathSize(0.0)
    ((number, _), *_) = [one for one in size.turn(RTT, True, 0.0) if one[1] == 1472]
    size.answered(number, RTT)
    for turn in range(20):
        size.turn(RTT, False, 1.0 + turn * 0.5)
    assert size.size == 1472


def test_a_late_answer_counts_too() -> None:
    size = PathSize(0.0)
    asked = dict(size.turn(RTT, True, 0.0))
    size.turn(RTT, True, 1.0)
    (number,) = (number for number, asked_size in asked.items() if asked_size == 1472)
    assert size.answered(number, 1.5)
    assert not size.answered(number, 1.6)
    assert size.size == 1472
