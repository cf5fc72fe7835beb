"""An interface that takes nothing any more."""

import contextlib
from collections.abc import Iterator

import pytest

from lab import Lab
from lab.namespace import Namespace
from tulle.datapath.sleeve.orders import Endpoint
from tulle.host.msghdr import Vectors, room
from tulle.host.sleeve.udp import UdpSocket

HERE = "127.0.0.1"


@pytest.fixture
def space(lab: Lab) -> Namespace:
    return lab.host()


@pytest.fixture
def out(space: Namespace) -> Iterator[UdpSocket]:
    with contextlib.closing(space.inside(lambda: UdpSocket(0, HERE))) as made:
        yield made


def test_the_daemon_waits_once_for_an_interface_that_stands_still(space: Namespace, out: UdpSocket) -> None:
    """Afterwards all is given up at once, until something goes out again."""
    there = Endpoint(HERE, out.port)
    space.run(
        "tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "8kbit", "burst", "2kb", "limit", "10mb"
    )
    while not out.send((bytes(1400),), there):
        assert not out._sending.flags
    assert out._sending.flags, "nobody waits for it a second time"
    lost = out.unsent
    out.send_many(Vectors([room(1400)] * 16), 8, 2800, 8, there)
    out.flush()
    assert out._sending.flags
    assert out.unsent == lost + 8

    space.run("tc", "qdisc", "del", "dev", "lo", "root")
    assert out.send((b"again",), there) == 0
    assert not out._sending.flags
