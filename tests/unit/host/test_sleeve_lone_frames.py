"""What keeps processors awake: frames that come alone, and nothing else."""

import socket
import time
from collections.abc import Iterator

import pytest

from tulle.datapath.sleeve.orders import NativePath, OpenPath, PathId
from tulle.host.sleeve.sleeve import Sleeve
from tulle.host.sleeve.wire import HEADER, Kind
from tulle.host.tap import PAUSE
from tulle.mesh.peername import PeerName
from unit.host.sleeve_wire import tap_frame

INDEX = 5


class PmQos:
    def __init__(self) -> None:
        self.times = 0

    def came(self) -> bool:
        self.times += 1
        return True

    def release(self) -> None:
        """Nothing is held."""


@pytest.fixture
def pm_qos() -> PmQos:
    return PmQos()


@pytest.fixture
def sleeve(pm_qos: PmQos) -> Iterator[Sleeve]:
    made = Sleeve(0, "127.0.0.1", pm_qos=pm_qos)  # type: ignore[arg-type]
    made.do(OpenPath(PathId(1), NativePath(PeerName(9), 0, INDEX, None)))
    yield made
    made.close()


def come(sleeve: Sleeve, number: int, kind: Kind, body: bytes) -> bool:
    """A datagram comes after a pause; whether the loop has something to look at then."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        header = HEADER.pack(INDEX, number, int(kind), 0, 0, 0)
        sender.sendto(header + body, ("127.0.0.1", sleeve.socket.port))
    time.sleep(2 * PAUSE)
    return sleeve.receive()


def test_a_frame_that_comes_alone_counts(sleeve: Sleeve, pm_qos: PmQos) -> None:
    assert [come(sleeve, number, Kind.FRAME, tap_frame(bytes(60))) for number in range(3)] == [True] * 3
    assert pm_qos.times == 3, "and the loop looks at its timers"


def test_what_daemons_tell_each_other_does_not(sleeve: Sleeve, pm_qos: PmQos) -> None:
    come(sleeve, 0, Kind.FRAME, tap_frame(bytes(60)))
    come(sleeve, 1, Kind.MESSAGE, b"\0\2hi")
    come(sleeve, 2, Kind.FRAME, b"")  # of no path's making
    assert pm_qos.times == 1
