"""Rendezvous messages: what is written is read, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.datapath.sleeve.orders import Endpoint
from tulle.errors import BadMessage
from tulle.node.rendezvous.messages import (
    MAX_CANDIDATES,
    Answer,
    Candidate,
    Go,
    Message,
    Nudge,
    Offer,
    Origin,
    decode,
    encode,
)

_numbers = st.integers(0, 2**64 - 1)
_endpoints = st.builds(Endpoint, st.ip_addresses(v=4).map(str), st.integers(0, 65535))
_candidates = st.lists(st.builds(Candidate, st.sampled_from(Origin), _endpoints), max_size=MAX_CANDIDATES)
_keys = st.binary(min_size=32, max_size=32)
_messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(Offer, _numbers, _keys, _candidates.map(tuple)),
    st.builds(Answer, _numbers, _keys, _candidates.map(tuple)),
    st.builds(Go, _numbers),
    st.just(Nudge()),
)

OFFER = Offer(7, b"k" * 32, (Candidate(Origin.SEEN, Endpoint("192.0.2.1", 6783)),))


@given(_messages)
def test_what_is_written_is_read(message: Message) -> None:
    assert decode(encode(message)) == message


@given(st.binary(max_size=200), st.booleans())
def test_bytes_of_strangers_raise_nothing_else(data: bytes, of_this_version: bool) -> None:
    try:
        decode(b"\x01" + data if of_this_version else data)
    except BadMessage:
        return


def test_the_layout() -> None:
    assert encode(OFFER) == bytes.fromhex("01010000000000000007") + b"k" * 32 + bytes.fromhex(
        "01c00002011a7f"
    )
    assert encode(Nudge()) == bytes.fromhex("01040000000000000000")


def test_a_cut_off_message_is_refused() -> None:
    whole = encode(OFFER)
    for size in range(len(whole)):
        if size != len(whole) - 7:
            with pytest.raises(BadMessage):
                decode(whole[:size])


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (encode(OFFER) + b"\x01\xc0\x00\x02\x01\x1a\x7f" * MAX_CANDIDATES, "too many"),
        (encode(Go(1)) + b"x", "too long"),
        (encode(Offer(1, b"k" * 32, ())) + b"\x09\xc0\x00\x02\x01\x1a\x7f", "origin"),
    ],
)
def test_what_cannot_be_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(BadMessage, match=complaint):
        decode(data)


def test_what_a_newer_peer_says_is_passed_over() -> None:
    assert decode(b"\x02" + encode(OFFER)[1:]) is None
    assert decode(b"\x01\x09" + bytes(8)) is None
