"""Which of a link's carriers takes its frames: the best that works, unless it has failed too lately.

A carrier that works again after a failure is on trial for a moment before frames go back to it, and for
longer the more often it has failed: a path that comes and goes must not take the frames along each time. And
when a link is new, the best carrier has a moment to show that it works before frames go by another.
"""

import math
from collections.abc import Sequence

from tulle.datapath.carrier import Neighbour

TRIAL = 4.0
"""Seconds for which a carrier must work again before it is preferred."""
LONGEST_TRIAL = 60.0
GRACE = 1.0
"""Seconds that the best carrier of a new link has; it needs half of that."""
PROBATION = 3.0
"""Seconds after which a new link that no carrier works on is doubtful itself: what was cut before a frame has
passed has never worked, so nobody says that it is lost."""
MEMORY = 60.0
"""Seconds for which a failure counts."""
_PARDONED = 2
"""Failures within that time that do not make the trial longer."""


class Course:
    """A link, and the carriers that both its ends have, best first. Times are monotonic seconds.

    ``hopeful`` are those of them that may work, as far as can be told when the link is new.
    """

    def __init__(
        self, neighbour: Neighbour, offered: Sequence[str], hopeful: Sequence[str], now: float
    ) -> None:
        self.neighbour = neighbour
        self.offered = tuple(offered)
        self.chosen: str | None = None
        self._favourite = hopeful[0] if hopeful else None
        self._settled_at = now + GRACE
        self._doubtful_at = now + PROBATION
        self._working: dict[str, float] = {}
        """Since when each may be preferred."""
        self._failures: dict[str, list[float]] = {}

    def works(self, carrier: str, now: float) -> None:
        """Frames get through by this carrier."""
        recent = sum(1 for failed in self._failures.get(carrier, ()) if failed > now - MEMORY)
        trial = min(TRIAL * 2 ** max(0, recent - _PARDONED), LONGEST_TRIAL) if recent else 0.0
        if carrier in self.offered:
            self._doubtful_at = math.inf
            self._working.setdefault(carrier, now + trial)

    def fails(self, carrier: str, now: float) -> None:
        """They do no longer."""
        self._working.pop(carrier, None)
        recent = [failed for failed in self._failures.get(carrier, ()) if failed > now - MEMORY]
        self._failures[carrier] = [*recent, now]

    def is_doubtful(self, now: float) -> bool:
        """Whether no carrier has worked in all of the link's first seconds; it is said once."""
        if now < self._doubtful_at:
            return False
        self._doubtful_at = math.inf
        return True

    def best(self, now: float) -> str | None:
        """Which carrier to use. One that is in use and works has no more to prove."""
        working = [carrier for carrier in self.offered if carrier in self._working]
        if now < self._settled_at and self.chosen is None and self._favourite not in working:
            return None
        proven = (one for one in working if one == self.chosen or self._working[one] <= now)
        return next(proven, working[0] if working else None)

    def trial(self, carrier: str, now: float) -> float | None:
        """How many more seconds this carrier must work before it is preferred; None if it is not on trial."""
        until = self._working.get(carrier, -math.inf)
        return until - now if until > now and carrier != self.chosen else None

    def next_review(self) -> float:
        """When ``best`` or ``is_doubtful`` may have another answer by itself."""
        if self.chosen is None:
            return min(self._doubtful_at, self._settled_at if self._working else math.inf)
        review = math.inf
        for carrier in self.offered:
            if carrier == self.chosen:
                break
            review = min(review, self._working.get(carrier, math.inf))
        return review
