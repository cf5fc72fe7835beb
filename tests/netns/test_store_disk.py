"""The store on disks that are really full and really read-only: small ones, mounted for the test."""

import subprocess
import sys
import textwrap
from pathlib import Path

from lab.namespace import run

HEAD = """
    import os, subprocess, sys
    from tulle.errors import StorageError, UserError
    from tulle.host.store import Record, Store

    def refusal(work):
        try:
            work()
        except StorageError as error:
            return str(error)
        return ""

    disk = sys.argv[1]
    filler = os.path.join(disk, "filler")
    path = os.path.join(disk, "state", "state.db")
"""


def on_small_disk(directory: Path, script: str) -> None:
    """Run a script in a mount namespace of its own, with 400 KB of disk at its first argument."""
    program = textwrap.dedent(HEAD) + textwrap.dedent(script)
    mount = (
        f"mount -t tmpfs -o size=400k none {directory} && exec {sys.executable} -c '{program}' {directory}"
    )
    run(
        ["unshare", "--mount", "sh", "-c", mount],
        env={"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"},
    )


def test_a_full_disk_refuses_whole_commits_and_recovers(tmp_path: Path) -> None:
    on_small_disk(
        tmp_path,
        """
        store = Store(path)
        store.commit([Record("k", "a", b"old")])
        with open(filler, "wb", buffering=0) as file:
            try:
                while file.write(bytes(1024)):
                    pass
            except OSError:
                pass
        said = refusal(lambda: store.commit([Record("k", "a", b"new"), Record("k", "b", bytes(20000))]))
        assert "could not be written: the disk is full; free some space" in said, said
        assert store.load() == [Record("k", "a", b"old")]
        os.remove(filler)
        store.commit([Record("k", "a", b"new")])
        store.close()
        again = Store(path)
        assert again.load() == [Record("k", "a", b"new")] and not again.notes
        """,
    )


def test_a_disk_that_turns_read_only_is_said(tmp_path: Path) -> None:
    on_small_disk(
        tmp_path,
        """
        store = Store(path)
        store.commit([Record("k", "a", b"old")])
        store.close()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        said = refusal(lambda: Store(path))
        assert "ead-only file system" in said, said
        """,
    )


def test_a_disk_full_from_the_start_is_said(tmp_path: Path) -> None:
    on_small_disk(
        tmp_path,
        """
        with open(filler, "wb", buffering=0) as file:
            try:
                while file.write(bytes(1024)):
                    pass
            except OSError:
                pass
        said = refusal(lambda: Store(path))
        assert "full" in said or "No space left" in said, said
        """,
    )


def test_the_mounts_are_gone(tmp_path: Path) -> None:
    on_small_disk(tmp_path, "Store(path).close()")
    assert not list(tmp_path.iterdir())
    assert str(tmp_path) not in subprocess.run(["mount"], capture_output=True, text=True, check=True).stdout
