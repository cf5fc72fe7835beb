"""Notes that every host can read: an example of a gossip channel."""

from msgspec import DecodeError, Struct, msgpack

from tulle.errors import BadMessage
from tulle.instant import Instant
from tulle.mesh.channel import Broadcast, Keys, Merged, Outgoing
from tulle.mesh.peername import PeerName


class Note(Struct, frozen=True, order=True):
    version: int
    author: str  # decides between two notes of the same version
    text: str


class Notes:
    name = "notes"

    def __init__(self, author: str) -> None:
        self.author = author
        self.notes: dict[str, Note] = {}
        self.outbox: list[Outgoing] = []

    def write(self, title: str, text: str) -> None:
        old = self.notes.get(title)
        self.notes[title] = Note(old.version + 1 if old else 1, self.author, text)
        self.outbox.append(Broadcast(frozenset({title})))

    def encode_all(self, dialect: str, now: Instant) -> list[bytes]:
        return self.encode_some(dialect, frozenset(self.notes), now)

    def encode_some(self, dialect: str, keys: Keys, now: Instant) -> list[bytes]:
        return [msgpack.encode({title: note for title, note in self.notes.items() if title in keys})]

    def merge(self, dialect: str, payload: bytes, sender: PeerName, broadcast: bool, now: Instant) -> Merged:
        try:
            theirs = msgpack.decode(payload, type=dict[str, Note])
        except (DecodeError, RecursionError) as error:
            raise BadMessage(f"notes cannot be read: {error}") from error
        newer = {
            title: note for title, note in theirs.items() if note > self.notes.get(title, Note(0, "", ""))
        }
        self.notes |= newer
        return Merged(frozenset(theirs), frozenset(newer))

    def receive(self, dialect: str, payload: bytes, src: PeerName, now: Instant) -> None:
        raise BadMessage("notes are never sent to one peer alone")
