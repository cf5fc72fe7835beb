"""Superframes cut into packets: every checksum is computed again, by dpkt and by hand."""

import random
import struct

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.host.sleeve.segments import Superframe, ones_sum, packets
from tulle.host.sleeve.vnet import PREFIX
from unit.host.sleeve_wire import ethernet_of, summed, tap_frame, tcp_superframe, udp_superframe

PAYLOAD = random.Random(3).randbytes(40_001)


def check(packet: bytes) -> tuple[dpkt.ip.IP | dpkt.ip6.IP6, bytes]:
    """The packet taken apart, after its lengths and checksums were found to be right; and its payload."""
    ip = dpkt.ethernet.Ethernet(packet).data
    raw = packet[14:]
    if ip.v == 4:
        assert summed(raw[:20]) == 0xFFFF
        assert ip.len == len(raw)
        transport, addresses = raw[20:], raw[12:20]
    else:
        assert ip.plen == len(raw) - 40
        transport, addresses = raw[40:], raw[8:40]
    pseudo = addresses + struct.pack(">HH", ip.p if ip.v == 4 else ip.nxt, len(transport))
    assert summed(pseudo + transport) == 0xFFFF
    return ip, bytes(ip.data.data)


@pytest.mark.parametrize("ipv6", [False, True])
def test_tcp_is_cut_with_numbers_flags_and_checksums_right(ipv6: bool) -> None:
    made = [check(one) for one in packets(bytearray(tcp_superframe(PAYLOAD, ipv6=ipv6)))]

    assert b"".join(payload for _, payload in made) == PAYLOAD
    assert {len(payload) for _, payload in made[:-1]} == {1324}
    assert [ip.data.seq for ip, _ in made] == [
        (0xFFFFFF00 + number * 1324) & 0xFFFFFFFF for number in range(len(made))
    ]
    assert [ip.data.flags for ip, _ in made] == [0x90, *[0x10] * (len(made) - 2), 0x19]
    if not ipv6:
        assert [ip.id for ip, _ in made] == [(65530 + number) & 0xFFFF for number in range(len(made))]


@pytest.mark.parametrize("ipv6", [False, True])
def test_udp_is_cut(ipv6: bool) -> None:
    made = [check(one) for one in packets(bytearray(udp_superframe(PAYLOAD, ipv6=ipv6)))]

    assert b"".join(payload for _, payload in made) == PAYLOAD
    assert all(ip.data.ulen == 8 + len(payload) for ip, payload in made)


def test_a_packet_that_is_no_superframe_gets_its_checksum() -> None:
    frame = bytearray(udp_superframe(b"hello"))
    frame[1] = 0
    (made,) = packets(frame)
    assert check(made)[1] == b"hello"


def test_what_is_complete_stays_as_it_is() -> None:
    ethernet = bytes(range(60))
    assert list(packets(bytearray(tap_frame(ethernet)))) == [ethernet]


def test_smaller_superframes_are_whole_again_when_cut_further() -> None:
    """What the sender cuts into units and the other kernel into packets is as if cut in one step."""
    frame = bytearray(tcp_superframe(PAYLOAD))
    found = Superframe.read(frame)
    assert found is not None
    step = 4 * found.gso_size
    twice = [
        packet
        for start in range(found.payload, len(frame), step)
        for packet in packets(
            found.header(start, min(start + step, len(frame))) + frame[start : start + step]
        )
    ]
    assert twice == list(packets(frame))


def test_a_tagged_frame_is_cut_as_well() -> None:
    frame = bytearray(tcp_superframe(PAYLOAD))
    frame[PREFIX + 12 : PREFIX + 12] = b"\x81\0\0\x07"
    frame[6:8] = (int.from_bytes(frame[6:8], "little") + 4).to_bytes(2, "little")
    made = [one[:12] + one[16:] for one in packets(frame)]
    assert b"".join(check(one)[1] for one in made) == PAYLOAD


@given(st.binary(max_size=200))
def test_the_sum_is_that_of_words(data: bytes) -> None:
    assert ones_sum(data) == summed(data)


@given(st.binary(max_size=120), st.integers(0, 3000))
def test_nonsense_is_passed_on_in_one_piece_or_cut_but_never_fails(head: bytes, length: int) -> None:
    frame = bytearray(head + bytes(length))
    made = list(packets(frame))
    if len(frame) >= PREFIX + 14:
        assert sum(map(len, made)) >= len(ethernet_of(bytes(frame)))
    else:
        assert not made


@pytest.mark.parametrize("ipv6", [False, True])
@given(at=st.integers(0, 99), value=st.integers(0, 255), length=st.integers(1, 3000))
def test_headers_that_contradict_themselves_are_never_fatal(
    ipv6: bool, at: int, value: int, length: int
) -> None:
    """A container may write any of them, and the kernel hands such frames on."""
    frame = bytearray(tcp_superframe(PAYLOAD[:length], segment=100, ipv6=ipv6))
    frame[at % len(frame)] = value
    found = Superframe.read(frame)
    if found is not None:
        assert len(found.header(found.payload, len(frame))) == found.payload
    assert list(packets(frame))


def test_a_tcp_header_shorter_than_it_can_be_is_not_cut() -> None:
    frame = bytearray(tcp_superframe(PAYLOAD))
    frame[PREFIX + 14 + 20 + 12] = 0x10
    assert Superframe.read(frame) is None
    assert len(list(packets(frame))) == 1
