"""What the daemon keeps of itself: its name, its machine and its targets."""

from pathlib import Path
from random import Random

import pytest

from tulle.daemon.identity import (
    bridge_mac,
    machine_record,
    made_elsewhere,
    name_of_bridge,
    name_record,
    new_uid,
    random_name,
    saved_name,
    this_machine,
)
from tulle.daemon.targets import restored_targets, targets_record
from tulle.mesh.peername import PeerName


def test_a_name_is_kept() -> None:
    record = name_record(PeerName(0x0200_0000_0001))
    assert saved_name([("x", "name", b"-"), (record.kind, record.key, record.value)]) == 0x0200_0000_0001
    assert saved_name([]) is None


@pytest.mark.parametrize("value", [b"", b"nonsense", b"\xff", b"00:00:00:00:00:00"])
def test_a_name_that_makes_no_sense_is_not(value: bytes) -> None:
    assert saved_name([("daemon", "name", value)]) is None


def test_new_names_can_be_hardware_addresses() -> None:
    for seed in range(50):
        first = random_name(Random(seed)) >> 40
        assert first & 2
        assert not first & 1


def test_a_bridge_never_has_a_group_address() -> None:
    assert bridge_mac(PeerName(0x0100_0000_0001)) == "00:00:00:00:00:01"
    assert bridge_mac(PeerName(0x0200_0000_0001)) == "02:00:00:00:00:01"


def test_the_bridge_tells_the_name() -> None:
    for number in (0x0200_0000_0001, 7):
        assert name_of_bridge(bridge_mac(PeerName(number))) == number
    assert name_of_bridge("00:00:00:00:00:00") is None
    assert name_of_bridge("") is None


def test_a_copy_of_a_machine_is_another_machine(tmp_path: Path) -> None:
    disk, board, missing = tmp_path / "machine-id", tmp_path / "board", tmp_path / "missing"
    disk.write_text("one\n")
    board.write_text("first\n")
    original = this_machine((disk, board, missing))
    assert original == this_machine((disk, board)) != b""
    board.write_text("second\n")
    copy = this_machine((disk, board))
    assert this_machine((missing,)) == b""
    record = machine_record(original)
    saved = [("daemon", "name", b"x"), (record.kind, record.key, record.value)]
    assert made_elsewhere(saved, copy)
    assert not made_elsewhere(saved, original)
    assert not made_elsewhere(saved, b"")
    assert not made_elsewhere(saved[:1], copy)
    assert not made_elsewhere([("daemon", "machine", b"")], copy)


def test_the_number_of_a_run_is_never_zero() -> None:
    assert all(0 < new_uid(Random(seed)) < 1 << 64 for seed in range(50))


def test_targets_are_kept_in_order() -> None:
    record = targets_record(["10.0.0.2", "host:7000"])
    assert restored_targets([("daemon", "name", b"x"), (record.kind, record.key, record.value)]) == [
        "10.0.0.2",
        "host:7000",
    ]
    assert restored_targets([]) == []


@pytest.mark.parametrize("value", [b"", b"{", b'{"a":1}', b"[1]"])
def test_targets_that_make_no_sense_are_not(value: bytes) -> None:
    assert restored_targets([("daemon", "targets", value)]) == []
