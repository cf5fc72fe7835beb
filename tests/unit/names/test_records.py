import pytest
from hypothesis import given
from hypothesis import strategies as st

from names.builders import ME, entry
from tulle.mesh.peername import PeerName
from tulle.names import records
from tulle.names.entry import Entry, Key

entries = st.builds(
    lambda host, container, address, version, tombstone: Entry(
        Key(host, ME, container, address), version, tombstone
    ),
    st.text(st.characters(codec="utf-8")),
    st.text(st.characters(codec="utf-8")),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**62),
    st.integers(0, 2**40),
)


@given(entries)
def test_a_saved_entry_comes_back(each: Entry) -> None:
    saved = records.save(each)
    assert saved.kind == records.KIND
    assert saved.value is not None
    assert records.restore(saved.key, saved.value, ME) == each


@given(entries, entries)
def test_two_keys_never_share_a_record(one: Entry, other: Entry) -> None:
    assert (records.save(one).key == records.save(other).key) == (one.key == other.key)


def test_an_entry_comes_back_under_the_name_that_the_peer_has_now() -> None:
    saved = records.save(entry(origin=ME))
    assert saved.value is not None
    assert records.restore(saved.key, saved.value, PeerName(9)).key.origin == PeerName(9)


def test_forgetting_deletes_the_record_that_saving_wrote() -> None:
    forgotten = records.forget(entry().key)
    assert (forgotten.key, forgotten.value) == (records.save(entry()).key, None)


@pytest.mark.parametrize(
    ("key", "value"),
    [("", b"[0,0]"), ('["a","b"]', b"[0,0]"), ('["a","b",1]', b"\0"), ('["a","b",1]', b"[0]")],
)
def test_damage_is_a_value_error(key: str, value: bytes) -> None:
    with pytest.raises(ValueError):
        records.restore(key, value, ME)
