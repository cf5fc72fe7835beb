"""The records of the short id and of the peers."""

import pytest

from tulle.datapath.tables import SHORT_IDS, ShortId
from tulle.mesh.peername import PeerName
from tulle.node.records import (
    acquaintances_record,
    restored_acquaintances,
    restored_short_id,
    short_id_record,
)


def test_what_is_saved_is_restored_among_other_records() -> None:
    record = short_id_record(ShortId(4095))
    assert record.value is not None
    assert restored_short_id([("daemon", "name", b"x"), (record.kind, record.key, record.value)]) == 4095


@pytest.mark.parametrize("value", [b"", b"-1", b"4096", b"x", "\N{SUPERSCRIPT TWO}".encode(), b"1" * 5000])
def test_what_makes_no_sense_is_not(value: bytes) -> None:
    record = short_id_record(ShortId(1))
    assert SHORT_IDS == 4096
    assert restored_short_id([(record.kind, record.key, value)]) is None


def test_nothing_saved() -> None:
    assert restored_short_id([]) is None
    assert restored_acquaintances([]) == {}


def test_peers_are_restored() -> None:
    peers = {PeerName(2): ("10.0.0.2", 6783), PeerName(3): ("2001:db8::3", 7000)}
    record = acquaintances_record(peers)
    assert record.value is not None
    assert (
        restored_acquaintances([("node", "short-id", b"1"), (record.kind, record.key, record.value)]) == peers
    )


@pytest.mark.parametrize("value", [b"", b"{}", b"[1]", b'[["x","10.0.0.1:1"]]', b"\xff"])
def test_peers_that_make_no_sense_are_not(value: bytes) -> None:
    assert restored_acquaintances([("node", "peers", value)]) == {}
    assert restored_acquaintances([("node", "peers", b'[["::2","nowhere"]]')]) == {}
