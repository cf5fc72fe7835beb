"""The carriers of one node, and which of them takes the frames to each neighbour.

Carriers stand in order of preference. The first one that works for a link carries its frames; the link counts
as established while there is one. Every change is said with its reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tulle.datapath.carrier import (
    Answered,
    Carrier,
    CarrierEvent,
    CarrierStatus,
    Established,
    Lost,
    Met,
    Neighbour,
    Parted,
    SendControl,
    SendFrame,
)
from tulle.datapath.sleeve.orders import SleeveOrder
from tulle.datapath.tables import CarrierKind, ShortId
from tulle.instant import Instant
from tulle.mesh.events import LinkDown, LinkId, LinkUp
from tulle.mesh.peername import PeerName


@dataclass(slots=True)
class Course:
    """A link, and the carriers that both its ends have, best first."""

    neighbour: Neighbour
    offered: tuple[str, ...]
    working: set[str] = field(default_factory=set)
    chosen: str | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """This link's frames go by another carrier now, or by none (``carrier`` None)."""

    link: LinkId
    peer: PeerName
    carrier: str | None
    reason: str


Happening = Chosen | SendFrame | Answered | SendControl | SleeveOrder | Met | Parted


class Carriers:
    """All carriers, told of all links."""

    def __init__(self, carriers: Sequence[Carrier]) -> None:
        self._carriers = {carrier.name: carrier for carrier in carriers}
        self.courses: dict[LinkId, Course] = {}

    def link_up(self, event: LinkUp, short_id: ShortId | None, now: Instant) -> None:
        """A link is up: every carrier that both ends have begins to try."""
        neighbour = Neighbour(
            link=event.link,
            peer=event.peer,
            short_id=short_id,
            remote_ip=event.remote_ip,
            local_ip=event.local_ip,
            conn_uid=event.conn_uid,
            native=event.native,
            secret=event.session_key is not None and not event.both_trusted,
            session_key=event.session_key,
            outbound=event.outbound,
            remote_port=event.remote_port,
        )
        self.courses[event.link] = Course(neighbour, event.carriers)
        for carrier in self._of(event.carriers):
            carrier.link_up(neighbour, now)

    def link_down(self, event: LinkDown, now: Instant) -> None:
        """A link is gone."""
        course = self.courses.pop(event.link, None)
        if course is not None:
            for carrier in self._of(course.offered):
                carrier.link_down(event.link, now)

    def short_id_changed(self, link: LinkId, short_id: ShortId | None, now: Instant) -> None:
        """The peer at the other end has another short id."""
        course = self.courses[link]
        for carrier in self._of(course.offered):
            carrier.short_id_changed(link, short_id, now)

    def control(self, link: LinkId, index: int, tag: int, payload: bytes, now: Instant) -> None:
        """A message for the carrier that both ends call ``index`` on this link."""
        course = self.courses.get(link)
        if course is not None and index < len(course.offered) and course.offered[index] in self._carriers:
            self._carriers[course.offered[index]].control(link, tag, payload, now)

    def index(self, link: LinkId, carrier: str) -> int:
        """What both ends call this carrier on this link."""
        return self.courses[link].offered.index(carrier)

    def frame(self, data: bytes, now: Instant) -> None:
        """A frame from the TAP; the carrier that it is for knows its own."""
        for carrier in self._carriers.values():
            carrier.frame(data, now)

    def tick(self, now: Instant) -> None:
        """Do what is due."""
        for carrier in self._carriers.values():
            carrier.tick(now)

    def next_deadline(self) -> float:
        """When ``tick`` has something to do."""
        return min((carrier.next_deadline() for carrier in self._carriers.values()), default=float("inf"))

    def kind(self, link: LinkId) -> CarrierKind | None:
        """Which carrier takes the frames of this link."""
        course = self.courses.get(link)
        return None if course is None or course.chosen is None else self._carriers[course.chosen].kind

    def statuses(self, link: LinkId) -> list[tuple[str, CarrierStatus]]:
        """How each carrier of a link stands, best first."""
        course = self.courses.get(link)
        return [] if course is None else [(one.name, one.status(link)) for one in self._of(course.offered)]

    def collect(self) -> list[tuple[str, Happening]]:
        """What happened, with the carrier's name."""
        happenings: list[tuple[str, Happening]] = []
        for name, carrier in self._carriers.items():
            for event in carrier.collect():
                happening = self._judge(name, event)
                if happening is not None:
                    happenings.append((name, happening))
        return happenings

    def _judge(self, name: str, event: CarrierEvent) -> Happening | None:
        if not isinstance(event, Established | Lost):
            return event
        course = self.courses.get(event.link)
        if course is None:
            return None
        if isinstance(event, Established):
            course.working.add(name)
        else:
            course.working.discard(name)
        best = next((one for one in course.offered if one in course.working), None)
        if best == course.chosen:
            return None
        course.chosen = best
        reason = event.reason if isinstance(event, Lost) else f"full-size frames pass (mtu {event.mtu})"
        return Chosen(event.link, course.neighbour.peer, best, reason)

    def _of(self, offered: Sequence[str]) -> list[Carrier]:
        return [self._carriers[name] for name in offered if name in self._carriers]
