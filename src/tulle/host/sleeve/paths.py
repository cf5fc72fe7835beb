"""What the sleeve asks of a path, whatever its format, and what a path may use of the sleeve."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from tulle.datapath.sleeve.orders import (
    AimPath,
    Arrival,
    Count,
    Endpoint,
    PathId,
    Refused,
    SendMessage,
    WeavePath,
)
from tulle.datapath.tables import ShortId
from tulle.host.sleeve.udp import UdpSocket
from tulle.host.sleeve.vnet import NO_NOTES
from tulle.mesh.peername import PeerName

SMALL = 256
"""Bytes of a frame with its headers that no path has to cut."""


class Path(Protocol):
    """An open path. All calls come from the event loop, and none of them waits."""

    def aim(self, order: AimPath) -> None:
        """Send frames as this says from now on."""

    def message(self, order: SendMessage) -> None:
        """Send a message of the daemon's own."""

    def frame(self, frame: memoryview) -> None:
        """Send a frame of the TAP, headers included; it may be a superframe.

        Its bytes stand at the beginning of a buffer; they are good, and may be overwritten, during the call.
        Whether it goes at once or with others at ``flush`` is the path's choice.
        """

    def alone(self, frame: memoryview) -> None:
        """Send a frame of up to ``SMALL`` bytes at once, while none wait: it is single, and urgent."""

    def flush(self) -> None:
        """Send what waits: the TAP has no more for now."""

    def count(self) -> Count:
        """What it has carried; asked often, so a good time to give up what is incomplete."""

    def close(self) -> None:
        """It will be neither used nor asked any more."""


class Outlets(Protocol):
    """Where a path's frames, messages and datagrams go."""

    @property
    def socket(self) -> UdpSocket:
        """The socket of all paths."""

    def deliver(self, frames: Sequence[memoryview], peer: PeerName) -> None:
        """Hand the kernel frames that came from a neighbour of our own kind, headers of the TAP first.

        The headers may be overwritten. What is not fit is dropped and counted.
        """

    def deliver_plain(
        self, frame: bytes, dst: PeerName, src: PeerName, peer: PeerName, notes: bytes = NO_NOTES
    ) -> bool:
        """The same for one Ethernet frame without headers, which travels from ``src`` to ``dst``.

        False if it is dropped.
        """

    def report(self, report: Arrival | Refused) -> None:
        """Tell the pure part."""

    @property
    def names(self) -> Mapping[ShortId, PeerName]:
        """Who has which short id."""


class OtherFormat(Protocol):
    """All paths of a format that is not our own."""

    def open(self, path: PathId, format: WeavePath, outlets: Outlets) -> Path:
        """A new path."""

    def take(self, datagram: memoryview, source: Endpoint) -> bool:
        """A datagram that is none of ours. False if it is nobody's."""

    def settle(self) -> None:
        """The socket has no more for now."""
