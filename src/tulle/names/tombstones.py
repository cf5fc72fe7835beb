"""How long a removal is remembered.

A tombstone must outlive every copy of the entry that it removed, and then go. Its age is counted here,
from the moment this peer first held it, so it does not matter what anybody's clock shows.

It has two lives. For ``SPREAD_FOR`` it is gossiped. After that it is ``silent``: kept and obeyed, but
told to nobody who has not asked. Without the second life peers would infect each other for ever: whoever
forgot a tombstone would take the copy of a neighbour, who heard of it later, for a new one.
"""

import math
from collections import deque

from tulle.instant import Instant
from tulle.names.entry import Entry, Key

SPREAD_FOR = 30 * 60.0
KEPT_FOR = 2 * 60 * 60.0


class Tombstones:
    """The clocks of all tombstones. As all wait equally long, two queues in order of arrival are enough."""

    def __init__(self) -> None:
        self._spreading: deque[tuple[float, Entry]] = deque()
        self._silent: deque[tuple[float, Entry]] = deque()
        self._restored: list[Entry] = []
        self.silent: set[Key] = set()

    def restore(self, entry: Entry) -> None:
        """A tombstone of a previous life: its clock starts anew at the next tick."""
        self._restored.append(entry)

    def hold(self, entry: Entry, now: Instant) -> None:
        """Start the clock of a tombstone that is new here."""
        self.silent.discard(entry.key)
        self._spreading.append((now.mono + SPREAD_FOR, entry))

    def release(self, key: Key) -> None:
        """The key is alive again, or gone."""
        self.silent.discard(key)

    def expired(self, now: Instant, current: dict[Key, Entry]) -> list[Key]:
        """Move the clocks on; the keys whose tombstone is to be forgotten now.

        ``current`` holds the entries that are still tombstones: a clock whose entry was replaced is void.
        """
        for entry in self._restored:
            self.hold(entry, now)
        self._restored.clear()
        while self._spreading and self._spreading[0][0] <= now.mono:
            due, entry = self._spreading.popleft()
            if current.get(entry.key) is entry:
                self.silent.add(entry.key)
                self._silent.append((due + KEPT_FOR - SPREAD_FOR, entry))
        forgotten = []
        while self._silent and self._silent[0][0] <= now.mono:
            _, entry = self._silent.popleft()
            if current.get(entry.key) is entry:
                self.silent.discard(entry.key)
                forgotten.append(entry.key)
        return forgotten

    def next_deadline(self) -> float:
        """When ``expired`` has something to do, on the mono clock."""
        if self._restored:
            return -math.inf
        return min((queue[0][0] for queue in (self._spreading, self._silent) if queue), default=math.inf)
