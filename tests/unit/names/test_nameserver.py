import math
import random
from typing import Any

import pytest

from names.builders import ME, OTHER, START, THIRD, Disk, entry, ip, nameserver, vector_entry, vectors
from tulle.errors import BadMessage, UserError
from tulle.instant import Instant
from tulle.mesh.channel import Broadcast, Gossip, Merged
from tulle.mesh.peername import PeerName
from tulle.names import nameserver as module
from tulle.names import weave
from tulle.names.entry import Entry, Key
from tulle.names.events import Log, Save
from tulle.names.nameserver import Nameserver
from tulle.names.tombstones import KEPT_FOR, SPREAD_FOR

A = ip("10.32.0.1")


def tell(server: Nameserver, *entries: Entry, now: Instant = START, sender: PeerName = OTHER) -> Merged:
    """Let a nameserver hear these entries, duplicates and disorder included."""
    payloads = [weave.encode(int(START.wall), {each.key: each}) for each in entries]
    merges = [server.merge("weave", payload, sender, False, now) for payload in payloads]
    return Merged(
        frozenset().union(*(merge.received for merge in merges)),
        frozenset().union(*(merge.fresh for merge in merges)),
    )


def said(server: Nameserver) -> list[Entry]:
    """What a nameserver wants broadcast, as it would go out now."""
    keys = [message.keys for message in server.outbox if isinstance(message, Broadcast)]
    server.outbox.clear()
    return [
        each
        for some in keys
        for payload in server.encode_some("weave", some, START)
        for each in weave.decode(payload).entries
    ]


def state(server: Nameserver) -> list[Entry]:
    return [each for payload in server.encode_all("weave", START) for each in weave.decode(payload).entries]


# -- merging ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", vectors("ns-merge"), ids=lambda vector: vector["name"])
def test_merging_gives_what_the_original_gives(vector: dict[str, Any]) -> None:
    server = nameserver()
    held = list(map(vector_entry, vector["req"]["Entries"]))
    heard = list(map(vector_entry, vector["req"]["Incoming"]))
    server.known_peers(frozenset(each.key.origin for each in held + heard))
    tell(server, *held)
    merged = tell(server, *heard)
    assert set(state(server)) == set(map(vector_entry, vector["res"]["entries"]))
    assert merged.fresh == {vector_entry(row).key for row in vector["res"]["new"]}
    assert merged.received == {each.key for each in heard}


def test_peers_agree_whatever_the_order_and_however_often_they_hear() -> None:
    rng = random.Random(3)
    news = [
        entry(rng.choice("abc"), rng.choice([OTHER, THIRD]), version=rng.randrange(4), tombstone=dead)
        for dead in (0, 0, 7, 8) * 10
    ]
    states = []
    for _ in range(20):
        server = nameserver(PeerName(9))
        order = rng.choices(news, k=30) + rng.sample(news, len(news))
        tell(server, *order)
        states.append((state(server), [server.lookup(name) for name in "abc"]))
    assert all(each == states[0] for each in states)


def test_a_key_twice_in_one_message_is_merged_and_never_passed_on_twice() -> None:
    twice = entry("web")
    payload = weave.encode(1, {twice.key: twice, Key("z.", *twice.key[1:]): Entry(twice.key, 3, 0)})
    assert len(weave.decode(payload).entries) == 2
    server = nameserver()
    server.merge("weave", payload, OTHER, True, START)
    assert state(server) == [Entry(twice.key, 3, 0)]


def test_entries_of_unknown_origins_are_ignored() -> None:
    server = nameserver()
    merged = tell(server, entry(origin=PeerName(77)))
    assert merged == Merged(frozenset(), frozenset())
    assert server.lookup("web") == ()


def test_names_that_come_before_their_peer_wait_for_it_and_are_passed_on() -> None:
    server = nameserver()
    server.known_peers({ME})
    tell(server, entry("web", version=1), entry("web"), entry("db", THIRD))
    assert server.lookup("web") == ()
    server.known_peers({ME, OTHER})
    due = START.later(server.next_deadline() - START.mono)
    server.tick(due)
    assert server.entries() == [entry("web", version=1)]
    assert server.outbox == [Gossip(frozenset({entry("web").key}))]
    server.known_peers({ME, OTHER, THIRD})
    server.tick(due.later(1000))
    assert len(server.entries()) == 2


def test_what_waited_is_no_news_when_something_newer_came_meanwhile() -> None:
    server = nameserver()
    server.known_peers({ME})
    tell(server, entry("web"))
    server.known_peers({ME, OTHER})
    tell(server, entry("web", version=1))
    server.tick(START.later(1))
    assert server.entries() == [entry("web", version=1)]
    assert server.outbox == []


def test_a_bad_message_changes_nothing() -> None:
    server = nameserver()
    with pytest.raises(BadMessage):
        server.merge("weave", b"\x01", OTHER, False, START)
    assert server.collect() == []


def test_unicasts_are_ignored() -> None:
    server = nameserver()
    server.receive("weave", weave.encode(0, {entry().key: entry()}), OTHER, START)
    assert server.entries() == []


def test_nothing_is_sent_of_an_empty_state_or_of_keys_that_are_gone() -> None:
    server = nameserver()
    assert server.encode_all("weave", START) == []
    assert server.encode_some("weave", frozenset({entry().key, "foreign"}), START) == []


def test_a_large_state_goes_out_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENTRIES_PER_MESSAGE", 2)
    server = nameserver()
    tell(server, *(entry(name) for name in "abcde"))
    payloads = server.encode_all("weave", START)
    assert [len(weave.decode(payload).entries) for payload in payloads] == [2, 2, 1]
    assert len(state(server)) == 5


# -- our own names ----------------------------------------------------------------------------------------


def test_a_new_name_is_answered_saved_and_broadcast() -> None:
    server = nameserver()
    server.add("c1", "web", A, START)
    assert server.lookup("web") == server.lookup("WEB.tulle.internal.") == (A,)
    assert server.reverse(A) == "web.tulle.internal."
    assert said(server) == [entry("web", ME)]
    assert [event.kind for event in server.collect() if isinstance(event, Save)] == ["names", "name"]
    assert server.collect() == []


def test_adding_it_again_says_nothing_even_in_another_case() -> None:
    server = nameserver()
    server.add("c1", "web", A, START)
    said(server)
    server.collect()
    server.add("c1", "web", A, START)
    server.add("c1", "WEB", A, START)
    assert said(server) == []
    assert server.collect() == []


def test_the_same_name_for_another_container_is_another_entry() -> None:
    server = nameserver()
    server.add("c1", "web", A, START)
    server.add("c2", "web", A, START)
    assert server.remove("c1", None, None, START) == 1
    assert server.lookup("web") == (A,)


def test_a_removed_name_is_gone_and_comes_back_with_a_higher_version() -> None:
    server = nameserver()
    server.add("c1", "web", A, START)
    assert server.remove(None, "web", None, START) == 1
    assert server.lookup("web") == ()
    assert server.entries() == [entry("web", ME, version=1, tombstone=int(START.wall))]
    server.add("c1", "web", A, START)
    assert server.entries() == [entry("web", ME, version=2)]
    assert said(server) == [entry("web", ME, version=2)] * 3


def test_a_removal_is_never_marked_as_alive_by_a_clock_at_zero() -> None:
    server = nameserver()
    server.add("c1", "web", A, START)
    server.remove(None, None, None, Instant(0, 0))
    assert server.lookup("web") == ()


def test_names_outside_the_domain_are_refused() -> None:
    with pytest.raises(UserError, match="not under the domain"):
        nameserver().add("c1", "www.example.org", A, START)


@pytest.mark.parametrize(
    ("container", "hostname", "address", "left"),
    [
        ("c1", None, None, {"c2 b 2"}),
        (None, "A", None, {"c1 b 1", "c2 b 2"}),
        (None, None, "10.0.0.1", {"c2 b 2"}),
        ("c1", "b", "10.0.0.1", {"c1 a 1", "c2 b 2"}),
        ("c2", "a", None, {"c1 a 1", "c1 b 1", "c2 b 2"}),
        (None, None, None, set()),
        ("nobody", None, None, {"c1 a 1", "c1 b 1", "c2 b 2"}),
    ],
)
def test_removal_takes_what_matches_all_that_was_given(
    container: str | None, hostname: str | None, address: str | None, left: set[str]
) -> None:
    server = nameserver()
    for owner, name, number in (("c1", "a", 1), ("c1", "b", 1), ("c2", "b", 2)):
        server.add(owner, name, ip(f"10.0.0.{number}"), START)
    removed = server.remove(container, hostname, ip(address) if address else None, START)
    assert removed == 3 - len(left)
    alive = [each.key for each in server.entries() if each.live]
    assert {f"{key.container} {key.hostname[0]} {key.address & 255}" for key in alive} == left


def test_containers_know_their_names() -> None:
    server = nameserver()
    for name in ("web", "db"):
        server.add("c1", name, A, START)
        server.add("c1", name, ip("10.32.0.2"), START)
    tell(server, entry("other"))
    assert server.containers() == ["c1"]
    assert server.names_of("c1") == ["db.tulle.internal.", "web.tulle.internal."]
    server.container_gone("c1", START)
    assert server.containers() == server.names_of("c1") == []


def test_names_of_other_peers_cannot_be_removed() -> None:
    server = nameserver()
    tell(server, entry("web"))
    assert server.remove(None, "web", None, START) == 0
    assert server.remove(None, None, A, START) == 0
    assert server.lookup("web") == (A,)


def test_removing_nothing_says_nothing() -> None:
    server = nameserver()
    assert server.container_gone("c1", START) == 0
    assert said(server) == []


# -- what others say of our names -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "heard",
    [entry("web", ME, version=4), entry("web", ME, version=4, tombstone=9), entry("web", ME, tombstone=9)],
)
def test_our_name_is_said_again_when_others_hold_a_newer_state(heard: Entry) -> None:
    server = nameserver()
    server.add("c1", "web", A, START)
    said(server)
    merged = tell(server, heard)
    assert server.lookup("web") == (A,)
    assert said(server) == [entry("web", ME, version=heard.version + 1)]
    assert merged.fresh == merged.received == {heard.key}


def test_our_removal_is_said_again_when_others_hold_a_newer_name() -> None:
    server = nameserver()
    server.add("c1", "web", A, START)
    server.remove(None, None, None, START)
    said(server)
    tell(server, entry("web", ME, version=7))
    assert server.lookup("web") == ()
    assert said(server) == [entry("web", ME, version=8, tombstone=int(START.wall))]


def test_what_others_hold_of_an_older_state_is_no_news() -> None:
    server = nameserver()
    server.add("c1", "web", A, START)
    server.remove(None, None, None, START)
    said(server)
    assert tell(server, entry("web", ME)).fresh == frozenset()
    assert said(server) == []


def test_a_name_of_ours_that_we_do_not_know_is_removed_everywhere() -> None:
    server = nameserver()
    tell(server, entry("web", ME, version=4))
    assert said(server) == [entry("web", ME, version=5, tombstone=int(START.wall))]
    assert server.lookup("web") == ()


def test_a_removal_of_ours_that_we_do_not_know_is_taken_as_it_is() -> None:
    server = nameserver()
    heard = entry("web", ME, version=4, tombstone=9)
    tell(server, heard)
    assert server.entries() == said(server) == [heard]
    server.add("c1", "web", A, START)
    assert said(server) == [entry("web", ME, version=5)]


def test_after_losing_the_disk_a_name_that_is_there_again_wins_over_its_former_removal() -> None:
    ours, theirs = nameserver(), nameserver(OTHER)
    old = nameserver()
    old.add("c1", "web", A, START)
    old.add("c1", "gone", A, START)
    old.remove(None, "web", None, START)
    tell(theirs, *state(old), sender=ME)
    ours.add("c1", "web", A, START)
    tell(theirs, *said(ours), sender=ME)
    assert theirs.lookup("web") == ()
    tell(ours, *state(theirs))
    tell(theirs, *said(ours), sender=ME)
    assert theirs.lookup("web") == (A,)
    assert theirs.lookup("gone") == ()
    assert state(ours) == state(theirs)


# -- a disk that refuses ------------------------------------------------------------------------------------


def test_a_name_that_is_not_on_disk_is_told_nobody_until_it_is() -> None:
    server = nameserver()
    server.add("c1", "web", A, START)
    server.collect()
    server.outbox.clear()
    server.storage_failed()
    assert state(server) == []
    assert server.lookup("web") == (A,)
    for _ in range(3):
        server.collect()
        server.storage_failed()
        assert server.outbox == []
        assert state(server) == []
    server.collect()
    server.collect()
    (told,) = server.outbox
    assert isinstance(told, Broadcast)
    assert server.encode_some("weave", told.keys, START)
    assert len(state(server)) == 1


def test_a_removal_is_told_whatever_the_disk_says() -> None:
    server = nameserver()
    server.add("c1", "web", A, START)
    server.collect()
    server.remove(None, None, None, START)
    server.collect()
    server.storage_failed()
    (gone,) = state(server)
    assert not gone.live


# -- time ---------------------------------------------------------------------------------------------------


def test_tombstones_are_spread_then_silent_then_forgotten() -> None:
    server, disk = nameserver(), Disk()
    server.add("c1", "web", A, START)
    server.remove(None, None, None, START)
    assert server.next_deadline() == START.mono + SPREAD_FOR
    server.tick(START.later(SPREAD_FOR))
    assert server.entries() == state(server) == []
    disk.keep(server)
    assert [kind for kind, _ in disk] == ["names", "name"]
    assert tell(server, entry("web", ME, version=1, tombstone=int(START.wall))).fresh == frozenset()
    server.tick(START.later(KEPT_FOR))
    disk.keep(server)
    assert [kind for kind, _ in disk] == ["names"]
    assert server.next_deadline() == math.inf


def test_the_age_of_a_tombstone_counts_from_its_arrival_not_by_the_clock_of_its_origin() -> None:
    server = nameserver()
    ancient, future = entry("a", tombstone=1), entry("b", tombstone=2**40)
    tell(server, ancient, future)
    server.tick(START.later(SPREAD_FOR - 1))
    assert server.entries() == [ancient, future]
    server.tick(START.later(SPREAD_FOR))
    assert server.entries() == []


def test_peers_do_not_infect_each_other_with_old_tombstones() -> None:
    one, other = nameserver(ME), nameserver(OTHER)
    late = START.later(SPREAD_FOR / 2)
    dead = entry("web", THIRD, version=1, tombstone=9)
    tell(one, dead)
    tell(other, dead, now=late)
    for minute in range(1, 300):
        now = START.later(minute * 60)
        for server in (one, other):
            server.tick(now)
        for source, target in ((one, other), (other, one)):
            for payload in source.encode_all("weave", now):
                target.merge("weave", payload, source.peer, False, now)
    assert one.next_deadline() == other.next_deadline() == math.inf


def test_clocks_that_differ_are_said_once_and_do_no_harm() -> None:
    server = nameserver()
    far = START.later(1000)
    tell(server, entry("a"), now=far)
    tell(server, entry("b"), now=far)
    assert server.lookup("a") == server.lookup("b") == (A,)
    (log,) = server.collect()
    assert isinstance(log, Log)
    assert log.level == "warning"
    assert "00:00:00:00:00:02 differs from ours by 17 minutes" in log.text


def test_a_clock_that_is_wrong_again_is_said_again() -> None:
    server = nameserver()
    for offset in (1000, 0, -1000):
        tell(server, entry("a"), now=START.later(offset))
    assert len(server.collect()) == 2


# -- peers come and go ------------------------------------------------------------------------------------


def test_names_of_a_peer_that_is_gone_are_dropped_without_a_word_and_return_with_it() -> None:
    server = nameserver()
    tell(server, entry("web"), entry("web", THIRD, "10.32.0.2"))
    server.peers_gone([OTHER, PeerName(99)])
    assert server.lookup("web") == (ip("10.32.0.2"),)
    assert said(server) == []
    tell(server, entry("web"))
    assert len(server.lookup("web")) == 2


def test_our_own_names_stay_whoever_calls_us_gone() -> None:
    server = nameserver()
    server.add("c1", "web", A, START)
    server.peers_gone([ME])
    assert server.lookup("web") == (A,)


# -- a life after death -----------------------------------------------------------------------------------


def test_a_crash_loses_neither_a_name_nor_a_removal() -> None:
    server, disk = nameserver(), Disk()
    server.add("c1", "web", A, START)
    server.add("c2", "db", A, START)
    server.remove("c2", None, None, START)
    disk.keep(server)
    again = nameserver(restored=[("claim", "x", b"foreign"), *disk.records()])
    assert again.entries() == server.entries()
    assert again.lookup("web") == (A,)
    again.tick(START)
    assert again.next_deadline() == START.mono + SPREAD_FOR
    again.add("c2", "db", A, START)
    assert said(again) == [entry("db", ME, container="c2", version=2)]
    assert again.container_gone("c1", START) == 1


def test_names_of_other_peers_are_not_saved() -> None:
    server = nameserver()
    tell(server, entry("web"))
    assert server.collect() == []


def test_a_damaged_record_is_said_and_dropped_and_the_others_stay() -> None:
    server, disk = nameserver(), Disk()
    server.add("c1", "web", A, START)
    disk.keep(server)
    disk["name", "nonsense"] = b"?"
    again = nameserver(restored=disk.records())
    assert again.lookup("web") == (A,)
    log, save = again.collect()
    assert isinstance(log, Log)
    assert "damaged" in log.text
    assert save == Save("name", "nonsense", None)


def test_names_saved_under_another_domain_come_under_the_new_one() -> None:
    old, disk = Nameserver(ME, "old.internal"), Disk()
    old.add("c1", "web.shop.old.internal", A, START)
    disk.keep(old)
    server = nameserver(restored=disk.records())
    assert server.next_deadline() == -math.inf
    server.tick(START)
    assert server.reverse(A) == "web.shop.tulle.internal."
    assert sorted(each.live for each in said(server)) == [False, True]
    assert server.next_deadline() == START.mono + SPREAD_FOR
    disk.keep(server)
    again = nameserver(restored=disk.records())
    again.tick(START)
    assert again.names_of("c1") == ["web.shop.tulle.internal."]


@pytest.mark.parametrize("domain", [None, b"\xff", b"other.internal."])
def test_names_of_a_domain_that_is_not_known_are_removed(domain: bytes | None) -> None:
    old, disk = Nameserver(ME, "old.internal"), Disk()
    old.add("c1", "web", A, START)
    disk.keep(old)
    del disk["names", "domain"]
    if domain is not None:
        disk["names", "domain"] = domain
    server = nameserver(restored=disk.records())
    server.tick(START)
    assert server.reverse(A) is None
    assert [each.live for each in said(server)] == [False]
    assert any(isinstance(event, Log) for event in server.collect())


def test_a_name_that_would_be_too_long_under_the_new_domain_is_removed_and_said() -> None:
    old, disk = Nameserver(ME, "o"), Disk()
    old.add("c1", ".".join(["x" * 60] * 4) + ".o", A, START)
    disk.keep(old)
    server = nameserver(restored=disk.records())
    server.tick(START)
    assert server.reverse(A) is None
    assert any(isinstance(event, Log) and "cannot be moved" in event.text for event in server.collect())


def test_a_flood_of_names_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ENTRIES", 3)
    server = nameserver()
    merged = tell(server, *[entry(f"n{number}", address=f"10.32.0.{number}") for number in range(10)])
    assert len(merged.fresh) == len(server.entries()) == 3
    tell(server, *[entry(f"m{number}") for number in range(10)])
    assert [event.level for event in server.collect() if isinstance(event, Log)] == ["warning"]
    server.add("c1", "ours", A, START)
    assert server.lookup("ours") == (A,)
    assert tell(server, entry("n1", address="10.32.0.1", version=1, tombstone=5)).fresh


# -- scale ------------------------------------------------------------------------------------------------


class _CountedDict(dict[Key, Entry]):
    """Counts how often all entries are walked through."""

    walks = 0

    def __iter__(self) -> Any:
        self.walks += 1
        return super().__iter__()

    items = values = None  # type: ignore[assignment]


def test_changes_answers_and_vanishing_peers_do_not_walk_through_all_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = nameserver()
    monkeypatch.setattr(server._state, "entries", _CountedDict())
    for number in range(300):
        server.add(f"c{number}", f"n{number}", ip("10.0.0.1") + number, START)
        tell(server, entry(f"n{number}", THIRD))
    server.container_gone("c7", START)
    server.remove(None, "n8", None, START)
    server.remove(None, None, ip("10.0.0.10"), START)
    server.encode_some("weave", frozenset({entry("n1", THIRD).key}), START)
    server.peers_gone([THIRD])
    server.tick(START.later(KEPT_FOR))
    assert len(server.lookup("n1")) == 1
    assert server._state.entries.walks == 0  # type: ignore[attr-defined]
