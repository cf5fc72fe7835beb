"""Frames sealed for one host, packed into frames that others relay, and opened."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.datapath.sleeve.orders import KnowPeers, SealBetween
from tulle.datapath.tables import ShortId
from tulle.host.sleeve import sealed as module
from tulle.host.sleeve.parcels import MAC, unpack
from tulle.host.sleeve.sealed import MOST_SESSIONS, Sealed
from tulle.host.sleeve.segments import packets
from tulle.host.sleeve.sleeve import Sleeve
from tulle.host.sleeve.vnet import PREFIX, TAP_HEADER, VNET, read_tap_header, read_vnet
from tulle.mesh.peername import PeerName
from unit.host.sleeve_wire import tap_frame, tcp_superframe

A, B, RELAY = PeerName(10), PeerName(11), PeerName(12)
NAMES = {ShortId(1): A, ShortId(2): B, ShortId(3): RELAY}
MTU = 1376


@dataclass
class End:
    """One host: what it passes on, and what it gets."""

    name: PeerName
    keys: dict[PeerName, bytes] = field(default_factory=lambda: {A: b"a", B: b"b"})
    common: Callable[[PeerName, bytes], bytes | None] = lambda peer, key: bytes(32)

    def __post_init__(self) -> None:
        self.names = NAMES
        self.sent: list[tuple[bytes, int]] = []
        self.got: list[tuple[bytes, PeerName]] = []
        self.now = 0.0
        self.sealed = Sealed(self, lambda: self.now)
        self.know()

    def know(self) -> None:
        keys = {peer: key for peer, key in self.keys.items() if peer != self.name}
        self.sealed.know(SealBetween(self.name, MTU, keys, self.common))

    def pass_on(self, frame: memoryview, neighbour: int) -> None:
        self.sent.append((bytes(frame), neighbour))

    def deliver_here(self, frames: Sequence[memoryview], peer: PeerName) -> None:
        self.got += [(bytes(frame), peer) for frame in frames]

    def send(self, frame: bytes) -> list[bytes]:
        """What goes out for one frame."""
        self.sent.clear()
        assert self.sealed.send(memoryview(bytearray(frame)))
        self.sealed.flush()
        return [one for one, _ in self.sent]

    def take(self, *frames: bytes) -> None:
        for frame in frames:
            self.sealed.take(memoryview(frame))


def addressed(frame: bytes, dst: int = 2, src: int = 1, via: int = 3) -> bytes:
    header = TAP_HEADER.pack(0x7A, 64, dst, src, via, 0x0800)
    return frame[: VNET.size] + header + frame[PREFIX:]


SMALL = addressed(tap_frame(b"hello" * 20))
LARGE = addressed(tcp_superframe(random.Random(1).randbytes(60_000)))


@pytest.mark.parametrize("frame", [SMALL, LARGE], ids=["small", "large"])
def test_what_is_sealed_by_one_is_opened_by_the_other(frame: bytes) -> None:
    one, other = End(A), End(B)
    out = one.send(frame)
    assert {via for _, via in one.sent} == {3}
    for parcel in out:
        header = read_tap_header(parcel)
        assert (header.dst, header.src, header.via, header.hops_left) == (2, 1, 3, 64)
        assert parcel[PREFIX : PREFIX + 6] == MAC
        assert frame[PREFIX + 60 : PREFIX + 90] not in parcel
    other.take(*out)
    assert {peer for _, peer in other.got} == {A}
    assert payload(other.got) == payload([(frame, A)])
    assert other.sealed.dropped == other.sealed.strangers == 0


def payload(got: list[tuple[bytes, PeerName]]) -> bytes:
    """Of TCP segments in order, or the frame itself."""
    if got[0][0][PREFIX:] == SMALL[PREFIX:]:
        return b"".join(frame[PREFIX:] for frame, _ in got)
    return b"".join(packet[54:] for frame, _ in got for packet in packets(bytearray(frame)))


def test_parcels_are_valid_packets_that_a_wire_could_carry() -> None:
    (first, *_) = End(A).send(LARGE)
    assert read_vnet(first).gso_size
    cut = list(packets(bytearray(first)))
    assert len(cut) > 10
    assert all(len(one) <= MTU + 14 for one in cut)
    plain = [bytes(VNET.size) + first[VNET.size : PREFIX] + one for one in cut]
    datagrams = [bytes(found[0]) for one in plain if (found := unpack(memoryview(one))) is not None]
    whole = unpack(memoryview(first))
    assert whole is not None
    assert b"".join(datagrams) == bytes(whole[0])
    other = End(B)
    other.take(*plain)
    assert other.got
    assert other.sealed.dropped == 0


def test_small_ones_travel_together_until_there_is_no_more() -> None:
    one, other = End(A), End(B)
    for _ in range(3):
        assert one.sealed.send(memoryview(bytearray(SMALL)))
    assert one.sent == []
    one.sealed.flush()
    assert len(one.sent) == 1
    other.take(one.sent[0][0])
    assert len(other.got) == 3


def test_what_is_forged_replayed_or_of_another_is_dropped_and_counted() -> None:
    one, other = End(A), End(B)
    (parcel,) = one.send(SMALL)
    other.take(parcel)
    other.take(parcel)
    assert (len(other.got), other.sealed.dropped) == (1, 1)
    flipped = parcel[:-1] + bytes((parcel[-1] ^ 1,))
    other.take(flipped)
    assert other.sealed.dropped == 2
    other.take(addressed(parcel, src=3))
    assert other.sealed.strangers == 1, "nobody has a key for the relay"
    assert len(other.got) == 1
    third = End(RELAY)
    assert not third.sealed.send(memoryview(bytearray(SMALL))), "it started elsewhere"


def test_a_peer_speaks_for_itself_alone() -> None:
    """It seals a frame that says to come from somebody else, or to go to somebody else."""
    one, other = End(A), End(B)
    one.keys[RELAY] = other.keys[RELAY] = b"r"
    one.know()
    other.know()
    for inner in (addressed(SMALL, src=3), addressed(SMALL, dst=3)):
        sender = one.sealed._senders.get(B) or one.sealed._begin(B)
        assert sender is not None
        sender.packets.aim(read_tap_header(SMALL))
        one.sent.clear()
        sender.outward.frame(memoryview(bytearray(inner)))
        sender.outward.flush()
        other.take(*(parcel for parcel, _ in one.sent))
    assert other.got == []
    assert other.sealed.dropped == 2


def test_without_a_key_frames_go_as_ever() -> None:
    one = End(A, keys={})
    assert not one.sealed.send(memoryview(bytearray(SMALL)))
    weak = End(A, common=lambda peer, key: None)
    assert not weak.sealed.send(memoryview(bytearray(SMALL)))


def test_new_keys_begin_a_new_session_and_end_the_old_one() -> None:
    one, other = End(A), End(B)
    (before,) = one.send(SMALL)
    other.take(before)
    one.keys[B], one.common = b"new", lambda peer, key: b"n" * 32
    one.know()
    (after,) = one.send(SMALL)
    other.take(after)
    assert len(other.got) == 1
    other.keys[A], other.common = b"new", lambda peer, key: b"n" * 32
    other.know()
    other.take(after, before)
    assert len(other.got) == 2
    assert [one.proven for one in other.sealed._receivers.values()].count(True) == 1


def test_sessions_of_a_peer_are_few_and_forged_ones_cost_none_that_works() -> None:
    other = End(B)
    working = End(A)
    other.take(*working.send(SMALL))
    for _ in range(50):
        (parcel,) = End(A).send(SMALL)
        other.take(parcel[:-1] + bytes((parcel[-1] ^ 1,)))
    assert len(other.sealed._receivers) == 2
    other.take(*working.send(SMALL))
    assert len(other.got) == 2
    for _ in range(2 * MOST_SESSIONS):
        other.take(*End(A).send(SMALL))
    assert len(other.sealed._receivers) == MOST_SESSIONS


def test_no_two_sessions_have_one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter((1, 2))
    monkeypatch.setattr(module.secrets, "randbits", lambda bits: next(numbers))
    first, second = End(A).send(SMALL)[0], End(A).send(SMALL)[0]
    assert first[-40:] != second[-40:]


@given(st.binary(max_size=200), st.integers(0, 2000))
def test_whatever_comes_in_such_a_frame_changes_nothing(rest: bytes, stride: int) -> None:
    other = End(B)
    (parcel,) = End(A).send(SMALL)
    for frame in (parcel[:PREFIX] + rest, parcel[: PREFIX + 42] + rest, parcel[:60] + rest):
        superframe = b"\x01\x05" + parcel[2:4] + stride.to_bytes(2, "little") + frame[6:]
        for one in (frame, superframe):
            other.take(one)
    assert other.got == []


class Tap:
    """Keeps what it is given, and gives frames to who takes them."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def on_data(self, take: Callable[[list[memoryview]], None] | None) -> None:
        self.give = take

    def write_data(self, frame: bytes | memoryview) -> bool:
        self.frames.append(bytes(frame))
        return True

    def write_all(self, frames: list[bytes | memoryview]) -> list[bytes | memoryview]:
        return [frame for frame in frames if not self.write_data(frame)]


@pytest.fixture
def host() -> Iterator[tuple[Sleeve, Tap]]:
    """A whole sleeve, that of B."""
    sleeve, tap = Sleeve(0, "127.0.0.1"), Tap()
    sleeve.use_tap(tap)  # type: ignore[arg-type]
    sleeve.do(KnowPeers(NAMES))
    sleeve.do(SealBetween(B, MTU, {A: b"a"}, lambda peer, key: bytes(32)))
    yield sleeve, tap
    sleeve.close()


def by_a_path_of_ours(sleeve: Sleeve, tap: Tap, parcel: bytes) -> None:
    sleeve.deliver((memoryview(bytearray(parcel)),), RELAY)
    sleeve.settle()


def by_a_path_of_weave_s(sleeve: Sleeve, tap: Tap, parcel: bytes) -> None:
    assert sleeve.deliver_plain(parcel[PREFIX:], B, A, RELAY)
    sleeve.settle()


def by_a_tunnel(sleeve: Sleeve, tap: Tap, parcel: bytes) -> None:
    assert tap.give is not None
    tap.give([memoryview(bytearray(addressed(parcel, via=2)))])


@pytest.mark.parametrize("way", [by_a_path_of_ours, by_a_path_of_weave_s, by_a_tunnel])
def test_parcels_are_opened_whatever_way_they_come(
    host: tuple[Sleeve, Tap], way: Callable[[Sleeve, Tap, bytes], None]
) -> None:
    sleeve, tap = host
    (parcel,) = End(A).send(SMALL)
    way(sleeve, tap, parcel)
    (frame,) = tap.frames
    assert frame[PREFIX:] == SMALL[PREFIX:]
    header = read_tap_header(frame)
    assert (header.src, header.dst, header.via) == (1, 2, 1)
    assert set(sleeve.counters().values()) == {0}


def test_parcels_for_others_are_left_alone(host: tuple[Sleeve, Tap]) -> None:
    sleeve, tap = host
    (parcel,) = End(A).send(SMALL)
    by_a_path_of_ours(sleeve, tap, addressed(parcel, dst=3))
    assert [frame[PREFIX:] for frame in tap.frames] == [parcel[PREFIX:]]


def test_who_sends_to_whom_over_a_third_is_remembered_once(host: tuple[Sleeve, Tap]) -> None:
    sleeve, tap = host
    assert tap.give is not None
    for dst, via in ((1, 1), (1, 3), (1, 3)):
        tap.give([memoryview(bytearray(addressed(SMALL, dst=dst, src=2, via=via)))])
    assert sleeve.relayed() == {(2, 1)}
    assert sleeve.relayed() == set()


def test_frames_to_a_neighbour_itself_are_not_sealed_twice(host: tuple[Sleeve, Tap]) -> None:
    sleeve, tap = host
    assert tap.give is not None
    for dst, via in ((1, 1), (1, 3)):
        tap.give([memoryview(bytearray(addressed(SMALL, dst=dst, src=2, via=via)))])
    assert sleeve.undelivered == 2, "there is no path to anybody"
