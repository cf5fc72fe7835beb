"""What we know of all peers: a map that merges, so that all who talk end up knowing the same.

Each peer alone describes itself and numbers its descriptions; of two, the one with the greater (version, uid)
is kept. Merging is therefore commutative, associative and idempotent, and gossip may repeat, reorder and
lose. A peer that restarted begins at version 0 with a new uid. When it hears of its older incarnation, or of
anything said in its name that it did not say, it jumps beyond that version and its own word stands again.

Peers that others list but nobody has described yet are placeholders (uid and version 0). Peers that no path
leads to are forgotten (``collect_garbage``).
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from types import MappingProxyType

from tulle.mesh.graph import Graph
from tulle.mesh.peername import PeerName
from tulle.mesh.shortids import ShortIds
from tulle.mesh.summary import ConnectionSummary, PeerSummary

MAX_PEERS = 4096
"""Peers we remember at most: as many as there are short ids."""

MAX_CONNECTIONS = 250_000
"""Connections, over all peers, that we remember at most: a full mesh of 500."""

MAX_VERSION = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Merge:
    """What an update changed: peers it brought news of, and peers of whom we know better than the sender.

    ``contested`` is set when it spoke for us and we had to jump beyond it; ``refused`` counts peers there was
    no room for.
    """

    fresh: frozenset[PeerName]
    outdated: frozenset[PeerName]
    contested: bool
    refused: int


def supersedes(theirs: PeerSummary, ours: PeerSummary) -> bool:
    """Whether their description of a peer replaces ours.

    A description that has the same number but also a short id counts as newer: what a handshake tells of a
    peer may be completed later.
    """
    if (theirs.version, theirs.uid) != (ours.version, ours.uid):
        return (theirs.version, theirs.uid) > (ours.version, ours.uid)
    return theirs.short_id is not None and ours.short_id is None


def placeholder(name: PeerName) -> PeerSummary:
    """A peer of whom only the name is known."""
    return PeerSummary(name, "", 0, 0, None, ())


def is_placeholder(peer: PeerSummary) -> bool:
    """Whether nobody has described this peer yet."""
    return peer.uid == 0 and peer.version == 0 and peer.short_id is None and not peer.connections


class Topology:
    """All known peers, ourselves among them."""

    def __init__(self, me: PeerSummary) -> None:
        self.graph = Graph()
        self._short_ids = ShortIds()
        self._peers: dict[PeerName, PeerSummary] = {}
        self._undescribed: set[PeerName] = set()
        self._connections = 0
        self.edition = 0
        """Grows with every change of anything."""
        self._name = me.name
        self._put(me)

    @property
    def peers(self) -> Mapping[PeerName, PeerSummary]:
        """Every known peer by name, placeholders included."""
        return MappingProxyType(self._peers)

    @property
    def undescribed(self) -> Set[PeerName]:
        """The placeholders among them."""
        return self._undescribed

    @property
    def size(self) -> int:
        """How many connections all peers list."""
        return self._connections

    @property
    def me(self) -> PeerSummary:
        """Our own description as it stands."""
        return self._peers[self._name]

    @property
    def short_ids(self) -> ShortIds:
        """Who has which short id."""
        return self._short_ids

    def merge(self, update: Iterable[PeerSummary]) -> Merge:
        """Take over what is newer than what we know."""
        fresh: set[PeerName] = set()
        outdated: set[PeerName] = set()
        contested = False
        refused = 0
        for theirs in update:
            ours = self._peers.get(theirs.name)
            if theirs is ours:
                continue
            if theirs.name == self._name:
                contested |= self._defend(theirs)
            elif ours is None or supersedes(theirs, ours):
                if self._room_for(theirs, ours):
                    self._put(theirs)
                    fresh.add(theirs.name)
                else:
                    refused += 1
            elif supersedes(ours, theirs):
                outdated.add(theirs.name)
        return Merge(frozenset(fresh), frozenset(outdated), contested, refused)

    def introduce(self, peer: PeerSummary) -> bool:
        """Add a peer that told us of itself in a handshake; False if it is known, or there is no room."""
        known = self._peers.get(peer.name)
        if (known is not None and not is_placeholder(known)) or not self._room_for(peer, known):
            return False
        self._put(peer)
        return True

    def connect(self, connection: ConnectionSummary) -> None:
        """We have this connection now (in place of an earlier one to the same peer)."""
        others = [known for known in self.me.connections if known.name != connection.name]
        self._amend(connections=(*others, connection))

    def disconnect(self, peer: PeerName) -> None:
        """We have no connection to this peer any more."""
        self._amend(connections=tuple(known for known in self.me.connections if known.name != peer))

    def establish(self, peer: PeerName, established: bool) -> bool:
        """Frames pass on our connection to this peer, or no longer do; False if that was known."""
        before = self.me.connections
        after = tuple(
            replace(known, established=established) if known.name == peer else known for known in before
        )
        if after == before:
            return False
        self._amend(connections=after)
        return True

    def set_short_id(self, short_id: int) -> None:
        """We have another short id from now on."""
        self._amend(short_id=short_id)

    def collect_garbage(self) -> tuple[PeerName, ...]:
        """Forget peers that no path leads to, and say which."""
        gone = sorted(self._peers.keys() - self.graph.reach(self._name))
        for name in gone:
            peer = self._peers.pop(name)
            self._connections -= len(peer.connections)
            if peer.short_id is not None:
                self._short_ids.release(name, peer.short_id)
        if gone:
            self.edition += 1
            self.graph.remove(gone)
            self._undescribed.difference_update(gone)
        return tuple(gone)

    def _defend(self, theirs: PeerSummary) -> bool:
        """Jump beyond a description of ourselves that is not ours and that others might believe."""
        me = self.me
        foreign = theirs.uid != me.uid and theirs.version >= me.version
        if not (foreign or theirs.version > me.version) or theirs.version >= MAX_VERSION:
            return False
        self._put(replace(me, version=theirs.version + 1))
        return True

    def _amend(
        self, connections: tuple[ConnectionSummary, ...] | None = None, short_id: int | None = None
    ) -> None:
        me = self.me
        self._put(
            replace(
                me,
                version=min(me.version + 1, MAX_VERSION),
                connections=me.connections if connections is None else connections,
                short_id=me.short_id if short_id is None else short_id,
            )
        )

    def _room_for(self, theirs: PeerSummary, ours: PeerSummary | None) -> bool:
        listed = len(ours.connections) if ours else 0
        if self._connections + len(theirs.connections) - listed > MAX_CONNECTIONS:
            return False
        if len(self._peers) + 1 + len(theirs.connections) <= MAX_PEERS:
            return True
        strangers = 0 if ours else 1
        strangers += sum(connection.name not in self._peers for connection in theirs.connections)
        return len(self._peers) + strangers <= MAX_PEERS

    def _put(self, peer: PeerSummary) -> None:
        before = self._peers.get(peer.name)
        if before is not None:
            self._connections -= len(before.connections)
            if before.short_id is not None and before.short_id != peer.short_id:
                self._short_ids.release(peer.name, before.short_id)
        if peer.short_id is not None and (before is None or before.short_id != peer.short_id):
            self._short_ids.claim(peer.name, peer.short_id)
        self.edition += 1
        self._peers[peer.name] = peer
        if is_placeholder(peer):
            self._undescribed.add(peer.name)
        else:
            self._undescribed.discard(peer.name)
        self._connections += len(peer.connections)
        for connection in peer.connections:
            if connection.name not in self._peers:
                self._peers[connection.name] = placeholder(connection.name)
                self._undescribed.add(connection.name)
        self.graph.put(peer)
