"""Echoes: their form, and when a path counts as lost or back."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.datapath.echo import INTERVAL, SMALL, Echo, EchoJudge, decode_answer
from tulle.errors import BadMessage

_OP = 4


def answer_to(question: bytes) -> bytes:
    """What the other kernel sends back: the same, with another operation."""
    return question[:_OP] + b"\x02" + question[_OP + 1 :]


def test_a_question_has_the_size_it_says() -> None:
    echo = Echo(uid=7, sequence=9, size=1390)
    assert len(echo.encode()) + 14 == 1390
    assert echo.encode()[:5] == b"tule\x01"
    assert decode_answer(answer_to(echo.encode())) == echo


def test_a_question_is_no_answer() -> None:
    with pytest.raises(BadMessage):
        decode_answer(Echo(7, 9, SMALL).encode())


def test_a_shortened_answer_is_refused() -> None:
    with pytest.raises(BadMessage):
        decode_answer(answer_to(Echo(7, 9, 1390).encode())[:-1])


@given(st.binary(max_size=60))
def test_garbage_is_a_bad_message(data: bytes) -> None:
    try:
        decode_answer(data)
    except BadMessage:
        return


class Path:
    """A path to judge: turns at the times they are due, each question answered after ``delay`` or not at
    all.
    """

    def __init__(self) -> None:
        self.now = 100.0
        self.judge = EchoJudge(self.now)
        self.in_flight: list[tuple[float, int]] = []

    def step(self, full: float | None = 0.01, small: float | None = 0.01) -> None:
        """Go on to the next turn."""
        self.arrive(self.judge.next_turn)
        self.now = max(self.now, self.judge.next_turn)
        for sequence, is_full in self.judge.turn(self.now):
            delay = full if is_full else small
            if delay is not None:
                self.in_flight.append((self.now + delay, sequence))

    def arrive(self, until: float) -> None:
        """Answers that come until then are heard at their time; each may bring the next turn forward."""
        while self.in_flight and min(self.in_flight)[0] <= min(until, self.judge.next_turn):
            self.in_flight.sort()
            self.now, sequence = self.in_flight.pop(0)
            self.judge.answered(sequence, self.now)

    def steps(self, delays: Iterable[float | None]) -> None:
        for delay in delays:
            self.step(delay)

    def settle(self) -> None:
        self.steps([0.01] * 4)
        assert self.judge.healthy


def test_two_answers_make_a_path_healthy_at_once() -> None:
    path = Path()
    path.steps([0.01] * 2)
    path.arrive(path.now + 0.1)
    assert path.judge.healthy
    assert path.now < 100.0 + INTERVAL
    assert path.judge.rtt == pytest.approx(0.01)


def test_one_answer_is_not_enough() -> None:
    path = Path()
    path.steps([0.01, None, None, 0.01, None, None])
    assert not path.judge.healthy


def test_unanswered_questions_lose_it_in_well_under_two_seconds() -> None:
    path = Path()
    path.settle()
    silence = path.now
    while path.judge.healthy:
        path.step(None)
    assert 1.0 <= path.now - silence <= 1.8


def test_a_few_unanswered_questions_do_not() -> None:
    path = Path()
    path.settle()
    path.steps([None, None, 0.01, None, None, 0.01, 0.01])
    assert path.judge.healthy


def test_a_doubt_is_looked_into_at_once_and_forgotten_with_the_first_answer() -> None:
    path = Path()
    path.settle()
    path.judge.relax(4, path.now)
    path.steps([0.01] * 3)
    path.arrive(path.now + 0.1)
    path.now += 0.3
    path.judge.doubt(path.now)
    assert path.judge.shaky
    assert path.judge.next_turn == path.now
    path.step(0.01)
    path.arrive(path.now + 0.1)
    assert not path.judge.shaky
    assert path.judge.next_turn > path.now + INTERVAL


def test_a_doubt_about_a_dead_path_is_confirmed_in_a_second() -> None:
    path = Path()
    path.settle()
    path.judge.doubt(path.now)
    since = path.now
    while path.judge.healthy:
        path.step(None)
    assert path.now - since <= 1.0


def test_it_comes_back_after_two_answers() -> None:
    path = Path()
    path.settle()
    path.steps([None] * 20)
    assert not path.judge.healthy
    path.steps([0.01] * 3)
    path.arrive(path.now + 0.1)
    assert path.judge.healthy


def test_a_stalled_daemon_does_not_blame_the_path() -> None:
    path = Path()
    path.settle()
    path.step(None)
    path.step(None)
    path.now += 30
    path.judge.turn(path.now)
    assert path.judge.healthy
    path.now += 0.01
    path.judge.answered(path.judge._sequence, path.now)
    path.steps([None, 0.01, 0.01])
    assert path.judge.healthy


def test_the_round_trip_of_a_stall_is_not_measured() -> None:
    path = Path()
    path.settle()
    before = path.judge.rtt
    ((sequence, _),) = path.judge.turn(path.judge.next_turn)
    path.judge.answered(sequence, path.judge.next_turn + 20)
    assert path.judge.rtt == before


def test_a_long_path_is_given_time() -> None:
    path = Path()
    path.steps([1.2] * 30)
    assert path.judge.healthy
    assert path.judge.rtt == pytest.approx(1.2, abs=0.1)


def test_small_frames_tell_that_it_is_the_size() -> None:
    path = Path()
    path.settle()
    assert not path.judge.small_passes
    path.steps([None] * 14)
    assert path.judge.small_passes
    for _ in range(3):
        path.step(None, None)
    assert not path.judge.small_passes


def test_a_healthy_path_is_asked_once_per_interval() -> None:
    path = Path()
    path.settle()
    assert path.judge.turn(path.now) == []
    assert len(path.judge.turn(path.judge.next_turn)) == 1


def test_unknown_answers_change_nothing() -> None:
    judge = EchoJudge(0)
    for sequence in range(10):
        judge.answered(sequence, 0.1)
    assert not judge.healthy


@given(st.lists(st.sampled_from([None, 0.01, 0.4, 0.9]), max_size=60))
def test_judgement_follows_the_last_answers(delays: list[float | None]) -> None:
    path = Path()
    path.steps(delays)
    path.steps([None] * 40)
    assert not path.judge.healthy
    path.steps([0.01] * 4)
    assert path.judge.healthy


def test_loss_is_a_share_of_the_last_questions_of_a_path_that_works() -> None:
    judge = EchoJudge(0.0)
    now = 0.0

    def ask(answer: bool, times: int) -> None:
        nonlocal now
        for _ in range(times):
            now = judge.next_turn
            for number, full in judge.turn(now):
                if answer and full:
                    judge.answered(number, now + 0.01)

    ask(True, 15)
    assert judge.loss is None
    ask(True, 15)
    assert judge.loss == 0
    ask(False, 2)
    ask(True, 1)
    assert judge.loss is not None
    assert 0.03 < judge.loss < 0.12
    ask(True, 100)
    assert judge.loss < 0.01
