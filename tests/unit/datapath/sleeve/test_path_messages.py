"""The messages of native paths, as bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.datapath.sleeve.messages import Answer, Ask, decode
from tulle.datapath.sleeve.orders import Endpoint
from tulle.errors import BadMessage

NUMBERS = st.integers(0, (1 << 32) - 1)
COUNTS = st.integers(0, (1 << 64) - 1)


@given(NUMBERS, st.booleans(), st.integers(0, 100))
def test_a_question_survives_padding(number: int, here: bool, padding: int) -> None:
    assert decode(Ask(number, here).encode() + bytes(padding)) == Ask(number, here)


@given(NUMBERS, st.ip_addresses(v=4).map(str) | st.just("2001:db8::7"), st.integers(0, 65535), COUNTS, COUNTS)
def test_an_answer_says_what_was_seen(number: int, ip: str, port: int, received: int, expected: int) -> None:
    answer = Answer(number, Endpoint(ip, port), received, expected)
    assert decode(answer.encode()) == answer


def test_an_answer_is_not_larger_than_its_question() -> None:
    answer = Answer(1, Endpoint("2001:db8::1", 65535), 1 << 63, 1 << 63)
    assert len(answer.encode()) <= len(Ask(1, False).encode())


@given(st.binary(max_size=80))
def test_any_bytes_are_a_message_or_bad(data: bytes) -> None:
    try:
        decode(data)
    except BadMessage:
        return
    assert data[0] in (1, 2)


def test_too_short() -> None:
    with pytest.raises(BadMessage, match="too short"):
        decode(Ask(1, True).encode()[:-1])
