import math

from names.builders import START, entry
from tulle.names.entry import Entry, Key
from tulle.names.tombstones import KEPT_FOR, SPREAD_FOR, Tombstones

DEAD = entry(version=1, tombstone=5)


def held(*entries: Entry) -> tuple[Tombstones, dict[Key, Entry]]:
    tombstones = Tombstones()
    for each in entries:
        tombstones.hold(each, START)
    return tombstones, {each.key: each for each in entries}


def test_without_tombstones_there_is_nothing_to_do() -> None:
    assert Tombstones().next_deadline() == math.inf
    assert Tombstones().expired(START, {}) == []


def test_a_tombstone_is_spread_then_silent_then_forgotten() -> None:
    tombstones, current = held(DEAD)
    assert tombstones.next_deadline() == START.mono + SPREAD_FOR
    assert tombstones.expired(START.later(SPREAD_FOR - 1), current) == []
    assert not tombstones.silent
    assert tombstones.expired(START.later(SPREAD_FOR), current) == []
    assert tombstones.silent == {DEAD.key}
    assert tombstones.next_deadline() == START.mono + KEPT_FOR
    assert tombstones.expired(START.later(KEPT_FOR), current) == [DEAD.key]
    assert not tombstones.silent
    assert tombstones.next_deadline() == math.inf


def test_a_long_sleep_is_caught_up_in_one_step() -> None:
    tombstones, current = held(DEAD)
    assert tombstones.expired(START.later(KEPT_FOR + 1), current) == [DEAD.key]


def test_the_clock_of_a_replaced_entry_is_void() -> None:
    tombstones, _ = held(DEAD)
    current = {DEAD.key: entry(version=2)}
    assert tombstones.expired(START.later(KEPT_FOR), current) == []
    assert not tombstones.silent


def test_a_newer_tombstone_of_the_same_key_starts_anew() -> None:
    tombstones, current = held(DEAD)
    tombstones.expired(START.later(SPREAD_FOR), current)
    newer = entry(version=3, tombstone=9)
    current[newer.key] = newer
    tombstones.hold(newer, START.later(SPREAD_FOR + 1))
    assert not tombstones.silent
    assert tombstones.expired(START.later(KEPT_FOR), current) == []
    assert tombstones.silent == {newer.key}
    assert tombstones.expired(START.later(SPREAD_FOR + 1 + KEPT_FOR), current) == [newer.key]


def test_a_key_that_lives_again_is_not_silent() -> None:
    tombstones, current = held(DEAD)
    tombstones.expired(START.later(SPREAD_FOR), current)
    tombstones.release(DEAD.key)
    assert not tombstones.silent


def test_a_restored_tombstone_counts_from_the_first_tick() -> None:
    tombstones = Tombstones()
    tombstones.restore(DEAD)
    assert tombstones.next_deadline() == -math.inf
    assert tombstones.expired(START.later(5), {DEAD.key: DEAD}) == []
    assert tombstones.next_deadline() == START.mono + 5 + SPREAD_FOR
