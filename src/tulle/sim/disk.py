"""A disk: what was committed survives, all of a batch or none."""

from collections.abc import Sequence

from tulle.errors import StorageError
from tulle.node.records import Record

Records = dict[tuple[str, str], bytes]


class Disk:
    """The state file of one daemon."""

    def __init__(self) -> None:
        self.records: Records = {}
        self._full = False
        self.was_full = False
        """Whether it ever refused to be written to, or is an old copy: what was taken back may be on it."""
        self.commits = 0
        self._snapshot: Records | None = None

    @property
    def full(self) -> bool:
        """Whether every commit is refused."""
        return self._full

    def fill(self, full: bool) -> None:
        """There is no room any more, or there is again."""
        self._full = full
        self.was_full |= full

    def commit(self, changes: Sequence[Record]) -> None:
        """Write these, or raise StorageError and write nothing."""
        if self._full:
            raise StorageError("the disk is full")
        self.commits += 1
        for change in changes:
            if change.value is None:
                self.records.pop((change.kind, change.key), None)
            else:
                self.records[change.kind, change.key] = change.value

    def load(self) -> list[tuple[str, str, bytes]]:
        """Everything that is on it."""
        return [(kind, key, value) for (kind, key), value in self.records.items()]

    def snapshot(self) -> None:
        """Make a backup."""
        self._snapshot = dict(self.records)

    def roll_back(self) -> None:
        """Restore the backup; an empty disk if none was made."""
        self.was_full = True
        self.records = dict(self._snapshot or {})

    def wipe(self) -> None:
        """Everything is lost."""
        self.records = {}
