"""Datagrams between the two halves of a path: what goes in comes out, and nothing else does."""

import random
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tulle.datapath.sleeve.orders import Keys
from tulle.host.sleeve.batch import NO_INDEX, Batch
from tulle.host.sleeve.outward import LEAST_SIZE
from tulle.host.sleeve.seals import CAPACITY, LIFETIME, Seal
from tulle.host.sleeve.segments import packets
from tulle.host.sleeve.wire import HEADER
from unit.host.sleeve_wire import (
    KEYS,
    Clock,
    End,
    Wire,
    say,
    send,
    sender,
    tap_frame,
    tcp_superframe,
    udp_superframe,
)

DATA = random.Random(5).randbytes(60_000)
SMALL = tap_frame(DATA[:80])
BOTH = pytest.mark.parametrize("keys", [KEYS, None], ids=["sealed", "plain"])
SIZES = [400, 672, 1252, 1472, 8972]


def wire_packets(frames: list[bytes]) -> list[bytes]:
    return [packet for frame in frames for packet in packets(bytearray(frame))]


@BOTH
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("group", [0, 1, 4, 16])
@pytest.mark.parametrize("together", [True, False])
def test_superframes_arrive(keys: Keys | None, size: int, group: int, together: bool) -> None:
    wire, end = Wire(), End(keys)
    outward = sender(wire, keys, size=size, group=group)
    frames = [tcp_superframe(DATA), udp_superframe(DATA[:30_000]), SMALL, tap_frame(DATA[:1390])]
    send(outward, *frames)

    assert max(map(len, wire.datagrams)) <= size
    if together:
        at = 0
        while at < len(wire.datagrams):
            last = wire.datagrams[at][18]
            end.take_together(wire.datagrams[at : at + last + 1])
            at += last + 1
    else:
        end.take(wire.datagrams)
    assert wire_packets(end.frames) == wire_packets(frames)
    assert end.count == (0, len(wire.datagrams), len(wire.datagrams), 0)
    assert outward.sent == len(wire.datagrams)


@pytest.mark.parametrize("seal", [Seal.AES_256_GCM, Seal.CHACHA20_POLY1305])
def test_the_sender_chooses_the_cipher(seal: Seal) -> None:
    wire, end = Wire(), End()
    send(sender(wire, seal=seal), SMALL)
    end.take(wire.datagrams)
    assert end.frames == [SMALL]


@BOTH
def test_a_lost_datagram_costs_its_unit_and_no_more(keys: Keys | None) -> None:
    wire, end = Wire(), End(keys)
    send(sender(wire, keys, group=1), tcp_superframe(DATA))
    lost = wire.datagrams.pop(7)
    end.take(wire.datagrams)

    sent = wire_packets([tcp_superframe(DATA)])
    arrived = wire_packets(end.frames)
    assert len(sent) - len(arrived) == 1
    assert set(arrived) < set(sent)
    assert end.count.expected - end.count.received == 1
    end.take([lost])
    assert set(wire_packets(end.frames)) == set(sent)


def test_loss_is_counted_in_datagrams_also_where_units_stay_incomplete() -> None:
    clock, wire = Clock(), Wire()
    outward, end = sender(wire), End(clock=clock)
    for _ in range(20):
        send(outward, tcp_superframe(DATA))
    say(outward, b"what the pure part sends anyway, and what gets through where hardly a unit does")
    kept = [datagram for number, datagram in enumerate(wire.datagrams) if number % 50 != 7]
    end.take(kept)
    clock.now += 2
    lost = len(wire.datagrams) - len(kept)
    assert end.count.expected - end.count.received == lost


@BOTH
def test_small_frames_that_wait_together_share_a_datagram(keys: Keys | None) -> None:
    wire, end = Wire(), End(keys)
    frames = [tap_frame(DATA[at : at + 60 + at]) for at in range(30)]
    send(sender(wire, keys), *frames)
    assert len(wire.datagrams) <= 4
    end.take(wire.datagrams)
    assert end.frames == frames


@BOTH
def test_messages_have_the_size_that_was_asked_for(keys: Keys | None) -> None:
    wire, end = Wire(), End(keys)
    outward = sender(wire, keys)
    for size in (0, 600, 1472, 9000):
        say(outward, b"hello", size)
    end.take(wire.datagrams)
    assert end.messages == [b"hello"] * 4
    assert [len(one) for one in wire.datagrams[1:]] == [600, 1472, 9000]
    assert len(wire.datagrams[0]) < 60


@BOTH
def test_a_datagram_is_taken_once(keys: Keys | None) -> None:
    wire, end = Wire(), End(keys)
    send(sender(wire, keys), SMALL, tap_frame(DATA[:5000]))
    end.take(wire.datagrams * 3)
    assert len(end.frames) == 2
    assert end.count.dropped == 2 * len(wire.datagrams)


def test_every_bit_counts() -> None:
    """Whatever bit is flipped, nothing comes out, and the real datagram is taken afterwards."""
    wire, end = Wire(), End()
    send(sender(wire, group=1), tcp_superframe(DATA[:2000]))
    datagram = wire.datagrams[0]
    assert datagram[19], "this one is padded"
    for bit in range(8 * 8, len(datagram) * 8):  # the index is looked at before, by the sleeve
        flipped = bytearray(datagram)
        flipped[bit // 8] ^= 1 << bit % 8
        end.take([bytes(flipped)])
    assert not end.frames
    assert not end.messages
    assert end.count.dropped + len(end.inward._assembly) >= len(datagram) * 8 - 64 - 8
    end.take([datagram])
    assert len(end.frames) == 1


def test_truncated_lengthened_and_foreign_datagrams_are_dropped_and_counted() -> None:
    wire, end = Wire(), End()
    send(sender(wire), SMALL)
    (datagram,) = wire.datagrams
    for size in range(HEADER.size + 1, len(datagram)):
        end.take([datagram[:size]])
    end.take([datagram + b"\0"])
    other = Wire()
    send(sender(other, Keys(send=b"x" * 32, receive=b"y" * 32)), SMALL)
    end.take(other.datagrams)
    assert not end.frames
    assert end.count == (0, 0, 0, len(datagram) - HEADER.size + 1)


def test_a_path_with_keys_takes_nothing_in_the_clear_and_the_other_way_round() -> None:
    clear, sealed = Wire(), Wire()
    send(sender(clear, None), SMALL)
    send(sender(sealed), SMALL)
    for keys, datagrams in ((KEYS, clear.datagrams), (None, sealed.datagrams)):
        end = End(keys)
        end.take(datagrams)
        assert not end.frames
        assert end.count.dropped == 1


def test_nothing_of_a_frame_is_readable_with_keys() -> None:
    wire = Wire()
    send(sender(wire), tap_frame(b"known plaintext " * 500), tap_frame(b"known plaintext " * 5))
    say(sender(wire), b"known plaintext ")
    assert not any(b"known" in datagram for datagram in wire.datagrams)


def test_keys_are_renewed_without_losing_a_frame() -> None:
    """By time and by number, with datagrams of both keys under way at once."""
    clock, wire = Clock(), Wire()
    outward, end = sender(wire, clock=clock), End(clock=clock)
    frames = [tap_frame(DATA[at : at + 3000]) for at in range(0, 30_000, 1000)]
    for number, frame in enumerate(frames):
        if number % 10 == 5:
            clock.now += LIFETIME
        if number == 27:
            outward.sent += CAPACITY
        send(outward, frame)
    epochs = [int.from_bytes(one[8:10], "big") for one in wire.datagrams]
    assert sorted(set(epochs)) == [0, 1, 2, 3, 4]

    late = [one for number, one in enumerate(wire.datagrams) if number % 7 == 3]
    end.take(one for one in wire.datagrams if one not in late and one[8:10] == b"\0\0")
    end.take(one for one in wire.datagrams if one not in late and one[8:10] == b"\0\1")
    end.take(one for one in late if one[9] <= 1)
    end.take(one for one in wire.datagrams if one[9] > 1)
    assert sorted(end.frames) == sorted(frames)
    assert end.count.dropped == 0


def test_a_flood_of_forgeries_makes_no_state_and_hinders_nobody() -> None:
    wire, end, rng = Wire(), End(), random.Random(1)
    outward = sender(wire)
    for _ in range(2000):
        header = wire_header(rng)
        end.take([header + rng.randbytes(60)])
    assert len(end.inward._assembly) <= 32
    send(outward, tcp_superframe(DATA))
    end.take(wire.datagrams)
    assert wire_packets(end.frames) == wire_packets([tcp_superframe(DATA)])


def wire_header(rng: random.Random) -> bytes:
    kind = rng.choice([0x11, 0x21, 0x12, 0x13, 0x01, rng.randrange(256)])
    last = rng.randrange(3)
    return HEADER.pack(1, rng.getrandbits(64), kind, rng.randrange(last + 1), last, 0)


@settings(max_examples=300)
@given(st.lists(st.binary(min_size=13, max_size=120), max_size=20), st.booleans())
@example([bytes(8) + b"\x01\x00\x00\x00" + bytes(40)], False)
def test_any_bytes_are_taken_quietly(bodies: list[bytes], sealed: bool) -> None:
    end = End(KEYS if sealed else None)
    end.take(bytes(8) + body for body in bodies)
    assert not (sealed and (end.frames or end.messages))
    assert end.inward._assembly.size <= sum(map(len, bodies))


def test_the_lengths_of_strangers_datagrams_cost_nothing() -> None:
    batch, data = Batch(), memoryview(bytearray(400))
    tracemalloc.start()
    try:
        for stride in range(1, 40):
            batch.hold(data[: 10 * stride], stride)
            assert {batch.index(at) for at in range(batch.count)} == {0 if stride > HEADER.size else NO_INDEX}
            assert bytes(batch.datagram(batch.count - 1)) == bytes(stride)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("segment", [30_000, 60_000, 65_535])
def test_a_superframe_of_segments_longer_than_any_group_goes_whole(segment: int) -> None:
    wire, end = Wire(), End(KEYS)
    frame = tcp_superframe(DATA, segment)
    send(sender(wire, KEYS, size=400, group=4), frame)

    end.take(wire.datagrams)
    assert wire_packets(end.frames) == wire_packets([frame])


def test_what_waits_is_a_copy() -> None:
    """The bytes of short frames are good during the call alone: of parcels, all lie in one place."""
    wire, end = Wire(), End()
    outward = sender(wire, size=LEAST_SIZE)
    buffer = memoryview(bytearray(256))
    for number in range(5):
        buffer[:] = tap_frame(bytes([number]) * 256)[:256]
        outward.frame(buffer)
    outward.flush()
    end.take(wire.datagrams)
    assert [frame[-1] for frame in end.frames] == [0, 1, 2, 3, 4]
