import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tulle.errors import StorageError, UserError
from tulle.host.store import FORMAT, Record, Store


class Save(NamedTuple):
    kind: str
    key: str
    value: bytes | None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "state.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(path)
    yield store
    store.close()


def reopened(store: Store) -> Store:
    store.close()
    return Store(store.path)


def test_a_new_store_is_empty_and_says_nothing(store: Store) -> None:
    assert store.load() == []
    assert store.notes == []


def test_records_come_back_after_reopening(store: Store) -> None:
    store.commit([Save("ring", "a", b"1"), Save("names", "b", b"\0\xff")])
    again = reopened(store)
    assert again.load() == [Record("names", "b", b"\0\xff"), Record("ring", "a", b"1")]
    again.close()


def test_later_changes_win_and_none_deletes(store: Store) -> None:
    store.commit([Save("k", "a", b"1"), Save("k", "a", b"2"), Save("k", "b", b"3")])
    store.commit([Save("k", "b", None), Save("k", "never there", None)])
    assert store.load() == [Record("k", "a", b"2")]


def test_same_key_of_two_kinds_are_two_records(store: Store) -> None:
    store.commit([Save("x", "a", b"1"), Save("y", "a", b"2")])
    assert len(store.load()) == 2


def test_an_empty_commit_is_nothing(store: Store) -> None:
    store.commit([])
    assert store.load() == []


def test_survives_a_kill(path: Path) -> None:
    """What was committed is there after the process is killed without closing anything."""
    script = """
        import os, signal, sys
        from tulle.host.store import Record, Store
        store = Store(sys.argv[1])
        store.commit([Record("k", "a", b"kept")])
        os.kill(os.getpid(), signal.SIGKILL)
    """
    process = subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(path)], check=False)
    assert process.returncode == -9
    survivor = Store(path)
    assert survivor.load() == [Record("k", "a", b"kept")]
    survivor.close()


def test_only_the_owner_may_read(store: Store, path: Path) -> None:
    store.commit([Save("k", "a", b"secret")])
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for name in os.listdir(path.parent):
        assert stat.S_IMODE((path.parent / name).stat().st_mode) == 0o600, name


def test_commits_are_durable_by_setting(store: Store) -> None:
    connection = store._connection
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_a_second_daemon_is_refused_with_the_first_ones_pid(store: Store) -> None:
    with pytest.raises(UserError, match=rf"process {os.getpid()}\b.*--state-dir") as refused:
        Store(store.path)
    assert refused.value.status == 409


def test_the_directory_is_free_after_close(store: Store) -> None:
    reopened(store).close()


def test_close_twice_is_harmless(store: Store) -> None:
    store.close()
    store.close()


def test_a_full_disk_writes_nothing_and_heals(store: Store) -> None:
    store.commit([Save("k", "a", b"old")])
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    changes = [Save("k", "a", b"new"), Save("k", "big", bytes(100_000))]
    with pytest.raises(StorageError, match=r"could not be written: the disk is full; free some space"):
        store.commit(changes)
    assert store.load() == [Record("k", "a", b"old")]
    store._connection.execute(f"PRAGMA max_page_count = {pages + 1000}")
    store.commit(changes)
    assert store.load()[0].value == b"new"


def test_a_read_only_disk_is_said(store: Store) -> None:
    store._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(StorageError, match="read-only"):
        store.commit([Save("k", "a", b"1")])
    store._connection.execute("PRAGMA query_only = 0")
    store.commit([Save("k", "a", b"1")])


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be used for state"):
        Store(tmp_path / "file" / "state.db")


@pytest.mark.parametrize("damage", [b"rubbish" * 1000, b"SQLite format 3\0" + bytes(5000)])
def test_a_corrupt_file_is_moved_aside_and_said(path: Path, damage: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(damage)
    store = Store(path)
    assert store.load() == []
    assert path.with_name("state.db.corrupt-1").read_bytes() == damage
    assert "state.db.corrupt-1" in store.notes[0]
    store.close()


def test_a_page_damaged_in_the_middle_is_noticed(store: Store, path: Path) -> None:
    store.commit([Save("k", str(number), bytes(500)) for number in range(200)])
    store.close()
    content = bytearray(path.read_bytes())
    content[8192:12288] = b"\xaa" * 4096
    path.write_bytes(content)
    again = Store(path)
    assert len(again.notes) == 1
    assert again.load() == []
    again.close()


def test_a_second_corrupt_file_does_not_overwrite_the_first(path: Path) -> None:
    for round_ in (b"first ", b"second "):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(round_ * 1000)
        Store(path).close()
    assert path.with_name("state.db.corrupt-1").read_bytes().startswith(b"first")
    assert path.with_name("state.db.corrupt-2").read_bytes().startswith(b"second")


def test_somebody_elses_database_is_moved_aside(path: Path) -> None:
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE precious (x)")
    other.commit()
    other.close()
    store = Store(path)
    assert "something else" in store.notes[0]
    store.close()


def test_a_newer_format_is_refused_and_left_alone(store: Store, path: Path) -> None:
    store.commit([Save("k", "a", b"1")])
    store._connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    store.close()
    with pytest.raises(UserError, match="newer version"):
        Store(path)
    assert not path.with_name("state.db.corrupt-1").exists()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM records").fetchone()[0] == 1
    connection.close()
