"""What must survive a crash: a small table of records in one SQLite file.

A commit is one transaction, on the disk before the call returns (write-ahead log, ``synchronous=FULL``),
so whoever hands something out after a commit can never hand it out again after a power cut. The file belongs
to one daemon: a lock beside it keeps a second one away. A file that cannot be read is moved aside, never
overwritten, and said in ``notes``.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

from tulle.errors import StorageError, UserError

FORMAT = 1
_APPLICATION_ID = 0x74756C65  # "tule", in the header of the file
_COMPANIONS = ("", "-wal", "-shm")


class Record(NamedTuple):
    """One stored value. ``kind`` says which part of the program owns it, ``key`` is that part's own."""

    kind: str
    key: str
    value: bytes


class Change(Protocol):
    """A record to write, or to delete where ``value`` is None."""

    @property
    def kind(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def value(self) -> bytes | None: ...


class _Unreadable(Exception):
    """The file is there but is not a store of ours, or is damaged."""


class Store:
    """The open state file. Not for use from several threads at once."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open or create the file at ``path``, and its directory (mode 0700) where missing.

        Raises UserError if another daemon has it open or a newer version wrote it, StorageError if it
        cannot be opened or created.
        """
        self.path = Path(path)
        self.notes: list[str] = []
        self.lost = False
        """Whether what was saved could not be read, so that this one is empty."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _lock_directory(self.path.parent)
        except OSError as error:
            raise StorageError(f"{self.path.parent} cannot be used for state: {error.strerror}") from error
        try:
            self._connection = self._open()
        except BaseException:
            os.close(self._lock)
            raise

    def load(self) -> list[Record]:
        """Every record, ordered by kind and key."""
        try:
            rows = self._connection.execute("SELECT kind, key, value FROM records ORDER BY kind, key")
            return [Record(*row) for row in rows]
        except sqlite3.Error as error:
            raise StorageError(f"{self.path} could not be read: {error}") from error

    def commit(self, changes: Iterable[Change]) -> None:
        """Write all changes, later ones over earlier ones, or none of them.

        When this returns they are on the disk. StorageError means that nothing was written; the same call
        may be made again.
        """
        writes = [(change.kind, change.key, change.value) for change in changes]
        if not writes:
            return
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for kind, key, value in writes:
                self._write(kind, key, value)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise StorageError(self._explain(error)) from error

    def close(self) -> None:
        """Close the file and let another daemon have it. May be called twice."""
        if self._lock >= 0:
            self._connection.close()
            os.close(self._lock)
            self._lock = -1

    def _write(self, kind: str, key: str, value: bytes | None) -> None:
        if value is None:
            self._connection.execute("DELETE FROM records WHERE kind = ? AND key = ?", (kind, key))
        else:
            self._connection.execute("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", (kind, key, value))

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _open(self) -> sqlite3.Connection:
        try:
            try:
                return _connect(self.path)
            except _Unreadable as error:
                self.notes.append(_move_aside(self.path, str(error)))
                self.lost = True
                return _connect(self.path)
        except (sqlite3.Error, OSError) as error:
            raise StorageError(self._explain(error)) from error

    def _explain(self, error: Exception) -> str:
        text = str(error)
        if "full" in text:
            cause = f"the disk is full; free some space there (df {self.path.parent})"
        elif "readonly" in text or "read-only" in text.lower():
            cause = "the file system is read-only; make it writable, or use another --state-dir"
        else:
            cause = f"{text}; check the disk and the kernel log"
        return f"{self.path} could not be written: {cause}"


def _lock_directory(directory: Path) -> int:
    """Hold ``directory`` for this process, until the returned descriptor is closed."""
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise UserError(
            f"another daemon (process {owner}) uses the state in {directory}; stop it, or give this one"
            " another --state-dir",
            409,
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _connect(path: Path) -> sqlite3.Connection:
    """Open the database, make the table in a new one, and check that it is whole and of our format."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, path)
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.DatabaseError) and _is_damage(error):
            raise _Unreadable(str(error)) from error
        raise
    _sync_directory(path.parent)
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    if _pragma(connection, "schema_version") == 0:
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    elif _pragma(connection, "application_id") != _APPLICATION_ID:
        raise _Unreadable("it is a database of something else")
    elif _pragma(connection, "quick_check") != "ok":
        raise _Unreadable("its pages are damaged")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    version = _pragma(connection, "user_version")
    if version not in (0, FORMAT):
        raise UserError(
            f"{path} was written by a newer version (format {version}, this one knows {FORMAT}); upgrade, or"
            " use another --state-dir"
        )
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS records (kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,"
        " PRIMARY KEY (kind, key)) WITHOUT ROWID"
    )
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("COMMIT")


def _pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _move_aside(path: Path, reason: str) -> str:
    number = 1
    while (aside := path.with_name(f"{path.name}.corrupt-{number}")).exists():
        number += 1
    for suffix in _COMPANIONS:
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return (
        f"{path} could not be read ({reason}); it was moved to {aside} and this daemon starts without its"
        " saved state"
    )


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
