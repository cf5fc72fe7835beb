"""The smallest channel there can be: a set that only grows. Each element is a payload of its own."""

from collections import Counter

from tulle.errors import BadMessage
from tulle.instant import Instant
from tulle.mesh.channel import Broadcast, Gossip, Keys, Merged, Outgoing, Unicast
from tulle.mesh.peername import PeerName


class SetChannel:
    """A replicated set of words; counts how often each arrived."""

    def __init__(self, name: str = "words") -> None:
        self.name = name
        self.outbox: list[Outgoing] = []
        self.words: set[str] = set()
        self.arrivals: Counter[str] = Counter()
        self.letters: list[tuple[int, str]] = []

    def add(self, word: str, broadcast: bool = True) -> None:
        """A new word, to be told to all peers."""
        self.words.add(word)
        self.outbox.append((Broadcast if broadcast else Gossip)(frozenset((word,))))

    def write(self, dst: int, text: str) -> None:
        """A message for one peer."""
        self.outbox.append(Unicast(PeerName(dst), text.encode()))

    def encode_all(self, dialect: str, now: Instant) -> list[bytes]:
        return [word.encode() for word in sorted(self.words)]

    def encode_some(self, dialect: str, keys: Keys, now: Instant) -> list[bytes]:
        return [word.encode() for word in sorted(self.words & keys)]

    def merge(self, dialect: str, payload: bytes, sender: PeerName, broadcast: bool, now: Instant) -> Merged:
        try:
            word = payload.decode()
        except UnicodeDecodeError:
            raise BadMessage("that is no word") from None
        self.arrivals[word] += 1
        keys = frozenset((word,))
        fresh = keys - self.words
        self.words |= keys
        return Merged(keys, fresh)

    def receive(self, dialect: str, payload: bytes, src: PeerName, now: Instant) -> None:
        self.letters.append((src, payload.decode()))
