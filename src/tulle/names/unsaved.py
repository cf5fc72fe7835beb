"""Names of ours that are not on disk yet, and so are told nobody: a crash would take them back.

Records are handed out to be written, and count as written unless the writer says otherwise before it asks
for the next. The removal of a name does not wait: one that a crash forgets is found again, since its
container is gone.
"""

from tulle.names.entry import Entry, Key


class Unsaved:
    """Which names have to wait; ``key in unsaved`` for one of them."""

    def __init__(self) -> None:
        self._new: set[Key] = set()
        self._handed: set[Key] = set()
        self._refused: set[Key] = set()
        self._retried: set[Key] = set()

    def __contains__(self, key: object) -> bool:
        return key in self._refused

    def changed(self, entry: Entry) -> None:
        """There is something new to write of a name."""
        self._refused.discard(entry.key)
        if entry.live:
            self._new.add(entry.key)
        else:
            self._new.discard(entry.key)

    def hand_out(self) -> set[Key]:
        """All is handed out to be written. Returns what was refused before and is written by now."""
        if not (self._new or self._refused or self._retried or self._handed):
            return set()
        written, self._retried = self._retried, self._refused
        self._handed = self._new | self._refused
        self._new, self._refused = set(), set()
        return written

    @property
    def owed(self) -> bool:
        """Whether something was refused, is handed out again, and is to be told once that succeeds."""
        return bool(self._retried)

    def refused(self) -> None:
        """What was handed out last could not be written."""
        self._refused |= self._handed
        self._retried = set()
