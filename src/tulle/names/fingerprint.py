"""Digests of all live names, kept up with every change.

Names are spread over buckets; a bucket is the exclusive or of what stands for each name in it. Two peers
whose digests differ find out with one message which buckets do, and tell each other the names of those.

Removals do not count: whoever has heard of one more holds nothing that others have to learn, and whoever has
heard of one less still has the name.
"""

from collections.abc import Iterable
from hashlib import blake2b

from tulle.names.entry import Entry, Key

BUCKETS = 64
_SIZE = 8


class Fingerprint:
    """See the module text."""

    def __init__(self) -> None:
        self._buckets = [0] * BUCKETS

    def toggle(self, entry: Entry) -> None:
        """This entry is there from now on, or no more."""
        self._buckets[_bucket(entry.key)] ^= _mark(entry)

    def whole(self) -> bytes:
        """The same for everybody who has the same names."""
        return blake2b(self.fine(), digest_size=16).digest()

    def fine(self) -> bytes:
        """All buckets."""
        return b"".join(bucket.to_bytes(_SIZE, "big") for bucket in self._buckets)

    def differing(self, fine: bytes, keys: Iterable[Key]) -> list[Key]:
        """Those of ``keys`` that are in other buckets than somebody's with these. Raises ValueError."""
        if len(fine) != BUCKETS * _SIZE:
            raise ValueError("a fine digest of the names has another length")
        theirs = [int.from_bytes(fine[at : at + _SIZE], "big") for at in range(0, len(fine), _SIZE)]
        odd = {number for number in range(BUCKETS) if theirs[number] != self._buckets[number]}
        return [key for key in keys if _bucket(key) in odd]


def _bucket(key: Key) -> int:
    return _hash(key, 1) % BUCKETS


def _mark(entry: Entry) -> int:
    return _hash((*entry.key, entry.version), _SIZE)


def _hash(values: tuple[object, ...], size: int) -> int:
    raw = "\0".join(map(str, values)).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(raw, digest_size=size).digest(), "big")
