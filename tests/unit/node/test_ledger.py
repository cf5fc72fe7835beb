"""What is saved, in which batches, and what is tried again."""

import pytest

from node.world import Disk
from tulle.errors import StorageError
from tulle.instant import Instant
from tulle.node.events import Note
from tulle.node.ledger import RETRY_SECONDS, Ledger
from tulle.node.records import NodeRecord

NOW = Instant(5.0, 5.0)


def record(value: bytes) -> NodeRecord:
    return NodeRecord("node", "colour", value)


def test_what_is_kept_is_saved_once() -> None:
    disk = Disk()
    ledger = Ledger(disk.commit)
    ledger.keep(record(b"red"))
    assert ledger.save_the_rest(None, NOW) == []
    assert disk.load() == [("node", "colour", b"red")]
    disk.broken = True
    assert ledger.save_the_rest(None, NOW) == []
    assert ledger.error is None


def test_what_the_disk_refuses_is_said_once_and_tried_again_in_its_newest_state() -> None:
    disk = Disk()
    disk.broken = True
    ledger = Ledger(disk.commit)
    ledger.keep(record(b"red"))
    assert ledger.save_the_rest(None, NOW) == [Note("error", "disk full")]
    assert ledger.save_the_rest(None, NOW) == []
    assert ledger.retry_at == NOW.mono + RETRY_SECONDS
    ledger.keep(record(b"blue"))
    disk.broken = False
    assert ledger.save_the_rest(None, NOW) == []
    assert disk.load() == [("node", "colour", b"blue")]
    assert (ledger.error, ledger.retry_at) == (None, float("inf"))


def test_nothing_but_a_refusal_of_the_disk_is_swallowed() -> None:
    def commit(records: object) -> None:
        raise ZeroDivisionError

    ledger = Ledger(commit)
    ledger.keep(record(b"red"))
    with pytest.raises(ZeroDivisionError):
        ledger.save_the_rest(None, NOW)
    assert not isinstance(ledger.error, StorageError)
