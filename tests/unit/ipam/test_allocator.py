import math
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from ipam.builders import NOW, A, B, C, Desk, config, span
from tulle.errors import BadMessage, StorageError, UserError
from tulle.ipam import weave
from tulle.ipam.allocator import Allocator
from tulle.ipam.config import Consensus, Observer, Seed
from tulle.ipam.events import Failed, Save
from tulle.ipam.exchange import QUESTION, STATE
from tulle.ipam.records import HELD, RING, VOTE
from tulle.ipam.ring import Entry, Range, Ring
from tulle.mesh.channel import NO_KEYS, Broadcast, Gossip, Unicast
from tulle.mesh.peername import PeerName

TWO = Seed((A, B))


def told(ipam: Allocator) -> list[object]:
    """What is in the outbox, decoded; it is emptied."""
    said: list[object] = [
        (item.dst, weave.decode_direct(item.payload)) if isinstance(item, Unicast) else item
        for item in ipam.outbox
    ]
    ipam.outbox.clear()
    return said


def state(ring: Ring) -> bytes:
    """Gossip of B with this ring."""
    return weave.encode_state(weave.State({B: "h2"}, None, ring), B, NOW.wall)


def divided(*peers: PeerName) -> Ring:
    """The range of these tests, divided among peers."""
    return Ring(*span("10.32.0.0", "10.32.0.255")).claim_for_peers(peers)


def direct(message: weave.Direct) -> bytes:
    return weave.encode_direct(message, B, NOW.wall)


# -- allocating


def test_the_first_address_of_the_subnet_comes_first_and_the_same_one_again() -> None:
    desk = Desk()
    assert desk.allocate(1, "a") == IPv4Interface("10.32.0.1/24")
    assert desk.allocate(2, "b") == IPv4Interface("10.32.0.2/24")
    assert desk.allocate(3, "a") == IPv4Interface("10.32.0.1/24")
    assert desk.ipam.lookup("a") == [IPv4Interface("10.32.0.1/24")]
    assert desk.ipam.held() == {
        "a": [IPv4Interface("10.32.0.1/24")],
        "b": [IPv4Interface("10.32.0.2/24")],
    }


def test_a_29_holds_six() -> None:
    desk = Desk(config("10.32.0.0/29"))
    got = [desk.allocate(number, f"c{number}", "10.32.0.0/29") for number in range(7)]
    assert [str(one.ip) for one in got[:6]] == [f"10.32.0.{number}" for number in range(1, 7)]
    assert got[6] is None
    assert "no address is free in 10.32.0.0/29" in str(desk.failed[6])
    assert "this host" in str(desk.failed[6])


def test_each_subnet_has_addresses_of_its_own() -> None:
    desk = Desk()
    assert desk.allocate(1, "a", "10.32.0.0/25") == IPv4Interface("10.32.0.1/25")
    assert desk.allocate(2, "a", "10.32.0.128/25") == IPv4Interface("10.32.0.129/25")
    assert desk.ipam.lookup("a", IPv4Network("10.32.0.128/25")) == [IPv4Interface("10.32.0.129/25")]


@pytest.mark.parametrize("subnet", ["10.33.0.0/24", "10.0.0.0/8", "10.32.0.0/31", "10.32.0.4/32"])
def test_subnets_without_addresses_to_give_are_refused(subnet: str) -> None:
    desk = Desk()
    desk.allocate(1, "a", subnet)
    assert isinstance(desk.failed[1], UserError)
    assert desk.failed[1].status == 400


def test_the_record_is_handed_out_with_the_answer() -> None:
    ipam = Desk().ipam
    ipam.allocate(1, "a", IPv4Network("10.32.0.0/24"), NOW)
    kinds = [type(event).__name__ for event in ipam.collect()]
    assert kinds.index("Save") < kinds.index("Done")


def test_a_released_address_is_free_again_and_its_record_gone() -> None:
    desk = Desk()
    desk.allocate(1, "a")
    assert desk.ipam.release("a", None, NOW) == [IPv4Interface("10.32.0.1/24")]
    assert desk.ipam.release("a", None, NOW) == []
    desk.settle()
    assert not any(kind == HELD for kind, _ in desk.disk)
    assert desk.allocate(2, "b") == IPv4Interface("10.32.0.1/24")


def test_holders_that_are_gone_are_released() -> None:
    desk = Desk()
    for number, ident in enumerate("abc"):
        desk.allocate(number, ident)
    assert desk.ipam.reconcile(["b", "unknown"], NOW) == {
        "a": [IPv4Interface("10.32.0.1/24")],
        "c": [IPv4Interface("10.32.0.3/24")],
    }
    assert list(desk.ipam.held()) == ["b"]


def test_a_cancelled_request_is_never_answered() -> None:
    desk = Desk(config(bootstrap=Observer()))
    desk.allocate(1, "a")
    desk.ipam.cancel(1)
    desk.ipam.merge("weave", state(divided(A)), B, False, NOW)
    desk.settle()
    assert desk.done == {}
    assert desk.failed == {}
    assert desk.ipam.held() == {}


def test_priming_waits_for_the_ring() -> None:
    desk = Desk(config(bootstrap=Consensus(3)))
    desk.ipam.prime(1, NOW)
    desk.settle()
    assert desk.done == {}
    alone = Desk()
    alone.ipam.prime(1, NOW)
    alone.settle()
    assert alone.done == {1: None}


# -- claiming


def test_a_free_address_can_be_claimed_once() -> None:
    desk = Desk()
    assert desk.claim(1, "a", "10.32.0.9/24") == IPv4Interface("10.32.0.9/24")
    assert desk.claim(2, "a", "10.32.0.9/24") == IPv4Interface("10.32.0.9/24")
    desk.claim(3, "b", "10.32.0.9/24")
    assert "for b: a on this host" in str(desk.failed[3])
    got = [desk.allocate(10 + number, f"c{number}").ip for number in range(9)]
    assert got[-1] == IPv4Address("10.32.0.10")


def test_an_address_outside_the_range_is_only_noted() -> None:
    desk = Desk(config(bootstrap=Consensus(3)))
    assert desk.claim(1, "a", "192.168.1.7/24") == IPv4Interface("192.168.1.7/24")
    assert desk.restarted().ipam.lookup("a") == [IPv4Interface("192.168.1.7/24")]
    assert desk.ipam.release("a", IPv4Address("192.168.1.7"), NOW)


def test_a_claim_before_the_ring_exists_waits_for_it() -> None:
    desk = Desk(config(bootstrap=Consensus(3)))
    assert desk.claim(1, "a", "10.32.0.9/24") is None
    desk.ipam.merge("weave", state(divided(A)), B, False, NOW)
    desk.settle()
    assert desk.done[1] == IPv4Interface("10.32.0.9/24")


def test_a_prefix_length_that_is_none_is_refused() -> None:
    desk = Desk()
    desk.claim(1, "a", "10.32.0.9/33")
    assert "0 to 32" in str(desk.failed[1])


# -- talking


def test_before_the_ring_an_elector_sends_its_votes_and_an_observer_nothing() -> None:
    (payload,) = Desk(config(bootstrap=Consensus(3))).ipam.encode_all("weave", NOW)
    assert weave.decode_state(payload).claims == {}
    (payload,) = Desk(config(bootstrap=Observer())).ipam.encode_all("weave", NOW)
    assert weave.decode_state(payload).claims is None


def test_with_a_ring_the_votes_are_not_sent_any_more() -> None:
    (payload,) = Desk(config(bootstrap=TWO)).ipam.encode_all("weave", NOW)
    decoded = weave.decode_state(payload)
    assert decoded.claims is None
    assert decoded.ring == divided(A, B)


def test_nothing_is_told_that_is_not_on_disk_and_it_is_made_up_for() -> None:
    desk = Desk(config(bootstrap=TWO))
    desk.ipam.allocate(1, "a", IPv4Network("10.32.0.0/24"), NOW)
    assert desk.ipam.encode_all("weave", NOW) == []
    desk.settle()
    assert desk.ipam.encode_all("weave", NOW) != []
    assert told(desk.ipam) == [Gossip(STATE)]


def test_no_keys_no_payload() -> None:
    assert Desk().ipam.encode_some("weave", NO_KEYS, NOW) == []


def test_an_observer_in_need_asks_and_an_elector_then_proposes() -> None:
    asker = Desk(config(bootstrap=Observer(), me=B))
    asker.allocate(1, "a")
    assert told(asker.ipam) == [Broadcast(QUESTION)]
    (question,) = asker.ipam.encode_some("weave", QUESTION, NOW)
    elector = Desk(config(bootstrap=Consensus(3)))
    assert elector.ipam.merge("weave", question, B, False, NOW).received == STATE
    assert not elector.ipam.status().paxos
    elector.ipam.merge("weave", question, B, True, NOW)
    elector.settle()
    assert told(elector.ipam) == [Broadcast(STATE)]
    assert (VOTE, "vote") in elector.disk


def test_a_peer_without_ring_is_told_ours_unless_it_spoke_to_its_neighbour_only() -> None:
    desk = Desk(config(bootstrap=TWO))
    question = weave.encode_state(weave.State(), C, NOW.wall)
    desk.ipam.merge("weave", question, C, False, NOW)
    desk.settle()
    assert told(desk.ipam) == []
    desk.ipam.merge("weave", question, C, True, NOW)
    desk.settle()
    ((to, answer),) = told(desk.ipam)  # type: ignore[misc]
    assert to == C
    assert isinstance(answer, weave.RingUpdate)


def test_a_peer_with_an_outdated_view_is_told_ours() -> None:
    desk = Desk(config(bootstrap=TWO))
    old = desk.ipam.ring
    desk.ipam.receive("weave", direct(weave.SpaceRequest(span("10.32.0.5", "10.32.0.5"))), C, NOW)
    desk.settle()
    told(desk.ipam)
    desk.ipam.merge("weave", state(old), B, False, NOW)
    desk.settle()
    assert told(desk.ipam) == []
    taken = Ring(old.start, old.end, (Entry(old.start, B, 1, 0), old.entries[1]), old.seeds)
    desk.ipam.merge("weave", state(taken), B, False, NOW)
    desk.settle()
    ((to, answer),) = told(desk.ipam)  # type: ignore[misc]
    assert to == B
    assert isinstance(answer, weave.RingUpdate)
    assert answer.state.ring is not None
    assert answer.state.ring.owner(old.start) == A
    assert answer.state.ring.entries[0].version == 2


def test_gossip_is_passed_on_only_if_it_was_news() -> None:
    desk = Desk(config(bootstrap=TWO))
    news = desk.ipam.ring.transfer(B, C)
    assert desk.ipam.merge("weave", state(news), C, False, NOW).fresh == STATE
    assert desk.ipam.merge("weave", state(news), C, False, NOW).fresh == NO_KEYS


def test_a_request_for_space_is_answered_with_space_and_the_ring() -> None:
    desk = Desk(config(bootstrap=TWO))
    desk.allocate(1, "a")
    desk.ipam.receive("weave", direct(weave.SpaceRequest(span("10.32.0.0", "10.32.0.255"))), C, NOW)
    assert desk.ipam.outbox == []
    desk.settle()
    broadcast, (to, update) = told(desk.ipam)  # type: ignore[misc]
    assert broadcast == Broadcast(STATE)
    assert to == C
    assert update.state.ring.owned_ranges(C) == [span("10.32.0.96", "10.32.0.127")]
    assert update.state.ring == desk.ipam.ring
    assert desk.restarted().ipam.ring == desk.ipam.ring


def test_a_request_that_cannot_be_met_is_denied_with_the_ring() -> None:
    desk = Desk(config(bootstrap=TWO))
    for wanted in (span("10.32.0.200", "10.32.0.201"), span("9.0.0.0", "9.0.0.1"), Range(5, 5)):
        desk.ipam.receive("weave", direct(weave.SpaceRequest(wanted)), B, NOW)
        desk.settle()
        (_, denied), (_, update) = told(desk.ipam)  # type: ignore[misc]
        assert denied == weave.SpaceDenied(wanted)
        assert isinstance(update, weave.RingUpdate)


def test_without_a_ring_requests_for_space_are_not_answered() -> None:
    desk = Desk(config(bootstrap=Consensus(3)))
    desk.ipam.receive("weave", direct(weave.SpaceRequest(Range(1, 2))), B, NOW)
    desk.settle()
    assert told(desk.ipam) == []


def test_unknown_kinds_are_ignored_and_nonsense_is_bad() -> None:
    desk = Desk()
    desk.ipam.receive("weave", b"\x09", B, NOW)
    desk.settle()
    assert "unknown kind 9" in desk.logs[0].text
    for payload in (b"", b"\x00", b"\x01\x02"):
        with pytest.raises(BadMessage):
            desk.ipam.receive("weave", payload, B, NOW)


@pytest.mark.parametrize(
    ("theirs", "advice"),
    [
        (divided(B, C), "seeds"),
        (Ring(*span("10.32.0.0", "10.32.1.255")).claim_for_peers([A, B]), "--ipalloc-range"),
    ],
)
def test_a_ring_that_can_never_be_merged_names_the_peer_and_the_way_out(theirs: Ring, advice: str) -> None:
    desk = Desk(config(bootstrap=TWO))
    before = desk.ipam.ring
    with pytest.raises(BadMessage, match=advice) as caught:
        desk.ipam.merge("weave", state(theirs), B, False, NOW)
    assert "h2 (02:00:00:00:00:02)" in str(caught.value)
    assert desk.ipam.ring == before


# -- time


def test_at_rest_there_is_nothing_to_wait_for() -> None:
    desk = Desk(config(bootstrap=TWO))
    desk.allocate(1, "a")
    assert desk.ipam.next_deadline() == math.inf


def test_free_space_is_reported_now_and_then_and_at_once_when_it_runs_out() -> None:
    desk = Desk(config("10.32.0.0/29", bootstrap=TWO))
    desk.ipam.peers_changed(frozenset({B}), {}, NOW)
    desk.allocate(1, "a", "10.32.0.0/29")
    assert desk.ipam.ring.entries[0].free == 4
    desk.ipam.tick(NOW)
    assert desk.ipam.ring.entries[0] == Entry(desk.ipam.ring.start, A, 1, 3)
    desk.allocate(2, "b", "10.32.0.0/29")
    desk.ipam.tick(NOW.later(6))
    assert desk.ipam.ring.entries[0].version == 1
    desk.allocate(3, "c", "10.32.0.0/29")
    desk.claim(4, "d", "10.32.0.0/29")
    desk.ipam.tick(NOW.later(12))
    assert desk.ipam.ring.entries[0] == Entry(desk.ipam.ring.start, A, 2, 0)
    desk.ipam.release("d", None, NOW)
    assert desk.ipam.next_deadline() < NOW.mono + 43
    desk.ipam.tick(NOW.later(18))
    assert desk.ipam.ring.entries[0].free == 1


def test_numbers_that_are_a_little_wrong_stay_so_for_longer() -> None:
    desk = Desk(config("10.32.0.0/27", bootstrap=TWO))
    desk.ipam.peers_changed(frozenset({B}), {}, NOW)
    free = []
    for number, seconds in enumerate((0, 40, 80, 120, 160, 700)):
        desk.allocate(number, f"c{number}", "10.32.0.0/27")
        desk.ipam.tick(NOW.later(seconds))
        free.append(desk.ipam.ring.entries[0].free)
    assert free == [15, 15, 15, 15, 11, 11]
    desk.ipam.tick(NOW.later(800))
    assert desk.ipam.ring.entries[0].free == 10


def test_a_report_is_told_to_neighbours_who_would_not_hear_of_it_for_long() -> None:
    desk = Desk(config("10.32.0.0/29", bootstrap=TWO))
    desk.ipam.peers_changed(frozenset({B}), {}, NOW)
    desk.allocate(1, "a", "10.32.0.0/29")
    desk.ipam.collect()
    desk.ipam.outbox.clear()
    desk.ipam.tick(NOW)
    desk.ipam.collect()
    assert Gossip(STATE) in desk.ipam.outbox
    desk.ipam.outbox.clear()
    desk.ipam.tick(NOW.later(40))
    desk.ipam.collect()
    assert not desk.ipam.outbox


def test_digests_show_whose_ring_is_another_and_who_has_none() -> None:
    divided, other = (Desk(config("10.32.0.0/29", bootstrap=bootstrap)).ipam for bootstrap in (TWO, TWO))
    digest = divided.digest(False, NOW)
    assert divided.compare(other.digest(False, NOW), False, B, NOW) == NO_KEYS
    other.peers_changed(frozenset({B}), {}, NOW)
    other.allocate(1, "a", IPv4Network("10.32.0.0/29"), NOW)
    other.tick(NOW)
    other.collect()
    assert divided.compare(other.digest(False, NOW), False, B, NOW) == STATE
    without = Desk(config("10.32.0.0/29")).ipam
    assert not without.digest(False, NOW)
    assert without.compare(digest, False, B, NOW) is None
    assert divided.compare(without.digest(True, NOW), True, B, NOW) == STATE
    assert without.compare(Desk(config("10.32.0.0/29")).ipam.digest(True, NOW), True, B, NOW) == NO_KEYS


def test_cut_off_from_everybody_versions_stay_so_that_a_takeover_outruns_them() -> None:
    desk = Desk(config(bootstrap=TWO))
    for number in range(50):
        desk.allocate(number, f"c{number}")
        desk.ipam.tick(NOW.later(60 * number))
    assert desk.ipam.ring.entries[0].version == 0


# -- disks


def test_a_restart_with_another_number_keeps_everything() -> None:
    desk = Desk(config(bootstrap=TWO))
    desk.allocate(1, "a")
    again = desk.restarted(config(bootstrap=TWO, uid=99))
    assert again.ipam.ring == desk.ipam.ring
    assert again.ipam.held() == desk.ipam.held()
    again.ipam.merge("weave", state(again.ipam.ring), B, False, NOW)
    assert again.allocate(2, "b") == IPv4Interface("10.32.0.2/24")


def test_after_a_restart_others_are_heard_before_anything_new_is_handed_out() -> None:
    desk = Desk(config(bootstrap=TWO))
    desk.allocate(1, "a")
    again = desk.restarted(config(bootstrap=TWO))
    assert again.allocate(1, "a") == IPv4Interface("10.32.0.1/24")
    assert again.allocate(2, "b") is None
    again.ipam.receive("weave", direct(weave.SpaceRequest(span("10.32.0.9", "10.32.0.9"))), C, NOW)
    again.settle()
    assert told(again.ipam) == []
    again.ipam.merge("weave", state(again.ipam.ring.transfer(A, B)), B, False, NOW)
    again.settle()
    assert again.done.keys() == {1}
    assert "belongs to h2" in again.logs[-1].text


def test_after_a_restart_in_a_cut_network_the_wait_is_short() -> None:
    again = Desk(config(bootstrap=TWO)).restarted(config(bootstrap=TWO))
    assert again.allocate(2, "b") is None
    deadline = again.ipam.next_deadline()
    assert deadline <= NOW.mono + 3
    again.ipam.tick(NOW.later(3))
    again.settle()
    assert again.done[2] == IPv4Interface("10.32.0.1/24")
    assert again.ipam.next_deadline() == math.inf


def test_with_another_range_the_stored_ring_is_dropped_and_said() -> None:
    desk = Desk()
    desk.allocate(1, "a")
    again = desk.restarted(config("10.40.0.0/24"))
    assert again.ipam.ring.entries == ()
    assert "was 10.32.0.0-10.32.0.255 before" in again.logs[0].text
    assert (RING, "ring") not in again.disk
    assert again.ipam.lookup("a") == [IPv4Interface("10.32.0.1/24")]
    assert again.allocate(2, "b", "10.40.0.0/24") == IPv4Interface("10.40.0.1/24")


def test_with_another_name_the_old_ranges_are_not_ours() -> None:
    desk = Desk(config(bootstrap=TWO))
    again = desk.restarted(config(bootstrap=TWO, me=C))
    assert again.ipam.ring == desk.ipam.ring
    assert "rmpeer 02:00:00:00:00:01" in again.logs[0].text


def test_an_unreadable_ring_is_never_made_anew() -> None:
    desk = Desk()
    desk.allocate(1, "a")
    desk.disk[RING, "ring"] = b"garbage"
    again = desk.restarted()
    assert [line.level for line in again.logs] == ["error", "error"]
    assert again.allocate(2, "b") is None
    assert told(again.ipam) == [Broadcast(QUESTION)]
    again.ipam.merge("weave", state(desk.ipam.ring), B, False, NOW)
    again.settle()
    assert again.done[2] == IPv4Interface("10.32.0.2/24")


def test_a_disk_that_refuses_gives_507_and_the_address_comes_later() -> None:
    ipam = Desk().ipam
    ipam.allocate(1, "a", IPv4Network("10.32.0.0/24"), NOW)
    ipam.collect()
    ipam.storage_failed(StorageError("disk full"))
    (failure,) = ipam.collect()
    assert isinstance(failure, Failed)
    assert failure.error.status == 507
    assert ipam.status().unsaved
    assert ipam.next_deadline() < math.inf
    assert ipam.outbox == []
    assert ipam.encode_all("weave", NOW) == []
    ipam.tick(NOW.later(5))
    events = ipam.collect()
    assert {event.kind for event in events if isinstance(event, Save)} >= {HELD, RING}
    assert not ipam.status().unsaved
    assert Broadcast(STATE) in ipam.outbox


def test_a_new_request_tries_the_disk_again() -> None:
    ipam = Desk().ipam
    ipam.allocate(1, "a", IPv4Network("10.32.0.0/24"), NOW)
    ipam.collect()
    ipam.storage_failed(StorageError("disk full"))
    ipam.collect()
    ipam.allocate(2, "a", IPv4Network("10.32.0.0/24"), NOW)
    assert [type(event).__name__ for event in ipam.collect()][-1] == "Done"


# -- status


def test_status_shows_ring_owners_and_what_waits() -> None:
    desk = Desk(config(bootstrap=TWO))
    desk.ipam.peers_changed(frozenset({C}), {A: "h1", C: "h3"}, NOW)
    desk.allocate(1, "a")
    desk.claim(2, "b", "10.32.0.200/24")
    status = desk.ipam.status()
    assert status.ready
    assert str(status.range) == str(status.default_subnet) == "10.32.0.0/24"
    assert status.active == 1
    first, second = status.entries
    assert (str(first.token), first.size, first.nickname, first.known, first.free) == (
        "10.32.0.0",
        128,
        "h1",
        True,
        127,
    )
    assert (second.peer, second.known) == (B, False)
    assert [(owner.peer, owner.used) for owner in status.owners] == [(A, 1), (B, 0)]
    (claim,) = status.pending_claims
    assert (claim.ident, claim.waits_for) == ("b", (B,))
    assert any("rmpeer" in line.text for line in desk.logs)
    assert desk.ipam.find_peer("02:00:00:00:00:02") == B


def test_status_shows_the_election_while_it_lasts() -> None:
    desk = Desk(config(bootstrap=Consensus(3)))
    assert desk.ipam.status().paxos is None
    desk.allocate(1, "a")
    paxos = desk.ipam.status().paxos
    assert paxos is not None
    assert (paxos.elector, paxos.quorum, paxos.known) == (True, 2, 1)
    assert not desk.ipam.status().ready


def test_votes_of_others_are_heard_and_their_ring_follows() -> None:
    desk = Desk(config(bootstrap=Consensus(2)))
    desk.allocate(1, "a")
    (payload,) = desk.ipam.encode_all("weave", NOW)
    other = Desk(config(bootstrap=Consensus(2), me=B, uid=5))
    other.ipam.merge("weave", payload, A, True, NOW)
    other.settle()
    for source, name, target in ((other, B, desk), (desk, A, other), (other, B, desk)):
        (payload,) = source.ipam.encode_all("weave", NOW)
        target.ipam.merge("weave", payload, name, True, NOW)
        target.settle()
    assert desk.done[1] == IPv4Interface("10.32.0.1/24")
    assert desk.ipam.ring.seeds == other.ipam.ring.seeds == (A, B)
    assert (VOTE, "vote") not in desk.disk
