"""Telling a peer that we had no path to before what we know.

Such a peer gets the complete state of every channel. When many hosts start at once, everybody is new to
everybody, and complete states sent at the first moment would be most of the traffic and mostly the same. So
between peers of our kind it is put off until no more new peers turn up, but not for long. Until then both
have learned who else the other is connected to: what a peer's own neighbours have to say it hears from them.
"""

import math

from tulle.instant import Instant
from tulle.mesh.connection import Link
from tulle.mesh.links import LinkTable
from tulle.mesh.peername import PeerName

QUIET_SECONDS = 0.1
PATIENCE_SECONDS = 0.5


class Introductions:
    """Which links are still to get complete states, and when."""

    def __init__(self, links: LinkTable) -> None:
        self._links = links
        self._due: dict[PeerName, float] = {}
        self._latest: dict[PeerName, float] = {}

    def plan(self, link: Link, now: Instant) -> None:
        """This link leads to a peer that is new to us."""
        greeting = link.greeting
        assert greeting is not None
        self._latest[greeting.name] = now.mono + (PATIENCE_SECONDS if greeting.tells_all else 0.0)
        for name, latest in self._latest.items():
            self._due[name] = min(latest, now.mono + QUIET_SECONDS)

    def cancel(self, peer: PeerName) -> None:
        """There is no link to this peer any more."""
        self._due.pop(peer, None)
        self._latest.pop(peer, None)

    def next_deadline(self) -> float:
        """When to ask again for what is due."""
        return min(self._due.values(), default=math.inf)

    def due(self, now: Instant) -> list[Link]:
        """The links to be told everything now."""
        names = [name for name, at in self._due.items() if at <= now.mono]
        for name in names:
            self.cancel(name)
        return [self._links.up[name] for name in names]
