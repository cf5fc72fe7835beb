"""The disk leads the wire: what a node's parts want saved, and what may leave only when it is.

An address that cannot be saved is refused to whoever asked for it. A record of names or of the node's own is
kept and tried again, and while that lasts nothing new about it is told to anybody.
"""

import math
from collections.abc import Callable, Sequence

from tulle.errors import StorageError
from tulle.instant import Instant
from tulle.ipam.allocator import Allocator
from tulle.ipam.events import Done, Failed
from tulle.ipam.events import Log as IpamLog
from tulle.ipam.events import Save as IpamSave
from tulle.names.events import Save as NameSave
from tulle.names.nameserver import Nameserver
from tulle.node.events import Note
from tulle.node.records import Record

Commit = Callable[[Sequence[Record]], None]
"""Writes records so that they survive a crash, all or none. Raises StorageError."""

RETRY_SECONDS = 1.0
"""Seconds until a disk that refused a record is tried again, whatever else happens."""


class Ledger:
    """Commits what the parts want saved, and hands out what rests on it."""

    def __init__(self, commit: Commit) -> None:
        self.error: StorageError | None = None
        """What keeps a record that is not of an address from the disk."""
        self.retry_at = math.inf
        self._commit = commit
        self._unsaved: dict[tuple[str, str], Record] = {}

    def keep(self, record: Record) -> None:
        """Save this at the next opportunity, and until it succeeds."""
        self._unsaved[record.kind, record.key] = record

    def save_addresses(self, ipam: Allocator) -> list[Done | Failed | Note]:
        """Answers of the allocator, which are on disk now or refused."""
        events = ipam.collect()
        if not events:
            return []
        saves = [event for event in events if isinstance(event, IpamSave)]
        said: list[Done | Failed | Note] = []
        try:
            if saves:
                self._commit(saves)
        except StorageError as error:
            said.append(Note("error", str(error)))
            ipam.storage_failed(error)
            events = [event for event in events if not isinstance(event, Done)]
            events += ipam.collect()
        for event in events:
            if isinstance(event, IpamLog):
                said.append(Note(event.level, event.text))
            elif isinstance(event, Done | Failed):
                said.append(event)
        return said

    def save_the_rest(self, names: Nameserver | None, now: Instant) -> list[Note]:
        """Records of names, and those that were given to ``keep``."""
        notes = []
        for event in names.collect() if names is not None else ():
            if isinstance(event, NameSave):
                self.keep(event)
            else:
                notes.append(Note(event.level, event.text))
        if not self._unsaved:
            return notes
        try:
            self._commit(list(self._unsaved.values()))
        except StorageError as error:
            if self.error is None:
                notes.append(Note("error", str(error)))
            self.error, self.retry_at = error, now.mono + RETRY_SECONDS
            if names is not None:
                names.storage_failed()
        else:
            self._unsaved.clear()
            self.error, self.retry_at = None, math.inf
        return notes
