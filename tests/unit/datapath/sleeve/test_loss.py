"""From counts to the share that is lost, and to the size of groups."""

from itertools import pairwise
from random import Random

import pytest

from tulle.datapath.sleeve.loss import LossMeter


class Path:
    """A path that loses a share of what is sent, reported twice a second."""

    def __init__(self) -> None:
        self.meter = LossMeter(0.0)
        self.rng = Random(3)
        self.now, self.received, self.expected, self.excused = 0.0, 0, 0, 0

    def send(self, loss: float, seconds: float, each: int = 1000) -> list[int]:
        groups = []
        for _ in range(int(seconds * 2)):
            self.now += 0.5
            self.expected += each
            self.received += sum(self.rng.random() >= loss for _ in range(each))
            self.meter.report(self.received, self.expected, self.excused, self.now)
            groups.append(self.meter.group)
        return groups


@pytest.mark.parametrize(("loss", "group"), [(0.0, 0), (0.003, 16), (0.01, 8), (0.05, 4)])
def test_the_more_is_lost_the_smaller_the_group(loss: float, group: int) -> None:
    path = Path()
    assert path.send(loss, 5, each=4000)[-1] == group
    assert path.meter.loss == pytest.approx(loss, rel=0.3)


def test_loss_counts_at_once_and_is_forgiven_later() -> None:
    path = Path()
    path.send(0.0, 2)
    assert path.send(0.05, 0.5) == [4]
    forgiven = path.send(0.0, 10)
    assert forgiven[0] == 4
    assert forgiven[-1] == 0
    assert path.send(0.0, 5) == [0] * 10


def test_near_a_border_it_does_not_go_up_and_down() -> None:
    groups = Path().send(0.007, 60, each=4000)
    changes = sum(1 for before, after in pairwise(groups) if before != after)
    assert changes <= 2


def test_a_few_lost_datagrams_mean_nothing() -> None:
    path = Path()
    path.send(0.0, 1)
    path.expected += 402
    path.received += 400
    path.meter.report(path.received, path.expected, 0, path.now + 0.5)
    assert path.meter.group == 0


def test_little_traffic_is_judged_slowly() -> None:
    path = Path()
    path.send(0.5, 5, each=2)
    assert path.meter.loss is None
    path.send(0.5, 20, each=2)
    assert path.meter.loss is not None
    assert path.meter.group == 4


def test_what_was_too_large_on_purpose_is_no_loss() -> None:
    path = Path()
    path.excused = 10
    path.expected = 10
    path.send(0.0, 5, each=100)
    assert path.meter.loss == 0


def test_counts_that_go_back_are_a_new_beginning() -> None:
    path = Path()
    path.send(0.0, 2)
    assert not path.meter.report(0, 0, 0, path.now)
    assert not path.meter.report(1 << 63, 5, 0, path.now)
    assert path.meter.loss == 0


def test_datagrams_that_overtake_each_other_are_no_loss() -> None:
    path = Path()
    path.send(0.0, 2)
    for late in (1, 0) * 10:
        path.expected += 600
        path.received = path.expected - late
        path.now += 0.25
        path.meter.report(path.received, path.expected, 0, path.now)
    assert path.meter.loss == pytest.approx(0, abs=1e-4)
