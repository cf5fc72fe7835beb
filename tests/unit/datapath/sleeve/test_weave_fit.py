"""Frames and paths, judged by dpkt's reading of what comes out."""

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.datapath.sleeve.weave_fit import Fitted, fit, fragmented

MAC = bytes.fromhex("020000000007")
HERE, THERE = bytes.fromhex("0a0000000001"), bytes.fromhex("0a0000000002")
GROUP = bytes.fromhex("01005e000001")
IPS = b"\x0a\x20\0\x01", b"\x0a\x20\0\x02"
IP6S = bytes.fromhex("fd000000000000000000000000000001"), bytes.fromhex("fd000000000000000000000000000002")


def ethernet(packet: dpkt.ip.IP | dpkt.ip6.IP6, dst: bytes = THERE) -> bytes:
    kind = 0x0800 if isinstance(packet, dpkt.ip.IP) else 0x86DD
    return bytes(dpkt.ethernet.Ethernet(dst=dst, src=HERE, type=kind, data=packet))


def ipv4(size: int, df: bool, dst: bytes = THERE, offset: int = 0, more: bool = False) -> bytes:
    packet = dpkt.ip.IP(
        src=IPS[0], dst=IPS[1], p=17, ttl=9, id=77, data=bytes(i & 255 for i in range(size - 20))
    )
    packet.df, packet.offset, packet.mf = int(df), offset, int(more)
    packet.len = size
    return ethernet(packet, dst)


def ipv6(size: int, dst: bytes = THERE, to: bytes = IP6S[1]) -> bytes:
    payload = bytes(size - 40)
    return ethernet(dpkt.ip6.IP6(src=IP6S[0], dst=to, nxt=17, hlim=9, plen=len(payload), data=payload), dst)


def answer_of(fitted: Fitted) -> dpkt.ethernet.Ethernet:
    assert fitted.answer is not None
    assert fitted.frames == []
    found = dpkt.ethernet.Ethernet(fitted.answer)
    assert (found.dst, found.src) == (HERE, MAC)
    return found


@pytest.mark.parametrize(
    ("frame", "fragments", "expected_df"),
    [
        (ipv4(1438, df=True), True, True),
        (ipv4(1438, df=True), False, True),
        (ipv4(1438, df=False), True, False),
        (ipv4(4028, df=False), True, False),
        (ipv4(1438, df=False), False, True),
        (ipv6(1438), True, False),
        (HERE + THERE + b"\x08\x06" + bytes(28), False, False),
        (ipv6(4000, dst=bytes.fromhex("333300000001"), to=b"\xff" + bytes(15)), False, False),
    ],
)
def test_whole_frames_and_their_class(frame: bytes, fragments: bool, expected_df: bool) -> None:
    assert fit(frame, 1438, fragments, MAC) == Fitted([frame], expected_df)


def test_a_packet_with_df_that_is_too_big_is_answered() -> None:
    frame = ipv4(1439, df=True)
    found = answer_of(fit(frame, 1438, True, MAC)).data
    assert (found.src, found.dst) == (IPS[1], IPS[0])
    assert (found.data.type, found.data.code) == (3, 4)
    assert found.data.data.mtu == 1438
    assert bytes(found.data)[8:] == frame[14 : 14 + 28]
    assert dpkt.in_cksum(bytes(found)[:20]) == 0
    assert dpkt.in_cksum(bytes(found.data)) == 0


def test_an_ipv6_packet_that_is_too_big_is_answered() -> None:
    frame = ipv6(1500)
    fitted = fit(frame, 1414, True, MAC)
    found = answer_of(fitted).data
    assert (found.src, found.dst) == (IP6S[1], IP6S[0])
    icmp = (fitted.answer or b"")[54:]
    assert icmp[:2] == b"\x02\x00"
    assert int.from_bytes(icmp[4:8], "big") == 1414
    assert icmp[8:] == frame[14 : 14 + 1232]
    pseudo = found.src + found.dst + len(icmp).to_bytes(4, "big") + bytes(3) + b"\x3a"
    assert dpkt.in_cksum(pseudo + icmp) == 0


def test_ipv6_on_a_path_below_its_least_mtu_goes_in_fragments_of_the_network() -> None:
    assert fit(ipv6(1280), 700, True, MAC) == Fitted([ipv6(1280)], False)


@pytest.mark.parametrize(
    "frame",
    [
        ipv4(2000, df=True, dst=GROUP),
        ipv4(2000, df=True, offset=100),
        ethernet(dpkt.ip.IP(src=IPS[0], dst=IPS[1], p=1, df=1, data=b"\x03\x04" + bytes(2000))),
    ],
)
def test_what_must_not_be_answered(frame: bytes) -> None:
    assert fit(frame, 1438, True, MAC) == Fitted([], True, None)


@given(st.integers(21, 5000), st.integers(68, 2000), st.integers(0, 100), st.booleans())
def test_fragments_make_the_packet_again(size: int, mtu: int, offset: int, more: bool) -> None:
    frame = ipv4(size, df=False, offset=offset, more=more)
    pieces = [dpkt.ethernet.Ethernet(piece).data for piece in fragmented(frame, mtu)]
    assert b"".join(bytes(piece.data) for piece in pieces) == frame[34:]
    at = offset * 8
    for piece in pieces:
        assert len(piece) <= mtu
        assert piece.offset * 8 == at
        assert dpkt.in_cksum(bytes(piece)[:20]) == 0
        at += len(piece.data)
    assert [bool(piece.mf) for piece in pieces] == [True] * (len(pieces) - 1) + [more]


def test_fragments_are_used_where_the_network_passes_none() -> None:
    frame = ipv4(4028, df=False)
    fitted = fit(frame, 1414, False, MAC)
    assert fitted.df
    assert fitted.answer is None
    assert len(fitted.frames) == 3
    assert all(len(piece) <= 1414 + 14 for piece in fitted.frames)


@pytest.mark.parametrize("fragments", [True, False])
def test_of_a_tentative_size_nobody_is_told(fragments: bool) -> None:
    frame = ipv4(1439, df=True)
    fitted = fit(frame, 1438, fragments, MAC, tentative=True)
    assert fitted == Fitted([frame] if fragments else [], False)
    assert fit(ipv4(1438, df=True), 1438, fragments, MAC, tentative=True).df


@given(st.binary(max_size=120), st.integers(552, 2000), st.booleans())
def test_damaged_frames_do_no_harm(data: bytes, mtu: int, fragments: bool) -> None:
    for kind in (b"\x08\x00", b"\x86\xdd"):
        fit(HERE + THERE + kind + data, mtu, fragments, MAC)
        fit(HERE + THERE + kind + data + bytes(2000), mtu, fragments, MAC)
