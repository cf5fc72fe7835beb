from hypothesis import given
from hypothesis import strategies as st

from names.builders import entry
from tulle.names.entry import Entry

states = st.builds(
    lambda version, tombstone: entry(version=version, tombstone=tombstone),
    st.integers(0, 3),
    st.sampled_from([0, 5, 6]),
)


def merged(one: Entry, other: Entry) -> Entry:
    return other if other.replaces(one) else one


def test_a_higher_version_wins_over_any_tombstone() -> None:
    assert entry(version=2).replaces(entry(version=1, tombstone=9))
    assert not entry(version=1, tombstone=9).replaces(entry(version=2))


def test_a_removal_wins_over_the_same_version_alive_and_a_later_one_over_an_earlier() -> None:
    assert entry(tombstone=5).replaces(entry())
    assert entry(tombstone=6).replaces(entry(tombstone=5))


def test_nothing_replaces_itself() -> None:
    assert not entry().replaces(entry())


@given(states, states, states)
def test_merging_is_commutative_associative_and_idempotent(a: Entry, b: Entry, c: Entry) -> None:
    assert merged(a, b) == merged(b, a)
    assert merged(merged(a, b), c) == merged(a, merged(b, c))
    assert merged(a, a) == a


def test_only_a_zero_tombstone_is_alive() -> None:
    assert entry().live
    assert not entry(tombstone=-1).live
