"""Packets put together: whatever comes in must come out again, byte for byte, when it is cut."""

import random

from hypothesis import given
from hypothesis import strategies as st

from tulle.datapath.tapframe import DATA
from tulle.host.sleeve.gather import Gather
from tulle.host.sleeve.segments import packets
from tulle.host.sleeve.vnet import NO_NOTES, TAP_HEADER, read_vnet
from unit.host.sleeve_wire import tcp_superframe, udp_superframe

PAYLOAD = random.Random(4).randbytes(40_000)
PACKETS = list(packets(bytearray(tcp_superframe(PAYLOAD))))
OTHERS = [
    *packets(bytearray(tcp_superframe(PAYLOAD[:5000], ipv6=True))),
    *packets(bytearray(udp_superframe(b"x" * 3000))),
]


def gathered(frames: list[bytes]) -> list[tuple[bytes, bytes]]:
    out: list[tuple[bytes, bytes]] = []
    gather = Gather(lambda frame, notes: out.append((frame, notes)))
    for frame in frames:
        gather.add(frame)
    gather.flush()
    return out


def cut(out: list[tuple[bytes, bytes]]) -> list[bytes]:
    header = TAP_HEADER.pack(DATA, 64, 2, 1, 1, 0x0800)
    return [packet for frame, notes in out for packet in packets(bytearray(notes + header + frame))]


def test_a_superframe_is_one_again() -> None:
    out = gathered(PACKETS)
    assert cut(out) == PACKETS
    assert len(out) == 3, "the first and the last packet have flags that the others have not"
    frame, notes = out[1]
    assert frame.endswith(PAYLOAD[1324 : 1324 * 30])
    assert read_vnet(notes).gso_size == 1324


@given(st.lists(st.sampled_from([*PACKETS[:8], *OTHERS]), max_size=30))
def test_any_packets_come_out_as_they_came_in(frames: list[bytes]) -> None:
    assert cut(gathered(frames)) == frames


@given(st.integers(0, 60), st.integers(1, 255), st.integers(1, 5))
def test_what_differs_or_is_damaged_is_not_mixed_in(at: int, flip: int, which: int) -> None:
    frames = PACKETS[1:7]
    changed = bytearray(frames[which])
    changed[at] ^= flip
    frames[which] = bytes(changed)
    assert cut(gathered(frames)) == frames


def test_damaged_payload_is_left_to_the_receiver() -> None:
    frames = PACKETS[1:4]
    frames[1] = frames[1][:-1] + bytes((frames[1][-1] ^ 1,))
    assert gathered(frames) == [(frame, NO_NOTES) for frame in frames]


def test_a_superframe_stays_within_what_ip_can_say() -> None:
    payload = bytes(66_000)
    frames = [*packets(bytearray(tcp_superframe(payload[:60_000])))][1:]
    out = gathered(frames)
    assert cut(out) == frames
    assert all(len(frame) <= 14 + 65535 for frame, _ in out)


@given(st.binary(max_size=1500))
def test_hostile_frames_come_out_unchanged(data: bytes) -> None:
    for head in (b"", PACKETS[1][:54], PACKETS[1][:14]):
        frames = [PACKETS[1], head + data, head + data, PACKETS[2]]
        out = gathered(frames)
        assert (
            b"".join(frame for frame, notes in out if notes == NO_NOTES) == b"".join(frames)
            or cut(out) == frames
        )
