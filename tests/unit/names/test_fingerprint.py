"""Digests of the names: kept up with changes, they equal those made from scratch."""

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.errors import BadMessage
from tulle.instant import Instant
from tulle.mesh.channel import NO_KEYS
from tulle.mesh.peername import PeerName
from tulle.names.entry import Entry, Key
from tulle.names.fingerprint import BUCKETS, Fingerprint
from tulle.names.nameserver import Nameserver
from tulle.names.state import State

NOW = Instant(100.0, 1_700_000_000.0)
ONE, TWO = PeerName(1), PeerName(2)
KEYS = st.builds(
    Key, st.sampled_from(["a.x.", "b.x."]), st.sampled_from([ONE, TWO]), st.sampled_from(["c1", "c2"]),
    st.integers(1, 3),
)  # fmt: skip
ENTRIES = st.builds(Entry, KEYS, st.integers(0, 3), st.sampled_from([0, 7]))


@given(st.lists(st.tuples(ENTRIES, st.booleans()), max_size=30))
def test_what_is_kept_up_equals_what_is_made_from_scratch(changes: list[tuple[Entry, bool]]) -> None:
    state = State(ONE, "x.")
    for entry, stays in changes:
        state.put(entry)
        if not stays:
            state.drop(entry.key)
    fresh = Fingerprint()
    for entry in state.entries.values():
        if entry.live:
            fresh.toggle(entry)
    assert state.fingerprint.fine() == fresh.fine()
    assert state.fingerprint.whole() == fresh.whole()


@given(st.dictionaries(KEYS, st.integers(0, 3)), st.dictionaries(KEYS, st.integers(0, 3)))
def test_every_difference_is_found(one: dict[Key, int], other: dict[Key, int]) -> None:
    ours, theirs = Fingerprint(), Fingerprint()
    for fingerprint, held in ((ours, one), (theirs, other)):
        for key, version in held.items():
            fingerprint.toggle(Entry(key, version, 0))
    assert (ours.whole() == theirs.whole()) is (one == other)
    odd = {key for key in one if other.get(key) != one[key]}
    assert odd <= set(ours.differing(theirs.fine(), one))


def test_equal_buckets_are_not_told_again() -> None:
    ours, theirs = Fingerprint(), Fingerprint()
    keys = [Key(f"n{number}.x.", ONE, "c", number) for number in range(1000)]
    for key in keys:
        ours.toggle(Entry(key, 0, 0))
        theirs.toggle(Entry(key, 0, 0))
    theirs.toggle(Entry(keys[5], 0, 0))
    found = ours.differing(theirs.fine(), keys)
    assert keys[5] in found
    assert len(found) < 5 * len(keys) / BUCKETS


def test_two_nameservers_become_equal_by_digests_alone() -> None:
    one, two = (Nameserver(peer, "x.") for peer in (ONE, TWO))
    for server in (one, two):
        server.known_peers({ONE, TWO})
        server.add("c", f"only-{server.peer}", _ip(server.peer), NOW)
    for asker, answerer in ((one, two), (two, one)):
        assert answerer.compare(asker.digest(False, NOW), False, asker.peer, NOW) is None
        keys = asker.compare(answerer.digest(True, NOW), True, answerer.peer, NOW)
        assert keys
        for payload in asker.encode_some("weave", keys, NOW):
            answerer.merge("weave", payload, asker.peer, False, NOW)
    assert one.entries() == two.entries()
    assert one.compare(two.digest(False, NOW), False, TWO, NOW) == NO_KEYS
    assert one.compare(two.digest(True, NOW), True, TWO, NOW) == NO_KEYS


@pytest.mark.parametrize(("digest", "fine"), [(b"", False), (b"1234567", True), (b"12345678", True)])
def test_what_is_no_digest_of_names(digest: bytes, fine: bool) -> None:
    with pytest.raises(BadMessage):
        Nameserver(ONE, "x.").compare(digest, fine, TWO, NOW)


def _ip(number: int) -> IPv4Address:
    return IPv4Address(0x0A200000 + number)
