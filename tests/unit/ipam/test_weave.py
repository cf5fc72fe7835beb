from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam.builders import NOW, A, B, address, claims_of, peer, ring, ring_of, vectors
from tulle.errors import BadMessage
from tulle.ipam import weave
from tulle.ipam.paxos import Claims, NodeId, Proposal
from tulle.ipam.ring import Entry, Range, Ring
from tulle.mesh.dialect.weave import gob
from tulle.mesh.peername import PeerName

WALL = int(NOW.wall)


def state_of(row: dict[str, Any]) -> weave.State:
    nicknames = {peer(name): text for name, text in row["Nicknames"].items()}
    if "Ring" in row:
        return weave.State(nicknames, None, ring_of(row["Ring"]))
    return weave.State(nicknames, None if row.get("PaxosNil") else claims_of(row["Paxos"]))


@pytest.mark.parametrize("vector", vectors("codec", "ipam-encode"), ids=lambda vector: vector["name"])
def test_states_equal_those_of_the_original_byte_for_byte(vector: dict[str, Any]) -> None:
    state, payload = state_of(vector["req"]["State"]), bytes.fromhex(vector["res"]["hex"])
    assert weave.encode_state(state, A, vector["req"]["State"]["Now"]) == payload
    assert weave.decode_state(payload) == state


@pytest.mark.parametrize("vector", vectors("codec", "range-encode"), ids=lambda vector: vector["name"])
def test_ranges_equal_those_of_the_original_byte_for_byte(vector: dict[str, Any]) -> None:
    wanted = Range(address(vector["req"]["Start"]), address(vector["req"]["End"]))
    payload = bytes.fromhex(vector["res"]["hex"])
    assert weave.encode_range(wanted) == payload
    assert weave.decode_range(payload) == wanted


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (weave.SpaceRequest(Range(1, 5)), 0),
        (weave.RingUpdate(weave.State({A: "h1"}, None, ring((0, A, 1, 2)))), 1),
        (weave.SpaceDenied(Range(7, 8)), 2),
        (weave.InUse((1, 0xFFFF_FFFF)), 0x80),
    ],
)
def test_direct_messages_survive_the_wire(message: weave.Direct, kind: int) -> None:
    payload = weave.encode_direct(message, A, WALL)
    assert payload[0] == kind
    assert weave.decode_direct(payload) == message


def test_unknown_kinds_are_not_an_error() -> None:
    assert weave.decode_direct(b"\x07whatever") == weave.UnknownKind(7)


@pytest.mark.parametrize("body", [b"\1\2\3", bytes(4 * weave.MAX_IN_USE + 4)])
def test_addresses_in_use_that_are_cut_short_or_without_end_are_bad(body: bytes) -> None:
    with pytest.raises(BadMessage):
        weave.decode_direct(b"\x80" + body)


def test_an_empty_message_is_bad() -> None:
    with pytest.raises(BadMessage):
        weave.decode_direct(b"")


def test_a_range_that_ends_before_it_starts_is_bad() -> None:
    with pytest.raises(BadMessage):
        weave.decode_range(weave.encode_range(Range(9, 3)))


def vote(round_: int = 1, name: int = A, value: tuple[int, ...] = (A,)) -> Claims:
    ballot = Proposal(round_, NodeId(PeerName(name), 1))
    return Claims(ballot, ballot, tuple(map(PeerName, value)), ballot)


BAD_RINGS = {
    "unsorted": ring((4, A, 0, 0), (2, A, 0, 0)),
    "outside": ring((99, A, 0, 0)),
    "too free": ring((0, A, 0, 17)),
    "nobody's": ring((0, PeerName(0), 0, 0)),
    "long name": ring((0, PeerName(1 << 48), 0, 0)),
    "version": ring((0, A, 1 << 32, 0)),
    "no range": Ring(16, 16),
    "range past the end": Ring(0, 1 << 32),
    "seed": ring((0, A, 0, 0), seeds=(PeerName(0),)),
}


@pytest.mark.parametrize("bad", BAD_RINGS.values(), ids=list(BAD_RINGS))
def test_rings_that_break_the_rules_are_bad(bad: Ring) -> None:
    with pytest.raises(BadMessage):
        weave.decode_state(weave.encode_state(weave.State(ring=bad), A, WALL))


@pytest.mark.parametrize(
    "claims",
    [vote(round_=1 << 33), vote(name=1 << 48), vote(value=()), vote(value=(0,))],
    ids=["round", "name", "no value", "value"],
)
def test_votes_that_make_no_sense_are_bad(claims: Claims) -> None:
    with pytest.raises(BadMessage):
        weave.decode_state(weave.encode_state(weave.State({}, {NodeId(A, 1): claims}), A, WALL))


def test_too_much_of_anything_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weave, "MAX_ENTRIES", 1)
    monkeypatch.setattr(weave, "MAX_ELECTORS", 1)
    monkeypatch.setattr(weave, "MAX_NICKNAMES", 1)
    two_votes = {NodeId(A, 1): vote(), NodeId(B, 1): vote()}
    for state in (
        weave.State(ring=ring((0, A, 0, 0), (1, B, 0, 0))),
        weave.State(ring=ring((0, A, 0, 0), seeds=(A, B))),
        weave.State({}, two_votes),
        weave.State({}, {NodeId(A, 1): vote(value=(A, B))}),
        weave.State({A: "a", B: "b"}),
    ):
        with pytest.raises(BadMessage):
            weave.decode_state(weave.encode_state(state, A, WALL))


def test_nicknames_are_made_printable() -> None:
    payload = weave.encode_state(weave.State({A: "evil\x1b[2J\n" + "x" * 999}), A, WALL)
    (nickname,) = weave.decode_state(payload).nicknames.values()
    assert nickname.isprintable()
    assert nickname.startswith("evil[2Jxxx")
    assert len(nickname) < 256


def test_a_number_where_a_state_should_be_is_bad() -> None:
    with pytest.raises(BadMessage):
        weave.decode_state(gob.encode((gob.UINT, 5)))


@given(st.binary(max_size=300))
def test_no_bytes_do_anything_but_decode_or_be_bad(data: bytes) -> None:
    for read in (weave.decode_direct, weave.decode_state, weave.decode_range):
        try:
            read(data)
        except BadMessage:
            continue


@given(data=st.data())
def test_damaged_messages_decode_or_are_bad(data: st.DataObject) -> None:
    rows = vectors("codec", "ipam-encode")
    payload = bytearray(bytes.fromhex(data.draw(st.sampled_from(rows))["res"]["hex"]))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        weave.decode_state(bytes(payload))
    except BadMessage:
        return


def test_the_sender_is_named_in_the_ring_it_sends() -> None:
    one, other = (weave.encode_state(weave.State(ring=ring((0, A, 0, 0))), name, WALL) for name in (A, B))
    assert one != other
    assert weave.decode_state(one) == weave.decode_state(other)
    assert weave.decode_state(one).ring == ring((0, A, 0, 0))
    assert Entry(0, A, 0, 0) in ring((0, A, 0, 0)).entries
