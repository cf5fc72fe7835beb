"""Peers that somebody speaks of before the topology has them: what they say is kept for a while.

A channel of ours may bring a peer's record sooner than the mesh brings the peer. Only so many are kept, and
not for long, since anybody in the mesh can invent names.
"""

import math
from collections.abc import Container

from tulle.instant import Instant
from tulle.mesh.peername import PeerName

KEPT = 60.0
"""Seconds for which a record of a peer that is not (yet) in the topology is kept."""

MOST = 1024


class Strangers:
    """Who is waited for. ``known``: the peers of the topology, as a view that stays current."""

    def __init__(self) -> None:
        self.known: Container[PeerName] = frozenset()
        self._until: dict[PeerName, float] = {}

    def admit(self, name: PeerName, now: Instant) -> bool:
        """Whether a first record of this peer is kept, be it for a while only."""
        if name in self.known:
            return True
        if len(self._until) >= MOST:
            return False
        self._until[name] = now.mono + KEPT
        return True

    def overdue(self, now: Instant) -> list[PeerName]:
        """Those that nobody has introduced in time; whoever was introduced is no stranger any more."""
        self._until = {name: until for name, until in self._until.items() if name not in self.known}
        return [name for name, until in self._until.items() if now.mono >= until]

    def drop(self, name: PeerName) -> None:
        """Nothing is kept of this peer any more."""
        self._until.pop(name, None)

    def __contains__(self, name: PeerName) -> bool:
        return name in self._until

    def next_deadline(self) -> float:
        """When the next of them is overdue, on the mono clock."""
        return min(self._until.values(), default=math.inf)
