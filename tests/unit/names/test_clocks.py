"""Clocks that differ are said once."""

from names.builders import OTHER, THIRD
from tulle.names.clocks import TOLERATED_SKEW, Clocks


def test_each_peer_is_named_once_until_its_clock_is_right_again_or_it_is_gone() -> None:
    clocks = Clocks()
    assert clocks.compare(OTHER, TOLERATED_SKEW) == []
    (said,) = clocks.compare(OTHER, -TOLERATED_SKEW - 1)
    assert "15 minutes" in said.text
    assert clocks.compare(OTHER, TOLERATED_SKEW + 1) == []
    assert clocks.compare(THIRD, TOLERATED_SKEW + 1)
    clocks.compare(OTHER, 0)
    assert clocks.compare(OTHER, TOLERATED_SKEW + 1)
    clocks.forget([OTHER, THIRD])
    assert clocks.compare(OTHER, TOLERATED_SKEW + 1)
