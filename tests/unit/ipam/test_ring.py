from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam.builders import A, B, C, address, peer, ring, ring_of, vectors
from tulle.ipam.ring import MAX_VERSION, Entry, Range, Ring, RingInvalid


def named(vector: dict[str, Any]) -> str:
    return str(vector["name"])


@pytest.mark.parametrize("vector", vectors("ring", "ring-claim"), ids=named)
def test_first_division_equals_the_reference(vector: dict[str, Any]) -> None:
    divided = ring_of(vector["req"]["Ring"]).claim_for_peers(map(peer, vector["req"]["Names"]))
    assert divided == ring_of(vector["res"]["ring"])


@pytest.mark.parametrize("vector", vectors("ring", "ring-grant"), ids=named)
def test_grants_equal_the_reference(vector: dict[str, Any]) -> None:
    request = vector["req"]
    given_range = Range(address(request["Start"]), address(request["End"]))
    granted = ring_of(request["Ring"]).grant(given_range, peer(request["To"]))
    assert granted == ring_of(vector["res"]["ring"])


@pytest.mark.parametrize("vector", vectors("ring", "ring-transfer"), ids=named)
def test_transfers_equal_the_reference(vector: dict[str, Any]) -> None:
    request = vector["req"]
    before = ring_of(request["Ring"])
    assert before.transfer(peer(request["From"]), peer(request["To"])) == ring_of(vector["res"]["ring"])
    assert f"[{before.owned_ranges(peer(request['From']))[0]}]" == vector["res"]["ranges"]


@pytest.mark.parametrize("vector", vectors("ring", "ring-owned"), ids=named)
def test_owned_ranges_equal_the_reference(vector: dict[str, Any]) -> None:
    expected = [(address(row["Start"]), address(row["End"])) for row in vector["res"]["ranges"]]
    assert ring_of(vector["req"]["Ring"]).owned_ranges(peer(vector["req"]["Ring"]["Peer"])) == expected


def test_division_among_more_peers_than_addresses_still_makes_a_ring() -> None:
    divided = ring(size=4).claim_for_peers([A, B, C, *range(100, 110)])
    divided.check()
    assert sum(arc.ranges[0].size for arc in divided.arcs()) == 4


def test_neighbouring_arcs_of_one_owner_are_one_range() -> None:
    assert ring((2, A, 0, 0), (5, A, 0, 0), (9, B, 0, 0)).owned_ranges(A) == [(2, 9)]


def test_an_arc_reaches_round_to_the_first_token() -> None:
    wrapping = ring((3, A, 0, 0), (10, B, 0, 0))
    assert wrapping.owner(0) == wrapping.owner(15) == B
    assert wrapping.distance(1) == 9
    assert wrapping.owned_ranges(B) == [(0, 3), (10, 16)]


def test_nobody_owns_what_is_outside_or_not_divided() -> None:
    assert ring((0, A, 0, 0)).owner(16) is None
    assert ring().owner(3) is None


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ([(4, A, 0, 0), (2, A, 0, 0)], "not sorted"),
        ([(4, A, 0, 0), (4, B, 0, 0)], "not sorted"),
        ([(16, A, 0, 0)], "outside"),
        ([(0, A, 0, 5), (4, B, 0, 0)], "reports 5 free addresses of 4"),
    ],
)
def test_entries_that_are_no_ring_are_named(entries: list[Any], problem: str) -> None:
    with pytest.raises(RingInvalid, match=problem):
        ring(*entries).check()


def test_free_counts_of_all_arcs_touching_the_range_are_added() -> None:
    mixed = ring((0, A, 0, 3), (4, B, 0, 2), (8, A, 0, 5), (14, C, 0, 1))
    assert mixed.free_by_owner(Range(3, 9)) == {A: 8, B: 2}
    assert mixed.free_by_owner(Range(15, 16)) == {C: 1}


def test_versions_stop_at_the_largest_the_wire_can_carry() -> None:
    assert Entry(0, A, MAX_VERSION, 0).raised().version == MAX_VERSION
    assert ring((0, A, MAX_VERSION - 5, 0)).transfer(A, B).entries[0].version == MAX_VERSION


def test_reporting_raises_only_what_was_wrong() -> None:
    before = ring((0, A, 3, 4), (4, A, 3, 4), (8, B, 3, 8))
    after = before.report_free(A, lambda piece: 4 if piece.start == 0 else 1)
    assert after.entries == (Entry(0, A, 3, 4), Entry(4, A, 4, 1), Entry(8, B, 3, 8))


@st.composite
def grants(draw: st.DrawFn) -> tuple[Ring, Range]:
    owners = draw(st.lists(st.sampled_from([A, B]), min_size=16, max_size=16))
    tokens = sorted(draw(st.sets(st.integers(0, 15), min_size=1)))
    before = ring(*[(token, owners[token], draw(st.integers(0, 3)), 0) for token in tokens])
    mine = before.owned_ranges(A)
    if not mine:
        return before.transfer(B, A), Range(0, 16)
    whole = draw(st.sampled_from(mine))
    start = draw(st.integers(whole.start, whole.end - 1))
    return before, Range(start, draw(st.integers(start + 1, whole.end)))


@given(grants())
def test_a_grant_moves_exactly_the_given_addresses(case: tuple[Ring, Range]) -> None:
    before, given_range = case
    after = before.grant(given_range, C)
    after.check()
    for one in range(16):
        assert after.owner(one) == (C if one in given_range else before.owner(one))
    versions = {entry.token: entry.version for entry in before.entries}
    for entry in after.entries:
        known = versions.get(entry.token)
        changed = entry not in before.entries
        assert known is None or entry.version == known + changed
