from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from names.builders import entry, vector_entry, vectors
from tulle.errors import BadMessage
from tulle.mesh.dialect.weave import gob
from tulle.names import weave


@pytest.mark.parametrize("vector", vectors("ns-encode"), ids=lambda vector: vector["name"])
def test_messages_equal_those_of_the_original_byte_for_byte(vector: dict[str, Any]) -> None:
    entries = [vector_entry(row) for row in vector["req"]["Entries"]]
    payload = bytes.fromhex(vector["res"]["hex"])
    assert weave.encode(vector["req"]["Timestamp"], {entry.key: entry for entry in entries}) == payload
    decoded = weave.decode(payload)
    assert decoded.timestamp == vector["req"]["Timestamp"]
    assert decoded.entries == sorted(entries, key=lambda entry: entry.key)


def test_entries_go_out_by_hostname_origin_container_and_address() -> None:
    unsorted = [
        entry("b"),
        entry("a", container="c2"),
        entry("a", address="10.0.0.9"),
        entry("a", address="10.0.0.10"),
        entry("B"),
    ]
    decoded = weave.decode(weave.encode(5, {each.key: each for each in unsorted})).entries
    assert [(each.key.hostname[0], each.key.container, str(each.key.ip)) for each in decoded] == [
        ("B", "c1", "10.32.0.1"),
        ("a", "c1", "10.0.0.9"),
        ("a", "c1", "10.0.0.10"),
        ("a", "c2", "10.32.0.1"),
        ("b", "c1", "10.32.0.1"),
    ]


def wire_message(**changes: object) -> bytes:
    """A message with one row, in which fields were changed."""
    row = {"ContainerID": "c", "Origin": 2, "Addr": 1, "Hostname": "a.", "Version": 0, "Tombstone": 0}
    kinds = {"Version": gob.INT, "Tombstone": gob.INT, "ContainerID": gob.STRING, "Hostname": gob.STRING}
    element = gob.Struct("Entry", tuple((name, kinds.get(name, gob.UINT)) for name in row))
    message = gob.Struct("GossipData", (("Timestamp", gob.INT), ("Entries", gob.Slice(element))))
    return gob.encode((message, {"Timestamp": 1, "Entries": [row | changes]}))


def test_an_address_must_have_32_bits() -> None:
    assert weave.decode(wire_message(Addr=0xFFFFFFFF)).entries
    with pytest.raises(BadMessage, match="32 bits"):
        weave.decode(wire_message(Addr=1 << 32))


@pytest.mark.parametrize("version", [-1, (1 << 62) + 1, (1 << 63) - 1])
def test_versions_that_nobody_can_have_counted_to_are_left_out(version: int) -> None:
    assert weave.decode(wire_message(Version=version)).entries == []


@given(st.binary(max_size=200))
def test_random_bytes_are_a_bad_message(data: bytes) -> None:
    with pytest.raises(BadMessage):
        weave.decode(data)


@given(st.data())
def test_a_damaged_message_is_a_bad_message_or_another_one(data: st.DataObject) -> None:
    payload = bytearray(weave.encode(1_700_000_000, {each.key: each for each in (entry("a"), entry("b"))}))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        weave.decode(bytes(payload[: data.draw(st.integers(0, len(payload)))]))
    except BadMessage:
        return
