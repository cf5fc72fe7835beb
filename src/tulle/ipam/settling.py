"""After a restart: a moment to hear whether the ring on disk is still true.

While this host was away its ranges may have been taken over. The first peer that answers tells; until then
nothing is handed out of ranges on the strength of an old disk alone. A host that nobody answers, because the
network is cut or it is the only one, goes on by itself after the grace.
"""

import math

from tulle.instant import Instant

GRACE = 3.0
"""Seconds to wait for the first peer: enough for a connection and an exchange of states."""


class Settling:
    """Whether it is time to trust the ring."""

    def __init__(self) -> None:
        self._doubtful = False
        self._until: float | None = None

    def doubt(self) -> None:
        """The ring comes from an old disk, and others have parts of it."""
        self._doubtful = True

    def heard(self) -> None:
        """A peer told us its ring."""
        self._doubtful = False

    def settled(self, now: Instant) -> bool:
        """Whether addresses may be handed out of owned ranges. The grace begins with the first question."""
        if self._doubtful:
            if self._until is None:
                self._until = now.mono + GRACE
            self._doubtful = now.mono < self._until
        return not self._doubtful

    @property
    def deadline(self) -> float:
        """When the grace ends, while somebody waits for that."""
        return self._until if self._doubtful and self._until is not None else math.inf
