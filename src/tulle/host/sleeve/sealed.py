"""Frames that others relay, sealed so that only their receiver can open them.

A frame that starts here and goes to a peer over another is sealed as on any path (``outward``). Its datagrams
do not go into the socket, though, but into a frame of their own (``parcels``), which takes the way that the
frame would have taken. Relays see an ordinary frame for somebody else. At the receiver the datagrams come out
and are opened (``inward``).

A *session* is what one sender seals for one receiver while both have the keys that they have. Its number is
drawn by the sender, and stands where the index of a path does; the secret follows from it and from what the
two ends have in common. So nothing has to be said before the first frame.
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tulle.datapath.sleeve.derivation import session_secret
from tulle.datapath.sleeve.orders import AimPath, Endpoint, Keys, NativePath, PathId, SealBetween
from tulle.datapath.tables import ShortId
from tulle.host.sleeve import vnet
from tulle.host.sleeve.batch import Batch
from tulle.host.sleeve.inward import Inward
from tulle.host.sleeve.outward import Outward
from tulle.host.sleeve.parcels import BIGGEST, HEADERS, Packets, unpack
from tulle.host.sleeve.vnet import ETHERNET, PREFIX
from tulle.host.sleeve.workshop import Workshop
from tulle.mesh.peername import PeerName

GROUP = 8
"""Datagrams that depend on each other: how much is lost on the whole way nobody measures."""

MOST_SESSIONS = 8
"""That one peer can have opened; it begins a new one when keys change, or it has not seen us for long."""

_NOWHERE = Endpoint("0.0.0.0", 0)


class Outlets(Protocol):
    """What is used of the sleeve."""

    @property
    def names(self) -> Mapping[ShortId, PeerName]:
        """Who has which short id."""

    def pass_on(self, frame: memoryview, neighbour: int) -> None:
        """Send a frame of ours to a neighbour."""

    def deliver_here(self, frames: Sequence[memoryview], peer: PeerName) -> None:
        """Hand the kernel frames for this host that ``peer`` sent."""


@dataclass(slots=True)
class _Sender:
    """Our session towards a peer, and where its frames go."""

    packets: Packets
    outward: Outward


class _Receiver:
    """A session of a peer's. ``proven``: it had something that we could open."""

    def __init__(self, sealed: "Sealed", peer: PeerName, inward: Inward) -> None:
        self._sealed = sealed
        self.peer = peer
        self.inward = inward
        self.proven = False

    def frames_came(self, frames: list[memoryview]) -> None:
        """See ``inward.Taker``."""
        self.proven = True
        for frame in frames:
            self._sealed.opened(frame, self.peer)

    def message_came(self, message: bytes) -> None:
        """See ``inward.Taker``. Nobody has anything to say."""


class Sealed:
    """All sessions of this host, both ways."""

    def __init__(self, outlets: Outlets, clock: Callable[[], float] = time.monotonic) -> None:
        self.active = False
        """Whether there is anybody to seal for."""
        self.strangers = 0
        """Datagrams of no session."""
        self._dropped = 0
        self._outlets = outlets
        self._clock = clock
        self._shop = Workshop()
        self._order: SealBetween | None = None
        self._common: dict[PeerName, bytes | None] = {}
        self._senders: dict[PeerName, _Sender] = {}
        self._receivers: dict[int, _Receiver] = {}
        self._waiting: set[PeerName] = set()

    def know(self, order: SealBetween) -> None:
        """These peers have these keys. What rests on others ends."""
        before = self._order.keys if self._order is not None else {}
        if self._order is None:
            self._batch = Batch()
            self._place = memoryview(bytearray(BIGGEST))
        self._order, self.active = order, True
        for peer in [one for one in self._common if before.get(one) != order.keys.get(one)]:
            del self._common[peer]
            self._senders.pop(peer, None)
            self._waiting.discard(peer)
            for session in [number for number, one in self._receivers.items() if one.peer == peer]:
                self._end(session)

    @property
    def dropped(self) -> int:
        """Datagrams that were forged, replayed, damaged or late."""
        return self._dropped + sum(one.inward.dropped for one in self._receivers.values())

    # Out

    def send(self, frame: memoryview) -> bool:
        """Seal a frame that goes over a neighbour to somebody else; False if it did not start here."""
        header = vnet.read_tap_header(frame)
        names = self._outlets.names
        peer = names.get(ShortId(header.dst))
        if peer is None or self._name(header.src) != self._me:
            return False
        sender = self._senders.get(peer) or self._begin(peer)
        if sender is None:
            return False
        sender.packets.aim(header._replace(hops_left=vnet.HOPS))
        sender.outward.frame(frame)
        self._waiting.add(peer)
        return True

    def flush(self) -> None:
        """Send what waits."""
        for peer in self._waiting:
            self._senders[peer].outward.flush()
        self._waiting.clear()

    def _begin(self, peer: PeerName) -> _Sender | None:
        common = self._common_with(peer)
        if common is None or self._order is None:
            return None
        session = secrets.randbits(64)
        keys = Keys(session_secret(common, self._order.me, session), b"")
        packets = Packets(self._place, self._outlets.pass_on)
        outward = Outward(NativePath(peer, session, 0, keys), packets, self._shop, self._clock)
        outward.aim(AimPath(PathId(0), None, _NOWHERE, self._order.mtu - HEADERS, GROUP))
        made = self._senders[peer] = _Sender(packets, outward)
        return made

    # In

    def settle(self) -> None:
        """What was opened has been handed on."""
        self._shop.opened.clear()

    def is_ours(self, frame: memoryview) -> bool:
        """Whether this host is where a frame goes."""
        return self._me is not None and self._name(vnet.read_tap_header(frame).dst) == self._me

    def take(self, frame: memoryview) -> None:
        """A frame came that is for ``MAC`` and for this host: open what is in it."""
        found = unpack(frame)
        header = vnet.read_tap_header(frame)
        peer = self._name(header.src)
        if found is None or peer is None:
            self.strangers += 1
            return
        datagrams, stride = found
        batch = self._batch
        batch.hold(datagrams, stride)
        at = 0
        while at < batch.count:
            receiver = self._receiver(batch.index(at), peer)
            if receiver is None:
                self.strangers += 1
                at += 1
                continue
            run = batch.run(at)
            receiver.inward.take(run, receiver)
            at += run.number

    def opened(self, frame: memoryview, peer: PeerName) -> None:
        """A peer has sealed this frame for us; it may speak for itself alone."""
        if len(frame) >= PREFIX + ETHERNET:
            header = vnet.read_tap_header(frame)
            if self._name(header.src) == peer and self._name(header.dst) == self._me:
                self._outlets.deliver_here((frame,), peer)
                return
        self._dropped += 1

    def _receiver(self, session: int, peer: PeerName) -> _Receiver | None:
        found = self._receivers.get(session)
        if found is not None:
            return found if found.peer == peer else None
        common = self._common_with(peer)
        if common is None or session < 0:
            return None
        self._make_room(peer)
        path = NativePath(peer, 0, session, Keys(b"", session_secret(common, peer, session)))
        made = _Receiver(self, peer, Inward(path, self._shop.opened, self._clock))
        self._receivers[session] = made
        return made

    def _make_room(self, peer: PeerName) -> None:
        """A session that nothing was opened of makes room for another at once; others when they are many."""
        proven = []
        for session in [number for number, one in self._receivers.items() if one.peer == peer]:
            if self._receivers[session].proven:
                proven.append(session)
            else:
                self._end(session)
        for session in proven[: max(0, len(proven) - MOST_SESSIONS + 1)]:
            self._end(session)

    def _end(self, session: int) -> None:
        self._dropped += self._receivers.pop(session).inward.dropped

    # Who

    @property
    def _me(self) -> PeerName | None:
        return self._order.me if self._order is not None else None

    def _name(self, short_id: int) -> PeerName | None:
        return self._outlets.names.get(ShortId(short_id))

    def _common_with(self, peer: PeerName) -> bytes | None:
        """What we have in common with a peer, made when it is first needed: it takes 0.1 ms."""
        key = self._order.keys.get(peer) if self._order is not None else None
        if key is None or self._order is None:
            return None
        if peer not in self._common:
            self._common[peer] = self._order.common(peer, key)
        return self._common[peer]
