"""What the two ends of one sleeve path have to say to each other, whatever the format.

``SleeveCarrier`` keeps one conversation per path: a native one towards peers of our own kind, one in Weave
Net's format towards others. A conversation finds out, for ever, whether its path works and what passes
through it. It is pure, and what it wants comes out of ``collect``.
"""

from dataclasses import dataclass
from typing import Protocol

from tulle.datapath.carrier import CarrierStatus
from tulle.datapath.sleeve.orders import AimPath, Arrival, Count, Endpoint, PathId, SendMessage
from tulle.datapath.tables import ShortId
from tulle.instant import Instant


@dataclass(frozen=True, slots=True)
class Setup:
    """What a conversation is told at its beginning.

    ``conn_uid`` is the number of the link at both ends (0 without a link). ``leads``: this end dialled, so it
    speaks first. ``encrypted``: the path has keys. ``candidates`` are addresses at which the other end may be
    found; without any, it must be waited for. ``mtu`` is the overlay's, ``port`` our UDP port (for texts).
    ``ordinal`` counts the paths of this host, to spread what they do over time.
    """

    path: PathId
    conn_uid: int
    leads: bool
    encrypted: bool
    candidates: tuple[Endpoint, ...]
    short_id: ShortId | None
    mtu: int
    port: int
    ordinal: int


@dataclass(frozen=True, slots=True)
class Works:
    """Frames get through, in both directions; packets of up to ``mtu`` bytes."""

    mtu: int


@dataclass(frozen=True, slots=True)
class Fails:
    """They do no longer; the conversation goes on trying."""

    reason: str


@dataclass(frozen=True, slots=True)
class Tell:
    """A control message for the other end, over TCP."""

    tag: int
    payload: bytes


Utterance = SendMessage | AimPath | Works | Fails | Tell
"""``OpenPath`` and ``ClosePath`` are the carrier's business."""


class Conversation(Protocol):
    """One path. All calls are told the time; after each, look at ``collect`` and ``next_deadline``."""

    def start(self, now: Instant) -> None:
        """The path is open: begin."""

    def short_id_changed(self, short_id: ShortId | None, now: Instant) -> None:
        """The peer has another short id (see ``AimPath``), or none any more: then no frames can go there."""

    def control(self, tag: int, payload: bytes, now: Instant) -> None:
        """A control message from the other end, over TCP. What it does not know it ignores."""

    def arrived(self, arrival: Arrival, now: Instant) -> None:
        """A message over the path. Anything may be in it; what makes no sense is ignored."""

    def doubt(self, now: Instant) -> None:
        """Another way to the other end has gone silent: find out soon whether this path still works."""

    def stand_by(self, standing_by: bool, now: Instant) -> None:
        """Whether frames for the peer go another way at present, so that this one need not be asked often."""

    def counted(self, count: Count, now: Instant) -> None:
        """What the path has carried by now."""

    def refused(self, mtu: int, now: Instant) -> None:
        """The kernel would not send a message of ours: it knows that IP packets of ``mtu`` bytes pass."""

    def candidates(self, found: tuple[Endpoint, ...], now: Instant) -> None:
        """The other end may be found at these addresses as well."""

    def tick(self, now: Instant) -> None:
        """Do what is due."""

    def next_deadline(self) -> float:
        """When ``tick`` has something to do (monotonic)."""

    def busy_until(self) -> float:
        """When frames last passed, or a little later (monotonic); perhaps never, where nobody asks."""

    def status(self) -> CarrierStatus:
        """How it stands."""

    def observed(self) -> Endpoint | None:
        """The address from which the other end says that it sees us."""

    def collect(self) -> list[Utterance]:
        """What happened and what is to be done since the last call, in order."""
