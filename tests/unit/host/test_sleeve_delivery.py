"""What reaches the kernel of what came by a path."""

from collections.abc import Iterator

import pytest

from tulle.datapath.sleeve.orders import KnowPeers
from tulle.datapath.tables import ShortId
from tulle.host.sleeve.messages import COUNT
from tulle.host.sleeve.segments import packets
from tulle.host.sleeve.sleeve import Sleeve
from tulle.host.sleeve.vnet import PREFIX, VNET, read_tap_header, read_vnet
from tulle.host.sleeve.workshop import Workshop
from tulle.mesh.peername import PeerName
from unit.host.sleeve_wire import tap_frame, tcp_superframe, udp_superframe

PEER = PeerName(9)


class Tap:
    """Keeps what it is given; ``old`` ones take no big UDP frames, ``full`` ones nothing."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.old = self.full = False

    def on_data(self, take: object) -> None:
        """Nothing comes out of it."""

    def write_data(self, frame: bytes | memoryview) -> bool:
        if self.full or (self.old and frame[1] == 5):
            return False
        self.frames.append(bytes(frame))
        return True

    def write_all(self, frames: list[bytes | memoryview]) -> list[bytes | memoryview]:
        return [frame for frame in frames if not self.write_data(frame)]


@pytest.fixture
def tap() -> Tap:
    return Tap()


@pytest.fixture
def sleeve(tap: Tap) -> Iterator[Sleeve]:
    made = Sleeve(0, "127.0.0.1")
    made.use_tap(tap)  # type: ignore[arg-type]
    made.do(KnowPeers({ShortId(77): PEER, ShortId(1): PeerName(1), ShortId(2): PeerName(2)}))
    yield made
    made.close()


def deliver(sleeve: Sleeve, frame: bytes, peer: PeerName = PEER) -> bool:
    before = sleeve.undelivered
    sleeve.deliver((memoryview(bytearray(frame)),), peer)
    taken = sleeve.undelivered == before
    sleeve.settle()
    return taken


def test_the_kernel_is_told_by_whom_it_came_whatever_the_frame_says(sleeve: Sleeve, tap: Tap) -> None:
    frame = tcp_superframe(bytes(5000))
    assert deliver(sleeve, frame[:10] + b"\x74" + frame[11:])
    (made,) = tap.frames
    assert read_tap_header(made) == (0x7A, 15, 2, 1, 77, 0x0800)
    assert made[:10] == frame[:10]
    assert made[PREFIX:] == frame[PREFIX:]


def test_an_unknown_neighbour_delivers_nothing(sleeve: Sleeve, tap: Tap) -> None:
    assert not deliver(sleeve, tap_frame(bytes(60)), peer=PeerName(5))
    assert not tap.frames
    assert sleeve.undelivered == 1


@pytest.mark.parametrize(
    "frame",
    [
        tap_frame(b"")[:-1],
        tap_frame(bytes(13)),
        tap_frame(bytes(66_000)),
        VNET.pack(0, 3, 0, 1000, 0, 0) + tap_frame(bytes(60))[10:],
        VNET.pack(0, 1, 0, 47, 0, 0) + tap_frame(bytes(60))[10:],
    ],
    ids=["no-frame", "short", "long", "unknown-kind", "tiny-segments"],
)
def test_what_no_kernel_would_have_sent_is_kept_from_ours(sleeve: Sleeve, tap: Tap, frame: bytes) -> None:
    assert not deliver(sleeve, frame)
    assert not tap.frames


def test_a_frame_that_is_not_fit_takes_no_other_with_it(sleeve: Sleeve, tap: Tap) -> None:
    frames = [tap_frame(bytes([number]) * size) for number, size in enumerate((60, 13, 80))]
    sleeve.deliver([memoryview(bytearray(frame)) for frame in frames], PEER)
    sleeve.settle()
    assert [made[PREFIX:] for made in tap.frames] == [frame[PREFIX:] for frame in (frames[0], frames[2])]
    assert sleeve.undelivered == 1


def test_an_old_kernel_gets_big_udp_frames_as_packets(sleeve: Sleeve, tap: Tap) -> None:
    tap.old = True
    frame = udp_superframe(bytes(range(256)) * 40)
    assert deliver(sleeve, frame)
    assert [made[PREFIX:] for made in tap.frames] == list(packets(bytearray(frame)))
    assert {read_tap_header(made).via for made in tap.frames} == {77}
    assert {read_vnet(made) for made in tap.frames} == {(0, 0, 0, 0, 0, 0)}


def test_a_plain_frame_is_told_its_ends(sleeve: Sleeve, tap: Tap) -> None:
    assert sleeve.deliver_plain(bytes(60), PeerName(2), PeerName(1), PEER)
    sleeve.settle()
    assert read_tap_header(tap.frames[0])[:5] == (0x7A, 64, 2, 1, 77)
    assert not sleeve.deliver_plain(bytes(60), PeerName(2), PeerName(8), PEER)


def test_frames_that_come_in_one_turn_lie_in_places_of_their_own(sleeve: Sleeve, tap: Tap) -> None:
    """Also when they are more than there is room for, since some came in parts in earlier turns."""
    opened = Workshop().opened
    frames = [tap_frame(bytes([number]) * 60_000) for number in range(2 * COUNT)]
    for frame in frames:
        place = opened.take(len(frame))
        place[:] = frame
        sleeve.deliver((place,), PEER)
    assert not tap.frames
    sleeve.settle()
    assert [made[PREFIX:] for made in tap.frames] == [frame[PREFIX:] for frame in frames]


def test_what_the_kernel_does_not_take_is_counted(sleeve: Sleeve, tap: Tap) -> None:
    tap.full = True
    assert deliver(sleeve, tap_frame(bytes(60)))
    assert sleeve.undelivered == 1
