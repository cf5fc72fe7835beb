"""The carrier in user space: one path beside each link, and paths to peers that have no link with us.

What happens on a path is its conversation's business; here is which paths there are, and whose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tulle.datapath.carrier import (
    EARLY,
    CarrierEvent,
    CarrierStatus,
    Established,
    Lost,
    Met,
    Neighbour,
    Parted,
    SendControl,
)
from tulle.datapath.sleeve.conversation import Conversation, Fails, Setup, Tell, Utterance, Works
from tulle.datapath.sleeve.derivation import link_path
from tulle.datapath.sleeve.native import NativeConversation
from tulle.datapath.sleeve.orders import (
    Arrival,
    ClosePath,
    Count,
    Endpoint,
    NativePath,
    OpenPath,
    PathId,
    Refused,
    WeavePath,
)
from tulle.datapath.sleeve.weave import WeaveConversation
from tulle.datapath.tables import CarrierKind, ShortId
from tulle.instant import Instant
from tulle.mesh.events import LinkId
from tulle.mesh.peername import PeerName


@dataclass(slots=True)
class _Path:
    id: PathId
    peer: PeerName
    link: LinkId | None
    conversation: Conversation
    due: float
    """When its conversation has something to do."""


class SleeveCarrier:
    """See ``carrier.Carrier``. ``mtu`` is the overlay's, ``port`` our UDP port (for texts)."""

    name = "sleeve"
    kind = CarrierKind.SLEEVE

    def __init__(self, me: PeerName, mtu: int, port: int) -> None:
        self._me = me
        self._mtu = mtu
        self._port = port
        self._paths: dict[PathId, _Path] = {}
        self._by_link: dict[LinkId, _Path] = {}
        self._opened = 0
        self._events: list[CarrierEvent] = []

    # Links

    def link_up(self, neighbour: Neighbour, now: Instant) -> None:
        """A link is up: open the path beside it, and begin to ask."""
        told = (Endpoint(neighbour.remote_ip, neighbour.remote_port),) if neighbour.outbound else ()
        setup = Setup(
            path=self._next_id(),
            conn_uid=neighbour.conn_uid,
            leads=neighbour.outbound,
            encrypted=neighbour.secret,
            candidates=told,
            short_id=neighbour.short_id,
            mtu=self._mtu,
            port=self._port,
            ordinal=len(self._paths),
        )
        if neighbour.native:
            path = self._open(setup, neighbour.peer, link_path(neighbour), now, neighbour.link)
        else:
            key = neighbour.session_key if neighbour.secret else None
            weave = WeavePath(self._me, neighbour.peer, key, neighbour.outbound)
            path = self._open(setup, neighbour.peer, weave, now, neighbour.link)
        self._by_link[neighbour.link] = path

    def link_down(self, link: LinkId, now: Instant) -> None:
        """A link is gone, and its path with it."""
        path = self._by_link.pop(link, None)
        if path is not None:
            self._close(path)

    def short_id_changed(self, link: LinkId, short_id: ShortId | None, now: Instant) -> None:
        """See ``Carrier``."""
        path = self._by_link.get(link)
        if path is not None:
            path.conversation.short_id_changed(short_id, now)
            self._hear(path)

    def control(self, link: LinkId, tag: int, payload: bytes, now: Instant) -> None:
        """See ``Carrier``."""
        path = self._by_link.get(link)
        if path is not None:
            path.conversation.control(tag, payload, now)
            self._hear(path)

    def lacks(self, link: LinkId) -> int | None:
        """Any size will do."""
        return None

    def doubt(self, link: LinkId, now: Instant) -> None:
        """See ``Carrier``."""
        path = self._by_link.get(link)
        if path is not None:
            path.conversation.doubt(now)
            self._hear(path)

    def stand_by(self, link: LinkId, standing_by: bool, now: Instant) -> None:
        """Whether another carrier takes the frames of this link."""
        path = self._by_link.get(link)
        if path is not None:
            path.conversation.stand_by(standing_by, now)
            self._hear(path)

    def frame(self, data: bytes, now: Instant) -> None:
        """Nothing that comes out of the TAP for the daemon is for the sleeve."""

    def status(self, link: LinkId) -> CarrierStatus:
        """How it stands with a link."""
        return self._by_link[link].conversation.status()

    # Peers without a link

    def introduce(
        self,
        peer: PeerName,
        short_id: ShortId | None,
        format: NativePath,
        candidates: Sequence[Endpoint],
        now: Instant,
    ) -> PathId:
        """Look for a way to a peer that looks for us at the same time; ``Met`` says that there is one.

        Both ends have the same indexes and keys; the one with the lower name leads.
        """
        setup = Setup(
            path=self._next_id(),
            conn_uid=0,
            leads=self._me < peer,
            encrypted=format.keys is not None,
            candidates=tuple(candidates),
            short_id=short_id,
            mtu=self._mtu,
            port=self._port,
            ordinal=len(self._paths),
        )
        return self._open(setup, peer, format, now, None).id

    def add_candidates(self, path: PathId, candidates: Sequence[Endpoint], now: Instant) -> None:
        """The other end may be found at these addresses as well."""
        known = self._paths.get(path)
        if known is not None:
            known.conversation.candidates(tuple(candidates), now)
            self._hear(known)

    def rename(self, path: PathId, short_id: ShortId | None, now: Instant) -> None:
        """The peer at the end of a path without a link has another short id, or none any more."""
        known = self._paths.get(path)
        if known is not None:
            known.conversation.short_id_changed(short_id, now)
            self._hear(known)

    def part(self, path: PathId) -> None:
        """End a path without a link; nothing more is said of it."""
        known = self._paths.get(path)
        if known is not None and known.link is None:
            self._close(known)

    def path_status(self, path: PathId) -> CarrierStatus:
        """How it stands with any path."""
        return self._paths[path].conversation.status()

    def busy_until(self, path: PathId) -> float:
        """When frames last passed by any path, or a few seconds later (monotonic)."""
        return self._paths[path].conversation.busy_until()

    # What other ends see

    def observed(self, path: PathId) -> Endpoint | None:
        """The address from which the other end of this path says that it sees us."""
        known = self._paths.get(path)
        return None if known is None else known.conversation.observed()

    def sightings(self) -> Mapping[PeerName, Endpoint]:
        """The same of each neighbour with a link that has said so."""
        seen = {path.peer: path.conversation.observed() for path in self._by_link.values()}
        return {peer: endpoint for peer, endpoint in seen.items() if endpoint is not None}

    # What comes from the sockets, and time

    def arrived(self, arrival: Arrival, now: Instant) -> None:
        """A message over a path."""
        path = self._paths.get(arrival.path)
        if path is not None:
            path.conversation.arrived(arrival, now)
            self._hear(path)

    def counted(self, counts: Mapping[PathId, Count], now: Instant) -> None:
        """What paths have carried by now; those not in it have carried nothing since the last time."""
        for number, count in counts.items():
            path = self._paths.get(number)
            if path is not None:
                path.conversation.counted(count, now)
                self._hear(path)

    def refused(self, refusal: Refused, now: Instant) -> None:
        """The kernel would not send a message."""
        path = self._paths.get(refusal.path)
        if path is not None:
            path.conversation.refused(refusal.mtu, now)
            self._hear(path)

    def tick(self, now: Instant) -> None:
        """Do what is due."""
        for path in list(self._paths.values()):
            if path.due <= now.mono + EARLY:
                path.conversation.tick(now)
                self._hear(path)

    def next_deadline(self) -> float:
        """The earliest time at which something is due."""
        return min((path.due for path in self._paths.values()), default=float("inf"))

    def collect(self) -> list[CarrierEvent]:
        """See ``Carrier.collect``; the orders for the sockets are among the events."""
        events, self._events = self._events, []
        return events

    # Inside

    def _next_id(self) -> PathId:
        self._opened += 1
        return PathId(self._opened)

    def _open(
        self,
        setup: Setup,
        peer: PeerName,
        format: NativePath | WeavePath,
        now: Instant,
        link: LinkId | None,
    ) -> _Path:
        native = isinstance(format, NativePath)
        conversation = NativeConversation(setup, now) if native else WeaveConversation(setup)
        path = _Path(setup.path, peer, link, conversation, now.mono)
        self._paths[path.id] = path
        self._events.append(OpenPath(path.id, format))
        conversation.start(now)
        self._hear(path)
        return path

    def _close(self, path: _Path) -> None:
        del self._paths[path.id]
        self._events.append(ClosePath(path.id))

    def _hear(self, path: _Path) -> None:
        """After anything that a conversation was told: pass on what it has to say."""
        path.due = path.conversation.next_deadline()
        self._events += [self._event(path, said) for said in path.conversation.collect()]

    def _event(self, path: _Path, said: Utterance) -> CarrierEvent:
        match said:
            case Works(mtu):
                return Met(path.id, path.peer) if path.link is None else Established(path.link, mtu)
            case Fails(reason):
                if path.link is None:
                    return Parted(path.id, path.peer, reason)
                return Lost(path.link, reason)
            case Tell(tag, payload):
                assert path.link is not None, "only links have control messages"
                return SendControl(path.link, tag, payload)
            case _:
                return said
