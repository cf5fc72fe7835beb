"""Stands in for channels this peer does not have, and passes on what others say in them.

Payloads are opaque here, so the keys are digests of them. A payload is gossiped on once; that it was is
remembered for the time within which neighbours repeat themselves. What is remembered is bounded: under
pressure the oldest goes first, and may then be passed on twice, or not at all to a neighbour that reads too
slowly.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from hashlib import blake2b

from tulle.instant import Instant
from tulle.mesh.channel import NO_KEYS, Keys, Merged, Outgoing
from tulle.mesh.peername import PeerName

MEMORY_SECONDS = 30.0
MAX_BYTES = 4 * 1024 * 1024
MAX_PAYLOADS = 4096


@dataclass(frozen=True, slots=True)
class _Heard:
    dialect: str
    payload: bytes
    at: float


class Surrogate:
    """A channel that only relays; see ``tulle.mesh.channel.Channel``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.outbox: list[Outgoing] = []
        self._heard: OrderedDict[Hashable, _Heard] = OrderedDict()
        self._bytes = 0

    def encode_all(self, dialect: str, now: Instant) -> list[bytes]:
        """Nothing: there is no state here."""
        return []

    def encode_some(self, dialect: str, keys: Keys, now: Instant) -> list[bytes]:
        """The payloads behind these keys, as they came; only for connections that speak as they do."""
        found = [heard for key, heard in self._heard.items() if key in keys]
        return [heard.payload for heard in found if heard.dialect == dialect]

    def merge(self, dialect: str, payload: bytes, sender: PeerName, broadcast: bool, now: Instant) -> Merged:
        """Remember a payload; it is fresh if it was not heard lately."""
        self._forget(now)
        key = blake2b(payload, digest_size=16, person=dialect.encode()[:16]).digest()
        known = key in self._heard
        if not known:
            self._heard[key] = _Heard(dialect, payload, now.mono)
            self._bytes += len(payload)
            self._forget(now)
        keys: Keys = frozenset((key,))
        return Merged(keys, NO_KEYS if known else keys)

    def receive(self, dialect: str, payload: bytes, src: PeerName, now: Instant) -> None:
        """A unicast for a channel we do not have: nothing to do."""

    def _forget(self, now: Instant) -> None:
        while self._heard:
            oldest = next(iter(self._heard.values()))
            crowded = self._bytes > MAX_BYTES or len(self._heard) > MAX_PAYLOADS
            if not crowded and now.mono - oldest.at < MEMORY_SECONDS:
                return
            self._heard.popitem(last=False)
            self._bytes -= len(oldest.payload)
