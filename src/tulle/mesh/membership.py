"""Who is in the network: our own part in the topology, and what follows from any change of it."""

import math
from collections.abc import Callable
from random import Random

from tulle.instant import Instant
from tulle.mesh.events import Log, MeshEvent, PeersGone, ShortIdChanged, TopologyChanged
from tulle.mesh.peername import PeerName
from tulle.mesh.topology import Topology

GARBAGE_SECONDS = 1.0
"""How long peers without any path stay known: paths often come back at once."""

NEWS_SECONDS = 0.1
"""Changes within this time make one TopologyChanged."""


class Membership:
    """Watches the topology: announces changes, forgets the unreachable, keeps our short id our own."""

    def __init__(self, topology: Topology, rng: Random, emit: Callable[[MeshEvent], None]) -> None:
        self._topology = topology
        self._rng = rng
        self._emit = emit
        self._news_at = math.inf
        self._announced_at = -math.inf
        self._garbage_at = math.inf

    def next_deadline(self) -> float:
        """When ``tick`` must be called next."""
        return min(self._news_at, self._garbage_at)

    def changed(self, now: Instant) -> bool:
        """The topology is different; says whether we had to take another short id because of it."""
        self._garbage_at = min(self._garbage_at, now.mono + GARBAGE_SECONDS)
        self._news_at = min(self._news_at, max(now.mono, self._announced_at + NEWS_SECONDS))
        self._announce(now)
        return self.keep_short_id()

    def tick(self, now: Instant) -> tuple[PeerName, ...]:
        """Do what is due; returns the peers that were forgotten."""
        gone: tuple[PeerName, ...] = ()
        if now.mono >= self._garbage_at:
            self._garbage_at = math.inf
            gone = self._topology.collect_garbage()
            if gone:
                self._emit(PeersGone(gone))
                self._news_at = min(self._news_at, max(now.mono, self._announced_at + NEWS_SECONDS))
        self._announce(now)
        return gone

    def keep_short_id(self) -> bool:
        """Take another short id if ours belongs to somebody else; says whether that was so.

        With none left we stay as we are and try again when peers are forgotten.
        """
        me = self._topology.me
        short_ids = self._topology.short_ids
        if me.short_id is None or short_ids.owners[me.short_id] == me.name:
            return False
        chosen = short_ids.choose(self._rng)
        if chosen is None:
            return False
        self._emit(Log("info", f"our short id {me.short_id} is another peer's; ours is {chosen} now"))
        self._topology.set_short_id(chosen)
        self._emit(ShortIdChanged(chosen))
        return True

    def _announce(self, now: Instant) -> None:
        if now.mono >= self._news_at:
            self._news_at = math.inf
            self._announced_at = now.mono
            self._emit(TopologyChanged())
