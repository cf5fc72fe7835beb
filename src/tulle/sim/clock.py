"""Virtual time: jumps from one scheduled call to the next."""

import heapq
from collections.abc import Callable

from tulle.instant import Instant

EPOCH = 1_700_000_000.0
"""Unix time at the beginning of every run."""

Call = Callable[..., None]


class Clock:
    """What is to happen, in order of time; what is asked for the same moment happens in order of asking."""

    def __init__(self) -> None:
        self.mono = 0.0
        self.events = 0
        """How many calls were made."""
        self._calls: list[tuple[float, int, Call, tuple[object, ...]]] = []
        self._count = 0
        self._now = Instant(0.0, EPOCH)

    @property
    def now(self) -> Instant:
        """This moment, by clocks that are right."""
        if self._now.mono != self.mono:
            self._now = Instant(self.mono, EPOCH + self.mono)
        return self._now

    def call_at(self, mono: float, call: Call, *arguments: object) -> None:
        """Do this then, or now if that time has passed."""
        self._count += 1
        heapq.heappush(self._calls, (max(mono, self.mono), self._count, call, arguments))

    def call_after(self, seconds: float, call: Call, *arguments: object) -> None:
        """Do this so much later."""
        self.call_at(self.mono + seconds, call, *arguments)

    def run_until(self, mono: float) -> None:
        """Let time pass up to this moment."""
        calls = self._calls
        while calls and calls[0][0] <= mono:
            self.mono, _, call, arguments = heapq.heappop(calls)
            self.events += 1
            call(*arguments)
        self.mono = max(self.mono, mono)
