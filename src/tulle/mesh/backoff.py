"""When to try again: soon at first, ever more patiently, and never in step with others."""

from random import Random

FIRST_SECONDS = 2.0
GROWTH = 1.5
LONGEST_SECONDS = 30.0
"""As long as a host waits in vain for another at most, once the network between them works again."""
QUICK_SECONDS = 0.25


class Backoff:
    """The waiting times of one target.

    A *cheap* failure (refused at once, so that trying cost next to nothing) is retried after 0.25, 0.5 and 1
    s before the normal series starts: hosts that are started together find each other without delay. The
    normal series is 2 s, growing by half up to ``longest``. Each wait is between half and one and a half of
    that.
    """

    def __init__(self, longest: float = LONGEST_SECONDS) -> None:
        self._longest = longest
        self.reset()

    def reset(self) -> None:
        """Start over: the target has been fine for a while."""
        self._interval = FIRST_SECONDS
        self._quick = QUICK_SECONDS

    def wait(self, rng: Random, cheap: bool) -> float:
        """Seconds until the next attempt, after one that failed."""
        if cheap and self._quick < FIRST_SECONDS:
            interval = self._quick
            self._quick *= 2
        else:
            interval = self._interval
            self._interval = min(interval * GROWTH, self._longest)
        return interval * (0.5 + rng.random())
