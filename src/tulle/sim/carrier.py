"""A carrier whose paths are judged by asking the simulated network, without a frame being sent.

Echoes twice a second on each of 300 x 299 paths would be nearly all that a simulation does. This one knows
what they would find out, and says it as late as they would.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tulle.datapath.carrier import (
    CarrierEvent,
    CarrierState,
    CarrierStatus,
    Established,
    Lost,
    Neighbour,
)
from tulle.datapath.tables import CarrierKind, ShortId
from tulle.instant import Instant
from tulle.mesh.events import LinkId

MTU = 1376
FOUND_AFTER = 0.05
"""Seconds until echoes have shown that a path works."""
LOST_AFTER = 1.6
"""Seconds until enough of them were not answered."""


@dataclass(slots=True)
class _Path:
    neighbour: Neighbour
    works: bool = False


class ReachCarrier:
    """See ``datapath.carrier.Carrier``. ``reaches`` says whether frames pass both ways now."""

    name = "fastdp"
    kind = CarrierKind.VXLAN

    def __init__(self, reaches: Callable[[str, str], bool]) -> None:
        self._reaches = reaches
        self._paths: dict[LinkId, _Path] = {}
        self._look: dict[LinkId, float] = {}
        self._events: list[CarrierEvent] = []

    def disturb(self, now: Instant) -> None:
        """Some path of the network is another than before."""
        for link, path in self._paths.items():
            works = self._reaches(path.neighbour.local_ip, path.neighbour.remote_ip)
            if works != path.works:
                self._look.setdefault(link, now.mono + (FOUND_AFTER if works else LOST_AFTER))

    def link_up(self, neighbour: Neighbour, now: Instant) -> None:
        """See ``Carrier``."""
        self._paths[neighbour.link] = _Path(neighbour)
        self._look[neighbour.link] = now.mono + FOUND_AFTER

    def link_down(self, link: LinkId, now: Instant) -> None:
        """See ``Carrier``."""
        self._paths.pop(link, None)
        self._look.pop(link, None)

    def short_id_changed(self, link: LinkId, short_id: ShortId | None, now: Instant) -> None:
        """Short ids mean nothing here."""

    def own_short_id(self, short_id: ShortId, now: Instant) -> None:
        """Short ids mean nothing here."""

    def watch(self, targets: Mapping[ShortId, bool], now: Instant) -> None:
        """Ghosts are not asked: nobody answers, so they are given up in time."""

    def control(self, link: LinkId, tag: int, payload: bytes, now: Instant) -> None:
        """The other end has nothing to say."""

    def frame(self, data: bytes, now: Instant) -> None:
        """There are no frames."""

    def tick(self, now: Instant) -> None:
        """Look at the paths that it is time to look at."""
        if now.mono < self.next_deadline():
            return
        due = [link for link, at in self._look.items() if at <= now.mono]
        for link in due:
            del self._look[link]
            path = self._paths[link]
            works = self._reaches(path.neighbour.local_ip, path.neighbour.remote_ip)
            if works != path.works:
                path.works = works
                self._events.append(Established(link, MTU) if works else Lost(link, "no frames pass"))

    def next_deadline(self) -> float:
        """See ``Carrier``."""
        return min(self._look.values(), default=math.inf)

    def status(self, link: LinkId) -> CarrierStatus:
        """See ``Carrier``."""
        if self._paths[link].works:
            return CarrierStatus(CarrierState.ESTABLISHED, MTU, None, False, "")
        if self._paths[link].neighbour.translated:
            return CarrierStatus(CarrierState.UNUSABLE, None, None, False, "a router translates addresses")
        return CarrierStatus(CarrierState.TRYING, None, None, False, "no frames pass")

    def lacks(self, link: LinkId) -> int | None:
        """No path is too narrow here."""
        return None

    def collect(self) -> list[CarrierEvent]:
        """See ``Carrier``."""
        events, self._events = self._events, []
        return events
