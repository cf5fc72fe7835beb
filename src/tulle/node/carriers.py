"""The carriers of one node, and which of them takes the frames to each neighbour.

Carriers stand in order of preference, and a link's ``Course`` says which of those that work is used. The link
counts as established while there is one. Every change is said with its reason.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tulle.datapath.carrier import (
    Answered,
    Carrier,
    CarrierState,
    CarrierStatus,
    Established,
    Lost,
    Met,
    Neighbour,
    Parted,
    SendControl,
    SendFrame,
    Silent,
)
from tulle.datapath.sleeve.orders import SleeveOrder
from tulle.datapath.tables import CarrierKind, ShortId
from tulle.instant import Instant
from tulle.mesh.events import LinkDown, LinkId, LinkUp
from tulle.mesh.peername import PeerName
from tulle.node.course import Course


@dataclass(frozen=True, slots=True)
class Chosen:
    """This link's frames go by another carrier now than ``before``, or by none (``carrier`` None)."""

    link: LinkId
    peer: PeerName
    before: str | None
    carrier: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Widened:
    """This link's path lets bigger packets through than the kernel remembers from when it was narrower."""

    link: LinkId


@dataclass(frozen=True, slots=True)
class Doubtful:
    """This link is new, and no carrier has got frames through: perhaps nobody is there any more."""

    link: LinkId


WIDTHS_PACE = 5.0
"""Seconds between two looks for such links."""

Happening = Chosen | Doubtful | Widened | SendFrame | Answered | SendControl | SleeveOrder | Met | Parted


class Carriers:
    """All carriers, told of all links."""

    def __init__(self, carriers: Sequence[Carrier]) -> None:
        self._carriers = {carrier.name: carrier for carrier in carriers}
        self.courses: dict[LinkId, Course] = {}
        self._chosen: list[tuple[str, Chosen | Doubtful]] = []
        self._widths_at = 0.0

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
            translated=event.translated,
            secret=event.session_key is not None and not event.both_trusted,
            session_key=event.session_key,
            outbound=event.outbound,
            remote_port=event.remote_port,
        )
        carriers = self._of(event.carriers)
        for carrier in carriers:
            carrier.link_up(neighbour, now)
        states = {carrier.name: carrier.status(event.link).state for carrier in carriers}
        hopeful = [name for name, state in states.items() if state is not CarrierState.UNUSABLE]
        self.courses[event.link] = Course(neighbour, event.carriers, hopeful, now.mono)

    def link_down(self, event: LinkDown, now: Instant) -> None:
        """A link is gone."""
        course = self.courses.pop(event.link, None)
        if course is not None:
            for carrier in self._of(course.offered):
                carrier.link_down(event.link, now)

    def short_id_changed(self, link: LinkId, short_id: ShortId | None, now: Instant) -> None:
        """The peer at the other end has another short id."""
        course = self.courses[link]
        if course.neighbour.short_id == short_id:
            return
        course.neighbour = replace(course.neighbour, short_id=short_id)
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
        """Do what is due, and go back to better carriers that have proven themselves."""
        for carrier in self._carriers.values():
            carrier.tick(now)
        for link, course in self.courses.items():
            if course.next_review() <= now.mono:
                self._choose(link, "it has worked for a while", now)
                if course.is_doubtful(now.mono):
                    self._chosen.append(("", Doubtful(link)))

    def next_deadline(self) -> float:
        """When ``tick`` has something to do."""
        reviews = [course.next_review() for course in self.courses.values()]
        return min(math.inf, *reviews, *[carrier.next_deadline() for carrier in self._carriers.values()])

    def kind(self, link: LinkId) -> CarrierKind | None:
        """Which carrier takes the frames of this link."""
        course = self.courses.get(link)
        return None if course is None or course.chosen is None else self._carriers[course.chosen].kind

    def chosen(self, link: LinkId) -> str | None:
        """The name of that carrier."""
        course = self.courses.get(link)
        return None if course is None else course.chosen

    def statuses(self, link: LinkId, now: float) -> list[tuple[str, CarrierStatus]]:
        """How each carrier of a link stands, best first; of one on trial the reason says so.

        ``now`` is monotonic.
        """
        course = self.courses.get(link)
        if course is None:
            return []
        return [
            (one.name, _on_trial(course, one.name, one.status(link), now)) for one in self._of(course.offered)
        ]

    def collect(self, now: Instant) -> list[tuple[str, Happening]]:
        """What happened, with the carrier's name. A choice comes after all that it rests on.

        What was to be said over a link that has ended in the meantime is left unsaid.
        """
        happenings: list[tuple[str, Happening]] = []
        for name, carrier in self._carriers.items():
            for event in carrier.collect():
                if isinstance(event, Established | Lost):
                    self._judge(name, event, now)
                elif isinstance(event, Silent):
                    self._doubt_others(name, event.link, now)
                elif not (isinstance(event, SendControl) and event.link not in self.courses):
                    happenings.append((name, event))
        chosen, self._chosen = self._chosen, []
        return [*happenings, *chosen, *self._widened(now.mono)]

    def _judge(self, name: str, event: Established | Lost, now: Instant) -> None:
        course = self.courses.get(event.link)
        if course is None:
            return
        if isinstance(event, Established):
            course.works(name, now.mono)
            self._choose(event.link, f"full-size frames pass (mtu {event.mtu})", now)
        else:
            course.fails(name, now.mono)
            self._choose(event.link, event.reason, now)

    def _widened(self, now: float) -> list[tuple[str, Widened]]:
        """Links on which a carrier fails for the size of its packets, while another finds that they fit."""
        if now < self._widths_at:
            return []
        self._widths_at = now + WIDTHS_PACE
        return [
            (carrier.name, Widened(link))
            for link, course in self.courses.items()
            for carrier in self._of(course.offered)
            if (lacking := carrier.lacks(link)) is not None and self._width(link, course) >= lacking
        ]

    def _width(self, link: LinkId, course: Course) -> int:
        """The path MTU as the carriers of a link have measured it, 0 if none has."""
        return max((carrier.status(link).path_mtu or 0 for carrier in self._of(course.offered)), default=0)

    def _doubt_others(self, name: str, link: LinkId, now: Instant) -> None:
        """What silences one carrier may have cut the others as well; that must not be found out later."""
        course = self.courses.get(link)
        for carrier in self._of(course.offered) if course is not None else ():
            if carrier.name != name:
                carrier.doubt(link, now)

    def _choose(self, link: LinkId, reason: str, now: Instant) -> None:
        course = self.courses[link]
        best, before = course.best(now.mono), course.chosen
        if best != before:
            course.chosen = best
            chosen = Chosen(link, course.neighbour.peer, before, best, reason)
            self._chosen.append((best or before or "", chosen))

    def _of(self, offered: Sequence[str]) -> list[Carrier]:
        return [self._carriers[name] for name in offered if name in self._carriers]


def _on_trial(course: Course, name: str, status: CarrierStatus, now: float) -> CarrierStatus:
    rest = course.trial(name, now)
    if rest is None:
        return status
    return replace(status, reason=f"works again; will be used if it goes on so for {math.ceil(rest)} s")
