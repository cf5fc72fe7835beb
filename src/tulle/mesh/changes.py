"""What has changed in a description since an earlier one, for those who have that one.

While a mesh is forming each peer gets one connection after the other, and to tell all of them each time would
cost the square of their number. Changes ``since`` a version hold, for every connection that came, went or
turned out different in any version after that one, how it stands now. So they also fit whoever has a version
in between. A checksum of all connections says whether the result is what it should be; if it is not, or the
version that we have is an earlier one, the whole description is asked for.

As bytes::

    since 8 | checksum 4 | number of those that are gone 2 | their names, 6 each | connections (``entries``)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from struct import Struct

from tulle.errors import BadMessage
from tulle.mesh.entries import checksum, read_entries, read_name, write_entries
from tulle.mesh.peername import PeerName
from tulle.mesh.summary import PeerSummary

_HEAD = Struct(">QIH")
_NAME_BYTES = 6
_SPARE = 16
"""More entries than there are connections, and so many besides, are not remembered: the whole is shorter."""

_WORTH_GUESSING = 12
"""Connections."""


@dataclass(frozen=True, slots=True)
class History:
    """A description, and which of its connections were ``touched`` since a version, each in which one."""

    peer: PeerSummary
    since: int
    checksum: int
    touched: Mapping[PeerName, int] = field(default_factory=dict)


def begin(peer: PeerSummary) -> History:
    """Nothing is known of earlier descriptions."""
    return History(peer, peer.version, checksum(peer.connections))


def followed(history: History, after: PeerSummary) -> History:
    """The same peer's next description; whoever has one in between may notice that changes do not fit."""
    old = {connection.name: connection for connection in history.peer.connections}
    new = {connection.name: connection for connection in after.connections}
    touched = old.keys() - new.keys()
    touched |= {name for name, now in new.items() if (was := old.get(name)) is not now and was != now}
    return _grown(history, after, checksum(after.connections), touched)


def write_changes(history: History, since: int) -> tuple[int, bytes] | None:
    """Form and bytes of what changed after that version; None where the whole is to be told instead."""
    peer = history.peer
    touched = {name for name, version in history.touched.items() if version > since}
    if not history.since <= since < peer.version or len(touched) > len(peer.connections):
        return None
    changed = [connection for connection in peer.connections if connection.name in touched]
    gone = sorted(touched.difference(connection.name for connection in changed))
    form, entries = write_entries(changed)
    names = b"".join(name.to_bytes(_NAME_BYTES, "big") for name in gone)
    return form, _HEAD.pack(since, history.checksum, len(gone)) + names + entries


def guess(history: History) -> int | None:
    """The earliest version since when not much changed: somebody of whom we know nothing has it likely.

    None where the whole is short enough to be told without a thought.
    """
    size = len(history.peer.connections)
    if size < _WORTH_GUESSING:
        return None
    versions = sorted(history.touched.values(), reverse=True)
    return versions[size // 3] if len(versions) > size // 3 else history.since


def apply_changes(history: History, bare: PeerSummary, form: int, body: bytes) -> History | None:
    """The description ``bare`` (without connections) after these changes; None if they do not fit.

    Raises BadMessage.
    """
    start = _HEAD.size
    if len(body) < start:
        raise BadMessage("changes of a peer are cut off")
    since, expected, count = _HEAD.unpack_from(body)
    entries = start + count * _NAME_BYTES
    if entries > len(body):
        raise BadMessage("changes of a peer are cut off")
    names = (body[at : at + _NAME_BYTES] for at in range(start, entries, _NAME_BYTES))
    gone = {read_name(int.from_bytes(name, "big")) for name in names}
    changed = read_entries(form, body[entries:])
    touched = gone.union(connection.name for connection in changed)
    if len(touched) < count + len(changed) or bare.name in touched:
        raise BadMessage("changes of a peer name a connection twice, or one to itself")
    peer = history.peer
    if peer.uid != bare.uid or not since <= peer.version < bare.version:
        return None
    kept = [connection for connection in peer.connections if connection.name not in touched]
    latest = tuple(sorted((*kept, *changed), key=lambda connection: connection.name))
    after = replace(bare, nickname=peer.nickname, connections=latest)
    lost = (connection for connection in peer.connections if connection.name in touched)
    total = history.checksum ^ checksum(lost) ^ checksum(changed)
    return _grown(history, after, total, touched) if total == expected else None


def _grown(history: History, after: PeerSummary, total: int, touched: set[PeerName]) -> History:
    latest = {**history.touched, **dict.fromkeys(touched, after.version)}
    if len(latest) > len(after.connections) + _SPARE:
        return History(after, after.version, total)
    return History(after, history.since, total, latest)
