"""Datagrams through sockets of the kernel, as many at once as it puts together."""

import contextlib
import errno
import random
from collections.abc import Iterator

import pytest

from tulle.datapath.sleeve.orders import AimPath, Endpoint
from tulle.host.sleeve.batch import Batch
from tulle.host.sleeve.messages import Post
from tulle.host.sleeve.udp import UdpSocket
from tulle.host.sleeve.vnet import PREFIX
from tulle.host.sleeve.wire import HEADER
from unit.host.sleeve_wire import INDEX, KEYS, PATH, End, Wire, send, sender, tap_frame, tcp_superframe

DATA = random.Random(7).randbytes(60_000)
SMALL = tap_frame(DATA[:80])


class Kernel(Wire):
    """Two sockets of this machine, and what comes out at the second one."""

    def __init__(self, keys: object = KEYS) -> None:
        super().__init__()
        self.out, self.inside = UdpSocket(0, "127.0.0.1"), UdpSocket(0, "127.0.0.1")
        self.end = End(KEYS if keys else None)
        self.strangers: list[bytes] = []
        self.together = 0

    @property
    def there(self) -> Endpoint:
        return Endpoint("127.0.0.1", self.inside.port)

    def receive(self) -> None:
        """All that waits."""
        batch = self.end.batch
        while some := self.inside.receive([batch.room]):
            (received,) = some
            assert received.source == Endpoint("127.0.0.1", self.out.port)
            batch.filled(received.size, received.stride)
            self.together = max(self.together, batch.count)
            self._take(batch)

    def _take(self, batch: Batch) -> None:
        at = 0
        while at < batch.count:
            if batch.index(at) != INDEX:
                self.strangers.append(bytes(batch.datagram(at)))
                at += 1
                continue
            run = batch.run(at)
            self.end.inward.take(run, self.end)
            at += run.number


@pytest.fixture(params=[KEYS, None], ids=["sealed", "plain"])
def kernel(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    made = Kernel(request.param)
    with contextlib.closing(made.out), contextlib.closing(made.inside):
        yield made


def carry(kernel: Kernel, *frames: bytes, size: int = 1472, group: int = 0, sent: int = 0) -> int:
    """Send frames, and take what comes; the number of the next datagram."""
    outward = sender(kernel, KEYS if kernel.end.inward._keys else None)
    outward._socket, outward.sent = kernel.out, sent
    outward.aim(AimPath(PATH, None, kernel.there, size, group))
    for frame in frames:
        send(outward, frame)
        kernel.out.flush()
        kernel.receive()
    return outward.sent


@pytest.mark.parametrize("group", [0, 4])
def test_superframes_arrive_whatever_came_before(kernel: Kernel, group: int) -> None:
    """Distances change, small ones are between, and those of other paths as well."""
    frames = [tap_frame(DATA[: 10_000 + 7 * number]) for number in range(4)]
    sent = 0
    for size in (1472, 1472, 700, 400, 1472, 8972, 270, 1472):
        sent = carry(kernel, *frames, SMALL, size=size, group=group, sent=sent)
    assert kernel.end.frames == [*frames, SMALL] * 8
    assert kernel.end.count == (0, sent, sent, 0)
    assert kernel.together > 20


def test_strangers_between_are_seen_as_they_are(kernel: Kernel) -> None:
    frame = tap_frame(DATA[:30_000])
    sent = carry(kernel, frame, frame)
    for size in (5, HEADER.size, 100, 1472, 1473, 30_000):
        kernel.out.send((DATA[:size],), kernel.there)
    for length in (100, 1472, 2000):
        kernel.out.send_alike(DATA[: 5 * length - 90], length, kernel.there)
        kernel.receive()
        sent = carry(kernel, frame, sent=sent)
    single = [DATA[:size] for size in (5, HEADER.size, 100, 1472, 1473, 30_000)]
    many = [
        DATA[at : min(at + length, 5 * length - 90)]
        for length in (100, 1472, 2000)
        for at in range(0, 5 * length - 90, length)
    ]
    assert kernel.strangers == single + many
    assert kernel.end.frames == [frame] * 5


def test_a_short_rest_of_a_strangers_is_no_datagram_of_the_path_before_it() -> None:
    """The last of them has less than a header."""
    wire, end = Wire(), End(None)
    send(sender(wire, None), tap_frame(DATA[: 3 * (1472 - HEADER.size) - PREFIX]))
    whole = wire.datagrams
    end.batch.hold(memoryview(b"".join((*whole, b"12345"))), len(whole[0]))
    assert end.batch.run(0).number == 3
    assert bytes(end.batch.run(0).body) == b"".join(one[HEADER.size :] for one in whole)
    assert bytes(end.batch.datagram(3)) == b"12345"


def test_an_interface_that_cannot_cut_gets_datagrams_one_by_one(kernel: Kernel) -> None:
    def refuse_to_cut(post: Post) -> None:
        if post.length:
            kernel.out._refused(errno.EIO, post)
        else:
            really(post)

    really, kernel.out._sending.post = kernel.out._sending.post, refuse_to_cut  # type: ignore[method-assign]
    frames = [tcp_superframe(DATA), tap_frame(DATA[:9000])]
    sent = carry(kernel, *frames)
    assert kernel.end.frames == frames
    assert kernel.end.count == (0, sent, sent, 0)
    assert kernel.out.unsent == 0
    kernel.out.send_alike(DATA[:3000], 1400, kernel.there)
    kernel.receive()
    assert kernel.strangers == [DATA[:1400], DATA[1400:2800], DATA[2800:3000]]


def test_what_the_kernel_refuses_is_counted(kernel: Kernel) -> None:
    carry(kernel, tap_frame(DATA[:9000]), size=1472)
    assert kernel.out.unsent == 0
    nowhere = Endpoint("240.0.0.1", 9)
    kernel.out.send_alike(DATA[:2000], 1000, nowhere)
    assert kernel.out.unsent == 2
