"""The header of frames on the TAP."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.datapath.tables import ShortId
from tulle.datapath.tapframe import ECHO_ETHERTYPE, ControlFrame, Way, decode
from tulle.errors import BadMessage

short_ids = st.integers(0, 4095).map(ShortId)


def test_the_layout_is_the_kernel_s() -> None:
    frame = ControlFrame(ShortId(0x123), ShortId(0xABC), ECHO_ETHERTYPE, b"xy", "10.1.2.3")
    assert frame.encode().hex(" ") == "74 00 01 23 0a bc 0a 01 02 03 00 00 88 b5 78 79"
    assert frame.encode()[0] == Way.DIRECT
    assert ControlFrame(ShortId(1), ShortId(2), 0, b"", way=Way.LANE).encode()[0] == 0x78


@given(short_ids, short_ids, st.integers(0, 0xFFFF), st.binary(max_size=50), st.sampled_from(Way))
def test_what_goes_in_comes_out(dst: ShortId, src: ShortId, ethertype: int, payload: bytes, way: Way) -> None:
    frame = ControlFrame(dst, src, ethertype, payload, "192.0.2.7", way)
    assert decode(frame.encode()) == frame


@given(st.binary(max_size=40))
def test_garbage_is_a_bad_message(data: bytes) -> None:
    try:
        frame = decode(data)
    except BadMessage:
        return
    assert frame.encode()[2:] == data[2:].replace(data[10:12], bytes(2), 0)[:8] + bytes(2) + data[12:]


@pytest.mark.parametrize("data", [b"", bytes(13), b"\x33\x33" + bytes(20)])
def test_foreign_frames_are_refused(data: bytes) -> None:
    with pytest.raises(BadMessage):
        decode(data)
