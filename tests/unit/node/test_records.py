"""The short id's record."""

import pytest

from tulle.datapath.tables import SHORT_IDS, ShortId
from tulle.node.records import restored_short_id, short_id_record


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
