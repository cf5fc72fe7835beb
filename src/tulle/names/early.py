"""Names that came before the news of the peer that they belong to.

Only entries of peers in the topology are accepted, for those of others would never go away. But a new
peer tells its names at once, and the topology may take a second longer to get here over other peers. So
its entries wait a while, instead of being lost until somebody tells them again.
"""

import math
from collections.abc import Container

from tulle.instant import Instant
from tulle.mesh.peername import PeerName
from tulle.names.entry import Entry, Key

KEPT_FOR = 60.0
"""Seconds that entries wait: two rounds of periodic gossip."""

LOOK_EVERY = 0.5
"""Seconds between looks at the topology, while anything waits."""

MOST = 4096
"""Entries that wait at most; more are ignored."""


class EarlyEntries:
    """The entries that wait, by origin."""

    def __init__(self) -> None:
        self._waiting: dict[PeerName, dict[Key, Entry]] = {}
        self._until: dict[PeerName, float] = {}
        self._count = 0
        self._next_look = math.inf

    def hold(self, entry: Entry, now: Instant) -> None:
        """Let an entry wait; of several states of a key the newest does."""
        if self._count >= MOST:
            return
        origin = entry.key.origin
        self._until.setdefault(origin, now.mono + KEPT_FOR)
        held = self._waiting.setdefault(origin, {})
        self._count += entry.key not in held
        if entry.key not in held or entry.replaces(held[entry.key]):
            held[entry.key] = entry
        self._next_look = min(self._next_look, now.mono + LOOK_EVERY)

    def take(self, known: Container[PeerName], now: Instant) -> list[Entry]:
        """The entries whose origin is known by now. Those that waited too long are dropped."""
        if now.mono < self._next_look:
            return []
        found: list[Entry] = []
        for origin in list(self._waiting):
            arrived = origin in known
            if arrived or self._until[origin] <= now.mono:
                entries = self._waiting.pop(origin).values()
                del self._until[origin]
                self._count -= len(entries)
                found += entries if arrived else ()
        self._next_look = now.mono + LOOK_EVERY if self._waiting else math.inf
        return found

    def next_deadline(self) -> float:
        """When to ``take`` next, on the mono clock."""
        return self._next_look
