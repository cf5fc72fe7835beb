"""Waiting times between attempts."""

from random import Random

from tulle.mesh.backoff import LONGEST_SECONDS, Backoff


class _Middle(Random):
    """Draws the middle of every range."""

    def random(self) -> float:
        return 0.5


def test_cheap_failures_are_retried_soon_at_first() -> None:
    backoff = Backoff()
    waits = [backoff.wait(_Middle(), cheap=True) for _ in range(6)]
    assert waits == [0.25, 0.5, 1.0, 2.0, 3.0, 4.5]


def test_others_wait_from_the_start_and_ever_longer() -> None:
    backoff = Backoff()
    waits = [backoff.wait(_Middle(), cheap=False) for _ in range(20)]
    assert waits[:3] == [2.0, 3.0, 4.5]
    assert waits[-1] == LONGEST_SECONDS


def test_reset_starts_over() -> None:
    backoff = Backoff()
    for _ in range(10):
        backoff.wait(_Middle(), cheap=True)
    backoff.reset()
    assert backoff.wait(_Middle(), cheap=True) == 0.25


def test_waits_are_spread_from_half_to_one_and_a_half() -> None:
    waits = [Backoff().wait(Random(seed), cheap=False) for seed in range(500)]
    assert 1.0 <= min(waits) < 1.1
    assert 2.9 < max(waits) < 3.0
