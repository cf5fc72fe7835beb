"""The topology as neighbours of our kind tell it to each other: short, and cheap to pass on.

A description that we have already is told apart by its number alone, and its connections are not read again.
One that is new is passed on as the very bytes it came in. So a peer reads and writes each description once,
however many neighbours tell it, or have to be told.

A payload is records without a gap, all numbers big-endian::

    name 6 | uid 8 | version 8 | short id 2 (0xffff: none) | form 1 | length of nickname 2 | of the rest 4
    nickname in UTF-8 | connections (see ``entries``, for the form too)

With 2 added to its form, a record has no nickname, and instead of all connections what changed (``changes``).
"""

from collections.abc import Iterable, Mapping
from struct import Struct
from types import MappingProxyType

from tulle.errors import BadMessage
from tulle.mesh.changes import History, apply_changes, begin, followed, guess, write_changes
from tulle.mesh.entries import read_entries, read_name, write_entries
from tulle.mesh.peername import PeerName, format_name
from tulle.mesh.shortids import SHORT_IDS
from tulle.mesh.summary import PeerSummary
from tulle.mesh.topology import MAX_CONNECTIONS, MAX_PEERS, supersedes

CHANNEL = "tulle-peers"

MAX_NICKNAME = 255
_HEAD = Struct(">6sQQHBHI")
_NO_SHORT_ID = 0xFFFF
_CHANGES = 2
_NOTHING: Mapping[PeerName, int | None] = MappingProxyType({})


class Descriptions:
    """Reads and writes records. ``known`` is what we have; a record is kept while it says the same.

    ``me``: who we are ourselves, so that what changes about us is noticed.
    """

    def __init__(self, known: Mapping[PeerName, PeerSummary], me: PeerName | None = None) -> None:
        self._known = known
        self._me = me
        self._records: dict[PeerName, tuple[PeerSummary, bytes]] = {}
        self._histories: dict[PeerName, History] = {}
        self._changes: dict[PeerName, tuple[History, int, bytes | None]] = {}

    def encode(self, peers: Iterable[PeerSummary], since: Mapping[PeerName, int | None] = _NOTHING) -> bytes:
        """The payload that tells about these peers.

        ``since``: which versions the reader has, None for one that it is up to us to guess. Of others all is
        told.
        """
        return b"".join(self._record(peer, since) for peer in peers)

    def decode(self, payload: bytes) -> list[PeerSummary]:
        """The peers a payload tells about, each once. Raises BadMessage.

        A description that we have is given as we have it, one older than ours without connections.
        """
        return self.read(payload)[0]

    def read(self, payload: bytes) -> tuple[list[PeerSummary], list[PeerName]]:
        """The same, and the peers of whom it told changes to something that we do not have."""
        peers: dict[PeerName, PeerSummary | None] = {}
        connected = start = 0
        while start < len(payload):
            name, peer, start = self._read(payload, start)
            if name in peers or len(peers) == MAX_PEERS:
                raise BadMessage(f"a peer is described twice, or more than {MAX_PEERS} are")
            peers[name] = peer
            connected += len(peer.connections) if peer else 0
            if connected > MAX_CONNECTIONS:
                raise BadMessage(f"more than {MAX_CONNECTIONS} connections are described")
        missed = [name for name, peer in peers.items() if peer is None]
        return [peer for peer in peers.values() if peer is not None], missed

    def forget(self, names: Iterable[PeerName]) -> None:
        """These peers are gone."""
        for name in names:
            for kept in (self._records, self._histories, self._changes):
                kept.pop(name, None)

    def _record(self, peer: PeerSummary, had: Mapping[PeerName, int | None]) -> bytes:
        history = self._history(peer)
        if history is not None and peer.name in had:
            since = had[peer.name]
            since = guess(history) if since is None else since
            changes = self._written(history, since) if since is not None else None
            if changes is not None:
                return changes
        kept = self._records.get(peer.name)
        if kept is not None and kept[0] is peer:
            return kept[1]
        return self._keep(peer, _write(peer))

    def _history(self, peer: PeerSummary) -> History | None:
        """What was before this description, as far as we were told in the short form."""
        history = self._histories.get(peer.name)
        if history is not None and history.peer is peer:
            return history
        if peer.name != self._me:
            return None
        fits = history is not None and history.peer.uid == peer.uid
        history = followed(history, peer) if history is not None and fits else begin(peer)
        self._histories[peer.name] = history
        return history

    def _before(self, ours: PeerSummary) -> History:
        """What we know of the past of a description that is about to be replaced."""
        history = self._histories.get(ours.name)
        return history if history is not None and history.peer is ours else begin(ours)

    def _written(self, history: History, since: int) -> bytes | None:
        """A record of changes, as most of those that it goes to need the same one."""
        peer = history.peer
        kept = self._changes.get(peer.name)
        if kept is not None and kept[0] is history and kept[1] == since:
            return kept[2]
        written = write_changes(history, since)
        record = None
        if written is not None:
            form, body = written
            record = _head(peer, form | _CHANGES, 0, len(body)) + body
        self._changes[peer.name] = history, since, record
        return record

    def _keep(self, peer: PeerSummary, record: bytes) -> bytes:
        if len(self._records) >= MAX_PEERS:
            self._records.clear()
        self._records[peer.name] = peer, record
        return record

    def _read(self, payload: bytes, start: int) -> tuple[PeerName, PeerSummary | None, int]:
        """The peer described here (None: we cannot know), and where the next record begins."""
        if len(payload) - start < _HEAD.size:
            raise BadMessage("a description of a peer is cut off")
        raw, uid, version, short_id, form, nickname, body = _HEAD.unpack_from(payload, start)
        end = start + _HEAD.size + nickname + body
        if end > len(payload):
            raise BadMessage("a description of a peer is cut off")
        ours = self._known.get(int.from_bytes(raw, "big"))  # type: ignore[call-overload]
        if ours is not None and (ours.version, ours.uid, ours.short_id) == (version, uid, short_id):
            return ours.name, ours, end
        bare = _bare(raw, uid, version, short_id)
        if ours is not None and not supersedes(bare, ours):
            return bare.name, (bare if supersedes(ours, bare) else ours), end
        record = payload[start:end]
        if form & _CHANGES:
            return bare.name, self._changed(bare, ours, form ^ _CHANGES, record[_HEAD.size + nickname :]), end
        peer = _complete(bare, record, form, _HEAD.size + nickname)
        self._keep(peer, record)
        if ours is not None and ours.uid == peer.uid and peer.name != self._me:
            self._histories[peer.name] = followed(self._before(ours), peer)
        return peer.name, peer, end

    def _changed(
        self, bare: PeerSummary, ours: PeerSummary | None, form: int, body: bytes
    ) -> PeerSummary | None:
        """A description after changes. Of ourselves nobody else knows any: that they are told is enough."""
        if bare.name == self._me:
            return bare
        history = apply_changes(self._before(ours), bare, form, body) if ours is not None else None
        if history is None:
            return None
        self._histories[bare.name] = history
        self._changes.pop(bare.name, None)
        return history.peer


def _bare(raw: bytes, uid: int, version: int, short_id: int) -> PeerSummary:
    """A peer without nickname and connections, which are most of the work."""
    name = read_name(int.from_bytes(raw, "big"))
    if SHORT_IDS <= short_id < _NO_SHORT_ID:
        raise BadMessage(f"the short id of peer {format_name(name)} has more than 12 bits")
    return PeerSummary(name, "", uid, version, None if short_id == _NO_SHORT_ID else short_id, ())


def _complete(bare: PeerSummary, record: bytes, form: int, body: int) -> PeerSummary:
    """The rest of it; ``body`` is where the connections begin."""
    try:
        nickname = record[_HEAD.size : body].decode()
    except UnicodeDecodeError:
        nickname = "\0"
    if len(nickname) > MAX_NICKNAME or not nickname.isprintable():
        raise BadMessage(f"the nickname of peer {format_name(bare.name)} is too long or not printable")
    connections = read_entries(form, record[body:])
    names = {connection.name for connection in connections}
    if len(names) < len(connections) or bare.name in names:
        raise BadMessage(f"peer {format_name(bare.name)} lists a connection twice, or one to itself")
    return PeerSummary(bare.name, nickname, bare.uid, bare.version, bare.short_id, connections)


def _write(peer: PeerSummary) -> bytes:
    form, body = write_entries(peer.connections)
    nickname = peer.nickname.encode()
    return _head(peer, form, len(nickname), len(body)) + nickname + body


def _head(peer: PeerSummary, form: int, nickname: int, body: int) -> bytes:
    short_id = _NO_SHORT_ID if peer.short_id is None else peer.short_id
    return _HEAD.pack(peer.name.to_bytes(6, "big"), peer.uid, peer.version, short_id, form, nickname, body)
