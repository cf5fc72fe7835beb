"""A daemon's side of the sleeve, as ``host.sleeve`` is: datagrams for the paths that its node has opened.

Frames are not sent. Where one would go, and whom its receiver would take for the sender, can be asked.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tulle.datapath.sleeve.orders import (
    AimPath,
    Arrival,
    ClosePath,
    Count,
    Endpoint,
    KnowPeers,
    NativePath,
    OpenPath,
    PathId,
    SendMessage,
    SleeveOrder,
)
from tulle.datapath.tables import ShortId
from tulle.mesh.peername import PeerName
from tulle.sim.internet import Datagram, Internet

LEAST = 100
"""Bytes of the smallest datagram."""


@dataclass(slots=True)
class _Path:
    id: PathId
    format: NativePath
    sent: int = 0
    received: int = 0
    expected: int = 0
    told: tuple[int, int] = (0, 0)

    def count(self) -> Count:
        return Count(self.sent, self.received, self.expected, 0)


class SleeveSide:
    """See the module text. ``report`` hears of every message."""

    def __init__(self, here: Endpoint, internet: Internet, report: Callable[[Arrival], None]) -> None:
        self._here, self._internet, self._report = here, internet, report
        self._paths: dict[PathId, _Path] = {}
        self._by_index: dict[int, _Path] = {}
        self._aims: dict[PathId, AimPath] = {}
        self._names: Mapping[ShortId, PeerName] = {}
        internet.listen(here.ip, self)

    @property
    def open_paths(self) -> int:
        """How many there are."""
        return len(self._paths)

    def carry_out(self, order: SleeveOrder) -> None:
        """Do what the node wants."""
        match order:
            case OpenPath(number, NativePath() as format):
                self._paths[number] = self._by_index[format.receive_index] = _Path(number, format)
            case ClosePath(number):
                path = self._paths.pop(number)
                self._by_index.pop(path.format.receive_index, None)
                self._aims.pop(number, None)
            case AimPath(number, short_id):
                self._aims.pop(number, None)
                if short_id is not None:
                    self._aims[number] = order
            case SendMessage():
                self._send(order)
            case KnowPeers(names):
                self._names = names

    def take(self, datagram: Datagram, source: Endpoint) -> None:
        """See ``internet.DatagramTaker``."""
        path = self._by_index.get(datagram.index)
        if path is not None:
            path.received += 1
            path.expected = max(path.expected, datagram.number)
            self._report(Arrival(path.id, datagram.message, source, datagram.size))

    def counts(self) -> dict[PathId, Count]:
        """Those of the paths that have carried anything since the last time."""
        counts = {}
        for path in self._paths.values():
            if path.told != (path.sent, path.received):
                path.told = (path.sent, path.received)
                counts[path.id] = path.count()
        return counts

    # -- frames

    def lands(self, to: ShortId) -> tuple[str, int] | None:
        """The host that a frame for this neighbour gets to, and the index of its path there.

        Of several paths to a neighbour the one aimed last has its frames.
        """
        aim = next((aim for aim in reversed(self._aims.values()) if aim.short_id == to), None)
        landing = None if aim is None else self._internet.trace(self._here, aim.endpoint)
        if aim is None or landing is None:
            return None
        return landing[0], self._paths[aim.path].format.send_index

    def sender(self, index: int) -> ShortId | None:
        """Whom a frame comes from, by the path that it came on."""
        path = self._by_index.get(index)
        if path is None:
            return None
        return next((short_id for short_id, name in self._names.items() if name == path.format.peer), None)

    def _send(self, order: SendMessage) -> None:
        path = self._paths[order.path]
        path.sent += 1
        datagram = Datagram(path.format.send_index, path.sent, order.message, max(LEAST, order.size))
        self._internet.send(self._here, order.endpoint, datagram)
