"""Bursts pass, floods do not."""

import hypothesis.strategies as st
from hypothesis import given

from tulle.mesh.ratelimit import TokenBucket


def test_a_burst_and_then_one_at_a_time() -> None:
    bucket = TokenBucket(3, 10)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.ready_at(0.0) == 0.1
    assert not bucket.take(0.05)
    assert bucket.take(0.1)
    assert not bucket.take(0.1)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_debt_is_paid_back() -> None:
    bucket = TokenBucket(100, 10)
    bucket.spend(0.0, 150)
    assert bucket.ready_at(0.0, 0) == 5.0
    assert bucket.ready_at(5.0, 0) == 5.0
    assert bucket.ready_at(5.0, 20) == 7.0


@given(st.floats(0, 1e6), st.integers(1, 50), st.floats(0.1, 100))
def test_what_is_ready_can_be_taken(start: float, capacity: int, rate: float) -> None:
    """Otherwise somebody who waits for it would ask again and again at the same moment."""
    bucket = TokenBucket(capacity, rate)
    now = start
    for _ in range(capacity + 5):
        now = bucket.ready_at(now)
        assert bucket.take(now)


def test_a_clock_that_stands_still_gains_nothing() -> None:
    bucket = TokenBucket(1, 1)
    assert bucket.take(5.0)
    assert not bucket.take(4.0)
    assert not bucket.take(5.0)
