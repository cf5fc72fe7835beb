"""Public keys of all peers, kept alike by gossip: with them, two peers seal what others relay between them.

Each daemon draws a key pair when it starts (X25519), and tells its public half on a channel of its own. Peers
that know nothing of it (Weave Net's) carry it unread, and have no key. Each peer speaks for itself, with
versions: whoever hears something else in its own name says the next version at once. With the key goes the
number of its life (its UID in the topology): a peer that lives again, and perhaps as one that has no keys, is
sent nothing that it cannot open.

A message is a byte for its format, then for each peer name (6 bytes), version (8), UID (8), and key (32).
"""

import math
import struct
from collections.abc import Iterable, Mapping
from random import Random
from typing import NamedTuple

from tulle.datapath.sleeve.orders import SealBetween
from tulle.errors import BadMessage
from tulle.instant import Instant
from tulle.mesh.channel import NO_KEYS, Broadcast, Keys, Merged, Outgoing
from tulle.mesh.peername import UNKNOWN_PEER, PeerName, name_bytes
from tulle.mesh.strangers import Strangers
from tulle.mesh.summary import PeerSummary
from tulle.node.rendezvous.agreement import End, common_secret, public_key

PACE = 0.2
"""Seconds between two messages of ours."""

_FORMAT = 1
_RECORD = struct.Struct(">6sQQ32s")
_MAX_VERSION = (1 << 62) - 1
_PURPOSE = b"tulle end to end 1"


class Said(NamedTuple):
    """A peer's key in one life; of two that were said the greater holds."""

    version: int
    uid: int
    key: bytes


class PublicKeys:
    """The channel "tulle-keys". ``uid`` is that of our life; ``rng`` makes our own key."""

    name = "tulle-keys"

    def __init__(self, me: PeerName, uid: int, password: bytes, mtu: int, rng: Random) -> None:
        self.outbox: list[Outgoing] = []
        self._me = me
        self._password = password
        self._mtu = mtu
        self._private = rng.randbytes(32)
        self._public = public_key(self._private)
        self._own = Said(1, uid, self._public)
        self._said: dict[PeerName, Said] = {me: self._own}
        self._known: Mapping[PeerName, PeerSummary] = {}
        self._strangers = Strangers()
        self._said_at, self._due = -math.inf, math.inf
        self._told: Mapping[PeerName, bytes] | None = None
        self._changed = True

    # -- told by the node ----------------------------------------------------------------------------------

    def known_peers(self, peers: Mapping[PeerName, PeerSummary]) -> None:
        """The peers of the topology, as a view that stays current."""
        self._known = self._strangers.known = peers

    def topology_changed(self) -> None:
        """Some of them may have begun a new life."""
        self._changed = True

    def peers_gone(self, names: Iterable[PeerName]) -> None:
        """Forget peers that left the topology. The others do the same, so nobody is told."""
        self._forget(name for name in names if name != self._me)

    def tick(self, now: Instant) -> None:
        """Say what is due; forget strangers that nobody has introduced."""
        if now.mono >= self._due:
            self._speak(now)
        self._forget(self._strangers.overdue(now))

    def next_deadline(self) -> float:
        """When ``tick`` has something to do, on the mono clock."""
        return min(self._due, self._strangers.next_deadline())

    def collect(self) -> list[SealBetween]:
        """What the sleeve is to know now, if that is news."""
        if not self._changed:
            return []
        self._changed, before = False, self._told
        self._told = {name: self._said[name].key for name in self._said if self.knows(name)}
        return [SealBetween(self._me, self._mtu, self._told, self._common)] if self._told != before else []

    def knows(self, peer: PeerName) -> bool:
        """Whether what we send to this peer over relays is for it alone."""
        said, known = self._said.get(peer), self._known.get(peer)
        return said is not None and known is not None and said.uid == known.uid and peer != self._me

    # -- the channel ---------------------------------------------------------------------------------------

    def encode_all(self, dialect: str, now: Instant) -> list[bytes]:
        """All known keys."""
        return [self._encode(name for name in self._said if name not in self._strangers)]

    def encode_some(self, dialect: str, keys: Keys, now: Instant) -> list[bytes]:
        """The keys of these peers."""
        chosen = [name for name in self._said if name in keys]
        return [self._encode(chosen)] if chosen else []

    def merge(self, dialect: str, payload: bytes, sender: PeerName, broadcast: bool, now: Instant) -> Merged:
        """Take keys in; those of peers that are not in the topology for a while only. Raises BadMessage."""
        if not payload or (payload[0] == _FORMAT and len(payload) % _RECORD.size != 1):
            raise BadMessage("a message about public keys ends early")
        if payload[0] != _FORMAT:
            return Merged(NO_KEYS, NO_KEYS)
        records = _RECORD.iter_unpack(payload[1:])
        told = {_name(packed): Said(*said) for packed, *said in records}
        if any(name == UNKNOWN_PEER or said.version > _MAX_VERSION for name, said in told.items()):
            raise BadMessage("a message about public keys makes no sense")
        fresh = frozenset(name for name, said in told.items() if self._hear(name, said, now))
        return Merged(frozenset(name for name in told if name in self._said), fresh)

    def receive(self, dialect: str, payload: bytes, src: PeerName, now: Instant) -> None:
        """Nobody sends this to single peers; such a message is dropped."""

    # -- inside --------------------------------------------------------------------------------------------

    def _hear(self, name: PeerName, said: Said, now: Instant) -> bool:
        """Whether this is news here, and so to be passed on."""
        old = self._said.get(name)
        if old is not None and said <= old:
            return False
        if name == self._me:
            self._said[name] = self._own._replace(version=min(said.version + 1, _MAX_VERSION))
            self._due = max(now.mono, self._said_at + PACE)
            return False
        if old is None and not self._strangers.admit(name, now):
            return False
        self._said[name] = said
        self._changed = True
        return True

    def _speak(self, now: Instant) -> None:
        self._said_at, self._due = now.mono, math.inf
        self.outbox.append(Broadcast(frozenset((self._me,))))

    def _encode(self, names: Iterable[PeerName]) -> bytes:
        records = (_RECORD.pack(name_bytes(name), *self._said[name]) for name in sorted(names))
        return bytes([_FORMAT]) + b"".join(records)

    def _forget(self, names: Iterable[PeerName]) -> None:
        for name in names:
            self._strangers.drop(name)
            self._changed |= self._said.pop(name, None) is not None

    def _common(self, peer: PeerName, key: bytes) -> bytes | None:
        """What we have in common with a peer that has this key; None if the key is worth nothing."""
        try:
            return common_secret(
                self._private, End(self._me, self._public), End(peer, key), self._password, _PURPOSE
            )
        except BadMessage:
            return None


def _name(packed: bytes) -> PeerName:
    return PeerName(int.from_bytes(packed, "big"))
