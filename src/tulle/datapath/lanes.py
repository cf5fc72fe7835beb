"""Which neighbours get a lane, a tunnel device of their own, and whether it may be used.

A lane saves work for each frame, but is a device to make and a path to probe; so only neighbours that
exchange much with us get one, and lose it when that is over. Both ends see the same traffic and come to the
same conclusion without a word: a lane is used once the other end's lane answers echoes. The kernel may use
it for a limited time only after the last word from here, so that it falls back by itself when this daemon
dies. And it ends in two steps, first without answering, so that the other end has stopped using it before
the device goes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tulle.datapath.carrier import SendFrame
from tulle.datapath.echo import Echo, EchoJudge, decode_answer
from tulle.datapath.tables import Hop, ShortId, Tables
from tulle.datapath.tapframe import ECHO_ETHERTYPE, ETHERNET_HEADER, ControlFrame, Way, decode
from tulle.errors import BadMessage
from tulle.instant import Instant

BUSY = 5_000_000
"""Bytes per second, both directions together, that earn a lane."""
QUIET = BUSY // 10
MAX_LANES = 64
IDLE = 120.0
"""Seconds with less than QUIET after which a lane ends."""
LEASE = 30.0
"""Seconds for which the kernel may use a lane without further word."""
RENEW = 10.0
TRIAL = 30.0
"""Seconds within which the other end's lane must have answered."""
REFUSED = 600.0
"""Seconds until it is tried again with a neighbour that did not."""
GRACE = 40.0
"""Seconds between the end of answers and that of the device: longer than a lease."""


@dataclass(frozen=True, slots=True)
class Make:
    """Make the device; answer with ``made`` or ``failed``."""

    peer: ShortId
    me: ShortId
    hop: Hop


@dataclass(frozen=True, slots=True)
class Use:
    """The kernel may use this lane for so many seconds; 0: no longer."""

    peer: ShortId
    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether the kernel is to answer the other end's echoes."""

    peer: ShortId
    answering: bool


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove the device."""

    peer: ShortId


LaneEvent = Make | Use | Answer | Remove | SendFrame


@dataclass(slots=True)
class _Lane:
    me: ShortId
    hop: Hop
    since: float
    busy_at: float
    judge: EchoJudge | None = None
    used: bool = False
    ever: bool = False
    renew_at: float = 0.0
    ends_at: float | None = None


@dataclass(slots=True)
class _Meter:
    """Traffic with one neighbour: a total and when it was read."""

    total: int
    at: float
    rate: float = field(default=0.0)

    def read(self, total: int, now: float) -> None:
        if now > self.at:
            self.rate = max(0, total - self.total) / (now - self.at)
        self.total, self.at = total, now


class Lanes:
    """All lanes of this host. ``uid`` is random and tells our answers from those to an earlier life."""

    def __init__(self, mtu: int, uid: int) -> None:
        self._size = mtu + ETHERNET_HEADER
        self._uid = uid
        self._lanes: dict[ShortId, _Lane] = {}
        self._meters: dict[ShortId, _Meter] = {}
        self._refused: dict[ShortId, float] = {}
        self._events: list[LaneEvent] = []

    def adopt(self, peer: ShortId, me: ShortId, hop: Hop, now: Instant) -> None:
        """An earlier daemon's lane is there, joined and answering; its lease may go on."""
        self._lanes[peer] = _Lane(me, hop, now.mono, now.mono)
        self.made(peer, now)

    def made(self, peer: ShortId, now: Instant) -> None:
        """The device is there: begin to ask."""
        self._lanes[peer].judge = EchoJudge(now.mono)

    def failed(self, peer: ShortId, now: Instant) -> None:
        """The device could not be made."""
        del self._lanes[peer]
        self._refused[peer] = now.mono + REFUSED

    def look(self, tables: Tables, totals: Mapping[ShortId, int], now: Instant) -> None:
        """Consider the traffic, every few seconds; ``totals`` are bytes both ways, of each neighbour."""
        self._measure(totals, now.mono)
        for peer in list(self._lanes):
            self._review(peer, tables, now.mono)
        for peer, hop in tables.direct.items():
            if self._deserves(peer, tables, now.mono) and tables.self_id is not None:
                self._lanes[peer] = _Lane(tables.self_id, hop, now.mono, now.mono)
                self._events.append(Make(peer, tables.self_id, hop))

    def frame(self, data: bytes, now: Instant) -> None:
        """An answer out of a lane; anything else is ignored."""
        try:
            frame = decode(data)
            echo = decode_answer(frame.payload)
        except BadMessage:
            return
        lane = self._lanes.get(frame.src)
        if lane is not None and lane.judge is not None and echo.uid == self._uid:
            lane.judge.answered(echo.sequence, now.mono)
            self._judge(frame.src, lane, now.mono)

    def tick(self, now: Instant) -> None:
        """Ask where it is time to, and judge who has not answered."""
        for peer, lane in self._lanes.items():
            if lane.judge is None or lane.ends_at is not None:
                continue
            for sequence, full in lane.judge.turn(now.mono):
                if full:
                    self._ask(peer, lane, sequence)
            self._judge(peer, lane, now.mono)

    def next_deadline(self) -> float:
        """When ``tick`` has something to do."""
        turns = [
            lane.judge.next_turn
            for lane in self._lanes.values()
            if lane.judge is not None and lane.ends_at is None
        ]
        return min(turns, default=float("inf"))

    def collect(self) -> list[LaneEvent]:
        """What is to be done, in order."""
        events, self._events = self._events, []
        return events

    def in_use(self) -> tuple[ShortId, ...]:
        """The peers whose lanes carry frames."""
        return tuple(peer for peer, lane in self._lanes.items() if lane.used)

    def _measure(self, totals: Mapping[ShortId, int], now: float) -> None:
        for peer, total in totals.items():
            self._meters.setdefault(peer, _Meter(total, now)).read(total, now)
        for peer in self._meters.keys() - totals.keys():
            del self._meters[peer]

    def _rate(self, peer: ShortId) -> float:
        return self._meters[peer].rate if peer in self._meters else 0.0

    def _deserves(self, peer: ShortId, tables: Tables, now: float) -> bool:
        if peer in self._lanes or len(self._lanes) >= MAX_LANES or self._refused.get(peer, now) > now:
            return False
        return _is_direct(peer, tables) and self._rate(peer) >= BUSY

    def _review(self, peer: ShortId, tables: Tables, now: float) -> None:
        lane = self._lanes[peer]
        if self._rate(peer) >= QUIET:
            lane.busy_at = now
        if lane.ends_at is not None:
            if now >= lane.ends_at:
                del self._lanes[peer]
                self._events.append(Remove(peer))
            return
        if lane.judge is None:
            return
        same = lane.me == tables.self_id and tables.direct.get(peer) == lane.hop and _is_direct(peer, tables)
        hopeless = not lane.ever and now - lane.since > TRIAL
        if hopeless:
            self._refused[peer] = now + REFUSED
        if hopeless or not same or now - lane.busy_at > IDLE:
            self._end(peer, lane, now)

    def _end(self, peer: ShortId, lane: _Lane, now: float) -> None:
        if lane.used:
            lane.used = False
            self._events.append(Use(peer, 0))
        lane.ends_at = now + GRACE
        self._events.append(Answer(peer, answering=False))

    def _judge(self, peer: ShortId, lane: _Lane, now: float) -> None:
        healthy = lane.judge is not None and lane.judge.healthy and lane.ends_at is None
        if healthy and (not lane.used or now >= lane.renew_at):
            lane.used = lane.ever = True
            lane.renew_at = now + RENEW
            self._events.append(Use(peer, LEASE))
        elif lane.used and not healthy:
            lane.used = False
            self._events.append(Use(peer, 0))

    def _ask(self, peer: ShortId, lane: _Lane, sequence: int) -> None:
        payload = Echo(self._uid, sequence, self._size).encode()
        self._events.append(
            SendFrame(ControlFrame(peer, lane.me, ECHO_ETHERTYPE, payload, way=Way.LANE).encode())
        )


def _is_direct(peer: ShortId, tables: Tables) -> bool:
    """Whether frames for this peer go straight to it."""
    route, neighbour = tables.routes.get(peer), tables.direct.get(peer)
    return route is not None and neighbour is not None and route.id == neighbour.id
