from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam.builders import A, B, C, address, peer, ring, ring_of, vectors
from tulle.ipam import merge
from tulle.ipam.merge import RingConflict, RingMismatch, repairing_merge, strict_merge
from tulle.ipam.ring import Entry, Range, Ring, RingInvalid
from tulle.mesh.peername import PeerName


@pytest.mark.parametrize("vector", vectors("ring-merge"), ids=lambda vector: vector["name"])
def test_strict_merge_equals_the_reference(vector: dict[str, Any]) -> None:
    request, expected = vector["req"], vector["res"]
    mine, theirs = ring_of(request["Ring"]), ring_of(request["Other"])
    used = list(map(address, request["Allocated"] or []))
    me = peer(request["Ring"]["Peer"])

    def in_use(piece: Range) -> bool:
        return any(one in piece for one in used)

    if expected["err"]:
        with pytest.raises((RingMismatch, RingConflict, RingInvalid)):
            strict_merge(mine, theirs, me, in_use)
    else:
        merged = strict_merge(mine, theirs, me, in_use)
        assert merged == ring_of(expected["ring"])
        known = {(entry.token, entry.peer, entry.version) for entry in mine.entries}
        heard = {(entry.token, entry.peer, entry.version) for entry in theirs.entries} - known
        taken = {(entry.token, entry.peer, entry.version) for entry in merged.entries} & heard
        assert bool(taken) == expected["updated"]


@pytest.mark.parametrize("vector", vectors("ring-merge"), ids=lambda vector: vector["name"])
def test_repairing_merge_refuses_only_what_can_never_be_one_cluster(vector: dict[str, Any]) -> None:
    mine, theirs = ring_of(vector["req"]["Ring"]).clamped(), ring_of(vector["req"]["Other"]).clamped()
    if mine.seeds and theirs.seeds and mine.seeds != theirs.seeds:
        with pytest.raises(RingMismatch):
            repairing_merge(mine, theirs)
    else:
        repairing_merge(mine, theirs).ring.check()


def merged(*rings: Ring) -> Ring:
    result = rings[0]
    for other in rings[1:]:
        result = repairing_merge(result, other).ring
    return result


@st.composite
def rings(draw: st.DrawFn) -> Ring:
    tokens = sorted(draw(st.sets(st.integers(0, 15), max_size=5)))
    entries = [
        (token, draw(st.sampled_from([A, B, C])), draw(st.integers(0, 2)), draw(st.integers(0, 16)))
        for token in tokens
    ]
    return ring(*entries).clamped()


@given(rings(), rings())
def test_merge_is_commutative(one: Ring, other: Ring) -> None:
    assert merged(one, other) == merged(other, one)


@given(rings(), rings(), rings())
def test_merge_is_associative_and_any_order_gives_the_same(one: Ring, two: Ring, three: Ring) -> None:
    assert merged(merged(one, two), three) == merged(one, merged(two, three))
    assert len({merged(*order) for order in permutations((one, two, three))}) == 1


@given(rings(), rings())
def test_merge_is_idempotent_and_only_grows(one: Ring, other: Ring) -> None:
    assert merged(one, one) == one
    assert merged(one, other, other, one) == merged(one, other)
    result = {entry.token: entry for entry in merged(one, other).entries}
    for entry in (*one.entries, *other.entries):
        assert result[entry.token].version >= entry.version


@given(rings(), rings())
def test_the_result_is_a_ring(one: Ring, other: Ring) -> None:
    merged(one, other).check()


def test_at_equal_versions_the_lower_name_wins_and_the_tie_is_told() -> None:
    ours, theirs = ring((0, B, 5, 16)), ring((0, A, 5, 2))
    result = repairing_merge(ours, theirs)
    assert result.ring.entries == (Entry(0, A, 5, 2),)
    assert result.contested == {0}


def test_versions_decide_before_names() -> None:
    assert merged(ring((0, A, 5, 16)), ring((0, B, 6, 16))).owner(3) == B


def test_a_stale_ring_of_a_removed_peer_changes_nothing() -> None:
    divided = Ring(0, 16).claim_for_peers([A, B])
    taken = divided.transfer(B, A)
    assert merged(taken, divided) == merged(divided, taken) == taken


def test_seeds_are_learned_from_whoever_has_them() -> None:
    assert merged(ring(seeds=()), ring((0, A, 0, 1), seeds=(A, B))).seeds == (A, B)


@pytest.mark.parametrize(
    ("theirs", "advice"),
    [
        (ring((0, B, 0, 1), seeds=(PeerName(9),)), "tulle reset"),
        (ring((0, A, 0, 1), size=32), "--ipalloc-range"),
    ],
)
def test_what_can_never_merge_comes_with_advice(theirs: Ring, advice: str) -> None:
    with pytest.raises(RingMismatch, match=advice):
        repairing_merge(ring((0, A, 0, 1)), theirs)


def test_rings_that_would_be_too_long_together_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "MAX_ENTRIES", 3)
    ours = ring((0, A, 0, 1), (4, A, 0, 1))
    assert len(repairing_merge(ours, ring((0, A, 0, 1), (6, B, 0, 1))).ring.entries) == 3
    with pytest.raises(RingMismatch, match="more than 3 pieces"):
        repairing_merge(ours, ring((6, B, 0, 1), (8, B, 0, 1)))
