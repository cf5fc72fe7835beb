from ipaddress import IPv4Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam.builders import A, B, ring
from tulle.ipam.paxos import Claims, NodeId, Proposal
from tulle.ipam.records import (
    HELD,
    NAMES,
    RING,
    VOTE,
    held_record,
    nicknames_record,
    restore,
    ring_record,
    vote_record,
)


def test_everything_comes_back() -> None:
    stored = ring((0, A, 3, 4), (8, B, 0, 8), seeds=(A, B))
    ballot = Proposal(2, NodeId(B, 9))
    claims = Claims(ballot, ballot, (A, B), ballot)
    address = IPv4Interface("10.32.0.1/12")
    restored = restore(
        [
            (HELD, "10.32.0.1", held_record("c1", address)),
            (RING, "ring", ring_record(stored, A)),
            (VOTE, "vote", vote_record(NodeId(A, 5), claims)),
            (NAMES, "owners", nicknames_record({B: "h2"})),
            ("somebody-else's", "x", b"\x00"),
        ],
        A,
    )
    assert restored.holdings.of("c1") == [address]
    assert restored.ring == stored
    assert restored.peer == A
    assert restored.vote == (NodeId(A, 5), claims)
    assert restored.nicknames == {B: "h2"}
    assert restored.problems == []
    assert not restored.ring_unreadable


@pytest.mark.parametrize(
    "record",
    [
        (HELD, "10.32.0.1", b"{"),
        (HELD, "not an address", held_record("c", IPv4Interface("10.0.0.1/8"))),
        (HELD, "10.32.0.1", b'{"ident":"c","prefix":99}'),
        (VOTE, "vote", b"[]"),
        (NAMES, "owners", b"[]"),
        (RING, "ring", b"\xff"),
        (RING, "ring", ring_record(ring((4, A, 0, 0), (2, B, 0, 0)), A)),
    ],
)
def test_a_record_that_makes_no_sense_is_named_and_skipped(record: tuple[str, str, bytes]) -> None:
    restored = restore([record, (HELD, "10.0.0.9", held_record("ok", IPv4Interface("10.0.0.9/8")))], A)
    (problem,) = restored.problems
    assert record[0] in problem
    assert restored.ring is None
    assert restored.ring_unreadable == (record[0] == RING)
    assert restored.holdings.idents() == ["ok"]


@given(st.sampled_from([HELD, RING, VOTE]), st.text(max_size=20), st.binary(max_size=60))
def test_no_record_stops_the_start(kind: str, key: str, value: bytes) -> None:
    assert len(restore([(kind, key, value)], A).problems) <= 1
