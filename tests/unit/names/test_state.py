from names.builders import ME, OTHER, entry, ip
from tulle.names.entry import Entry, Key
from tulle.names.hostname import wire_form
from tulle.names.state import State


def state(*entries: Entry) -> State:
    made = State(ME, "tulle.internal.")
    for each in entries:
        made.put(each)
    return made


def keys(*entries: Entry) -> set[Key]:
    return {each.key for each in entries}


MINE, MINE_TOO, THEIRS = entry("a", ME), entry("b", ME, container="c2"), entry("a")


def test_entries_are_found_by_origin_and_ours_by_container() -> None:
    held = state(MINE, MINE_TOO, THEIRS)
    assert set(held.of_origin(ME)) == keys(MINE, MINE_TOO)
    assert held.of_origin(OTHER) == [THEIRS.key]
    assert held.containers() == ["c1", "c2"]
    assert held.of_container("c1") == [MINE.key]
    assert held.of_container("none") == []


def test_a_dead_entry_has_an_origin_but_neither_container_nor_answer() -> None:
    held = state(MINE, entry("a", ME, version=1, tombstone=5))
    assert held.of_origin(ME) == [MINE.key]
    assert held.containers() == []
    assert held.directory.reverse(ip("10.32.0.1")) is None


def test_an_entry_that_lives_again_is_listed_again() -> None:
    held = state(entry("a", ME, tombstone=5), entry("a", ME, version=1))
    assert held.of_container("c1") == [MINE.key]
    assert held.directory.reverse(ip("10.32.0.1")) == MINE.key.hostname


def test_a_new_version_of_a_live_entry_changes_no_answer() -> None:
    held = state(MINE)
    before = held.directory.generation
    held.put(entry("a", ME, version=9))
    assert held.directory.generation == before


def test_a_dropped_key_leaves_nothing_behind() -> None:
    held = state(MINE, entry("d", ME, tombstone=4))
    for key in list(held.entries):
        held.drop(key)
    assert held.entries == {}
    assert held.of_origin(ME) == held.containers() == []


def test_candidates_include_all_that_match() -> None:
    held = state(MINE, MINE_TOO, THEIRS)
    assert set(held.matching("c2", None, None)) == keys(MINE_TOO)
    assert set(held.matching(None, wire_form("a.tulle.internal."), None)) == keys(MINE, THEIRS)
    assert set(held.matching(None, None, ip("10.32.0.1"))) == keys(MINE, MINE_TOO, THEIRS)
    assert set(held.matching(None, None, None)) == keys(MINE, MINE_TOO)
