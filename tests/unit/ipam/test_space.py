from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ipam.builders import address, vectors
from tulle.ipam.ring import Range
from tulle.ipam.space import Space, aligned_blocks, subtract

SMALL = st.integers(0, 40)


@pytest.mark.parametrize("vector", vectors("space-donate"), ids=lambda vector: vector["name"])
def test_donations_equal_the_reference(vector: dict[str, Any]) -> None:
    request, expected = vector["req"], vector["res"]
    space = Space()
    for taken in request["Taken"] or []:
        space.use(address(taken))
    space.own(Range(address(row["Start"]), address(row["End"])) for row in request["Owned"])
    donation = space.donation(Range(address(request["Start"]), address(request["End"])))
    if expected["ok"]:
        assert donation == (address(expected["start"]), address(expected["end"]))
    else:
        assert donation is None


@st.composite
def apart(draw: st.DrawFn) -> list[Range]:
    bounds = sorted(draw(st.sets(SMALL, max_size=8)))
    pieces = [Range(start, end) for start, end in zip(bounds[::2], bounds[1::2], strict=False)]
    return [piece for index, piece in enumerate(pieces) if not index or pieces[index - 1].end < piece.start]


class SpaceMachine(RuleBasedStateMachine):
    """Space against two plain sets."""

    def __init__(self) -> None:
        super().__init__()
        self.space, self.used, self.owned = Space(), set[int](), set[int]()

    @rule(one=SMALL)
    def use(self, one: int) -> None:
        self.space.use(one)
        self.used.add(one)

    @rule(one=SMALL)
    def release(self, one: int) -> None:
        self.space.release(one)
        self.used.discard(one)

    @rule(pieces=apart())
    def own(self, pieces: list[Range]) -> None:
        now = {one for piece in pieces for one in range(*piece)}
        gained, lost = self.space.own(pieces)
        assert {one for piece in gained for one in range(*piece)} == now - self.owned
        assert {one for piece in lost for one in range(*piece)} == self.owned - now
        self.owned = now

    @rule(start=SMALL, size=st.integers(0, 20))
    def look(self, start: int, size: int) -> None:
        within = Range(start, start + size)
        free = sorted(one for one in self.owned - self.used if one in within)
        assert self.space.first_free(within) == (free[0] if free else None)
        assert self.space.free_in(within) == len(free)
        assert self.space.used_in(within) == sorted(one for one in self.used if one in within)
        donation = self.space.donation(within)
        assert (donation is None) == (not free)
        assert donation is None or set(range(*donation)) <= set(free)

    @invariant()
    def free_runs_are_what_is_owned_and_not_used(self) -> None:
        runs = list(self.space.free_runs(Range(0, 100)))
        assert [one for run in runs for one in range(*run)] == sorted(self.owned - self.used)
        assert all(left.end < right.start for left, right in pairwise(runs))
        for one in range(42):
            assert self.space.owns(one) == (one in self.owned)
            assert self.space.is_used(one) == (one in self.used)


TestSpace = SpaceMachine.TestCase
TestSpace.settings = settings(max_examples=60, stateful_step_count=30)


@given(st.integers(0, 1 << 20), st.integers(1, 1 << 12))
def test_blocks_are_aligned_and_fill_the_run(start: int, size: int) -> None:
    blocks = list(aligned_blocks(Range(start, start + size)))
    assert blocks[0].start == start
    assert blocks[-1].end == start + size
    assert all(left.end == right.start for left, right in pairwise(blocks))
    assert all(block.start % block.size == 0 and block.size.bit_count() == 1 for block in blocks)


def test_subtracting_nothing_leaves_everything() -> None:
    assert subtract([Range(0, 4), Range(6, 9)], []) == [(0, 4), (6, 9)]
    assert subtract([Range(0, 10)], [Range(2, 3), Range(9, 20)]) == [(0, 2), (3, 9)]


def test_the_work_per_allocation_does_not_grow_with_the_addresses_in_use() -> None:
    """Counted in looked-at runs: a full /15 in front costs one step, not 100,000."""
    space = Space()
    space.own([Range(0, 1 << 24)])
    whole = Range(1, (1 << 24) - 1)
    for _ in range(100_000):
        first = space.first_free(whole)
        assert first is not None
        space.use(first)
    assert len(list(space.free_runs(whole))) == 1
    for one in range(1000, 60_000, 2):
        space.release(one)
    assert space.first_free(Range(50_001, 1 << 24)) == 50_002
    assert space.free_in(whole) == (1 << 24) - 2 - 100_000 + 29_500
