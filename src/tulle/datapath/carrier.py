"""Carriers: the ways in which frames travel between two hosts, and the seam behind which each of them lives.

A carrier is told of links (the mesh's TCP connections) and finds out by itself, for ever, whether its way to
the other end works. It is pure: what it wants done comes out of ``collect``. Which carrier's way is used is
not its business.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from tulle.datapath.sleeve.orders import PathId, SleeveOrder
from tulle.datapath.tables import CarrierKind, ShortId
from tulle.instant import Instant
from tulle.mesh.events import LinkId
from tulle.mesh.peername import PeerName

EARLY = 0.025
"""What is due within so many seconds is done at once, so that many paths are served in few turns."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What a carrier must know of a link and the peer at its other end.

    ``native``: the peer is of our own kind, so its kernel answers echoes. ``secret``: what passes between
    these two must be encrypted. ``conn_uid`` is the number that both ends have for this link, and
    ``session_key`` its secret (None without a password). ``outbound``: we dialled, and ``remote_port`` is the
    peer's mesh port. ``translated``: a router between changes addresses (NAT).
    """

    link: LinkId
    peer: PeerName
    short_id: ShortId | None
    remote_ip: str
    local_ip: str
    conn_uid: int
    native: bool
    secret: bool
    session_key: bytes | None = field(default=None, repr=False)
    outbound: bool = False
    remote_port: int = 0
    translated: bool = False


class CarrierState(StrEnum):
    """How a carrier stands with one link."""

    TRYING = "trying"
    ESTABLISHED = "established"
    LOST = "lost"
    UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True)
class CarrierStatus:
    """For people. ``mtu`` is the largest packet that passes, ``rtt`` in seconds; None where not known.

    ``reason`` says in one clause why the state is not "established"; empty if it is. ``path_mtu`` is that of
    the network beneath, where the carrier looks for it; ``loss`` the share of datagrams that is lost there.
    """

    state: CarrierState
    mtu: int | None
    rtt: float | None
    encrypted: bool
    reason: str
    path_mtu: int | None = None
    loss: float | None = None


@dataclass(frozen=True, slots=True)
class Established:
    """The way to this link's peer works, for packets of up to ``mtu`` bytes."""

    link: LinkId
    mtu: int


@dataclass(frozen=True, slots=True)
class Lost:
    """It works no longer; the carrier goes on trying."""

    link: LinkId
    reason: str


@dataclass(frozen=True, slots=True)
class Silent:
    """An answer from this link's peer has not come in time. It may mean nothing, or the end of every way."""

    link: LinkId


@dataclass(frozen=True, slots=True)
class SendControl:
    """A message to the carrier at the link's other end, over TCP."""

    link: LinkId
    tag: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class SendFrame:
    """Bytes to write into the TAP."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """The kernel of this peer has answered an echo that was not about a link (see ``Carrier.watch``)."""

    short_id: ShortId


@dataclass(frozen=True, slots=True)
class Met:
    """A path to a peer without a link works (see ``SleeveCarrier.introduce``)."""

    path: PathId
    peer: PeerName


@dataclass(frozen=True, slots=True)
class Parted:
    """It works no longer; unless it is ended, the carrier goes on trying."""

    path: PathId
    peer: PeerName
    reason: str


CarrierEvent = Established | Lost | Silent | SendControl | SendFrame | Answered | SleeveOrder | Met | Parted


class Carrier(Protocol):
    """One way of carrying frames, for all links.

    The tables must name a neighbour as ``direct`` as soon as ``link_up`` was called for it.
    """

    name: str
    kind: CarrierKind

    def link_up(self, neighbour: Neighbour, now: Instant) -> None:
        """A link is up: find out whether its peer can be reached this way."""

    def link_down(self, link: LinkId, now: Instant) -> None:
        """A link is gone."""

    def short_id_changed(self, link: LinkId, short_id: ShortId | None, now: Instant) -> None:
        """The peer at this link's other end has another short id, or none any more."""

    def control(self, link: LinkId, tag: int, payload: bytes, now: Instant) -> None:
        """A message from the carrier at the other end. What it does not know it ignores."""

    def lacks(self, link: LinkId) -> int | None:
        """The path MTU that a link needs for this carrier, if nothing but that is in its way; else None."""

    def doubt(self, link: LinkId, now: Instant) -> None:
        """Another way to this link's peer has gone silent: find out soon whether ours still works."""

    def frame(self, data: bytes, now: Instant) -> None:
        """A frame that came out of the TAP. What is not for it, it ignores."""

    def tick(self, now: Instant) -> None:
        """Do what is due. Before it, give the carrier all frames that wait in the TAP."""

    def next_deadline(self) -> float:
        """When ``tick`` has something to do (monotonic)."""

    def status(self, link: LinkId) -> CarrierStatus:
        """How it stands with a link that is up."""

    def collect(self) -> list[CarrierEvent]:
        """What happened and what is to be done since the last call, in order."""
