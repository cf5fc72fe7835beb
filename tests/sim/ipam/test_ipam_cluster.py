"""Several allocators and what they achieve together."""

from ipaddress import IPv4Interface

import pytest
from ipam_cluster import Cluster

from tulle.errors import UserError
from tulle.ipam import weave
from tulle.ipam.config import Consensus, IpamConfig, Observer, Seed
from tulle.ipam.leaving import Left
from tulle.ipam.takeover import TakenOver
from tulle.mesh.peername import PeerName


def started(n: int = 3, universe: str = "10.32.0.0/24") -> Cluster:
    """A cluster whose range is divided among all."""
    cluster = Cluster(n, universe, lambda _number: Seed(tuple(map(PeerName, range(1, n + 1)))))
    cluster.gossip_round()
    return cluster


def address(cluster: Cluster, host: int, ident: str) -> IPv4Interface:
    ticket = cluster.allocate(host, ident)
    cluster.run(3)
    result = cluster.result(host, ticket)
    assert isinstance(result, IPv4Interface), result
    return result


def error(cluster: Cluster, host: int, ticket: int) -> str:
    result = cluster.result(host, ticket)
    assert isinstance(result, UserError), result
    assert result.status == 409
    return str(result)


# -- the first ring


def test_nothing_is_said_about_dividing_before_somebody_needs_an_address() -> None:
    cluster = Cluster(3)
    cluster.run(60)
    assert not cluster[1].ipam.ring.entries
    assert cluster[1].ipam.status().paxos is None


def test_a_majority_divides_the_range_and_the_rest_learns_of_it() -> None:
    cluster = Cluster(3)
    cluster.partition([1, 2], [3])
    assert address(cluster, 1, "a") in {IPv4Interface("10.32.0.1/24"), IPv4Interface("10.32.0.128/24")}
    waiting = cluster.allocate(3, "c")
    cluster.run(30)
    assert cluster.result(3, waiting) is None
    paxos = cluster[3].ipam.status().paxos
    assert paxos is not None
    assert (paxos.elector, paxos.quorum, paxos.known) == (True, 2, 1)
    cluster.heal()
    cluster.run(10)
    assert cluster.result(3, waiting) is not None
    assert cluster.duplicates() == {}


def test_two_minorities_both_wait() -> None:
    cluster = Cluster(4)
    cluster.partition([1, 2], [3, 4])
    tickets = [(host, cluster.allocate(host, "a")) for host in (1, 2, 3, 4)]
    cluster.run(120)
    assert all(cluster.result(host, ticket) is None for host, ticket in tickets)
    cluster.heal()
    cluster.run(20)
    assert all(cluster.result(host, ticket) for host, ticket in tickets)
    assert cluster.duplicates() == {}


def test_after_the_range_is_divided_nobody_speaks_of_dividing_it() -> None:
    cluster = Cluster(3)
    for host in (1, 2, 3):
        address(cluster, host, "a")
    cluster.gossip_round()
    mark = len(cluster.sent)
    for round_ in range(120):
        address(cluster, round_ % 3 + 1, f"c{round_ % 40}")
        cluster[round_ % 3 + 1].ipam.release(f"c{(round_ + 20) % 40}", None, cluster.now)
        cluster.gossip_round()
        cluster.run(30)
    states = [
        weave.decode_state(message.payload) for message in cluster.sent[mark:] if message.kind != "unicast"
    ]
    assert states
    assert all(state.claims is None and state.ring for state in states)


def test_an_observer_makes_the_others_divide_and_gets_space() -> None:
    cluster = Cluster(3, bootstrap=lambda number: Observer() if number == 3 else Consensus(2))
    assert address(cluster, 3, "a")
    assert PeerName(3) in cluster[1].ipam.ring.owners
    assert PeerName(3) not in cluster[1].ipam.ring.seeds


def test_an_observer_alone_waits() -> None:
    cluster = Cluster(1, bootstrap=lambda _number: Observer())
    ticket = cluster.allocate(1, "a")
    cluster.run(60)
    assert cluster.result(1, ticket) is None


def test_a_vote_survives_a_crash_between_promise_and_choice() -> None:
    cluster = Cluster(3)
    cluster.allocate(1, "a")
    node = cluster[1].ipam._election.elector.me
    cluster.stop(1)
    cluster.start(1)
    assert cluster[1].config.uid != node.uid
    assert cluster[1].ipam._election.elector.me == node
    assert cluster[1].ipam._election.elector.own_claims is not None
    ticket = cluster.allocate(1, "a")
    cluster.run(10)
    assert cluster.result(1, ticket)


# -- allocation


def test_ten_thousand_allocations_in_owned_space_send_nothing() -> None:
    cluster = started(2, "10.32.0.0/16")
    cluster.run(60)
    mark = len(cluster.sent)
    results = [cluster.result(1, cluster.allocate(1, f"c{number}")) for number in range(10_000)]
    assert len(set(map(str, results))) == 10_000
    assert len(cluster.sent) == mark


def test_three_full_hosts_hand_out_every_address_once_and_then_say_so() -> None:
    cluster = started(3, "10.32.0.0/27")
    for number in range(30):
        address(cluster, number % 2 + 1, f"c{number}")
    assert cluster.duplicates() == {}
    ticket = cluster.allocate(3, "late")
    cluster.run(3)
    text = error(cluster, 3, ticket)
    assert "no address is free in 10.32.0.0/27" in text
    assert "h1" in text


def test_space_that_comes_one_address_at_a_time_comes_without_waiting() -> None:
    cluster = started(2, "10.32.0.0/29")
    for number in range(5):
        ticket = cluster.allocate(1, f"c{number}")
        cluster.deliver_all()
        assert isinstance(cluster.result(1, ticket), IPv4Interface)


def test_an_allocation_waits_while_an_owner_that_may_have_space_is_away() -> None:
    cluster = started(2, "10.32.0.0/29")
    for ident in ("a", "b", "c"):
        assert address(cluster, 1, ident)
    cluster.partition([1], [2])
    ticket = cluster.allocate(1, "d")
    cluster.run(60)
    assert cluster.result(1, ticket) is None
    pending = cluster[1].ipam.status().pending_allocates
    assert [(one.ident, one.waits_for) for one in pending] == [("d", (2,))]
    cluster.heal()
    cluster.run(2)
    assert cluster.result(1, ticket)


def test_an_address_released_elsewhere_ends_the_wait() -> None:
    cluster = started(3, "10.32.0.0/29")
    assert address(cluster, 3, "z")
    for number in range(5):
        address(cluster, 1, f"c{number}")
    cluster.stop(3)
    ticket = cluster.allocate(2, "x")
    cluster.run(20)
    assert cluster.result(2, ticket) is None
    cluster[1].ipam.release("c3", None, cluster.now)
    cluster.run(20)
    assert cluster.result(2, ticket)


def test_both_sides_of_a_partition_go_on_and_nothing_clashes() -> None:
    cluster = started(4, "10.32.0.0/24")
    cluster.partition([1, 2], [3, 4])
    for number in range(40):
        assert address(cluster, number % 4 + 1, f"c{number}")
    cluster.heal()
    cluster.gossip_round()
    assert cluster.duplicates() == {}
    assert sum(len(host.ipam.held()) for host in cluster.hosts.values()) == 40


# -- claims


def test_an_address_of_another_peer_is_got_for_a_claim_and_refused_once_in_use() -> None:
    cluster = started()
    ticket = cluster.claim(1, "a", "10.32.0.240/24")
    cluster.run(1)
    assert cluster.result(1, ticket) == IPv4Interface("10.32.0.240/24")
    assert cluster[1].ipam.ring.owner(int(IPv4Interface("10.32.0.240/24"))) == 1
    ticket = cluster.claim(2, "b", "10.32.0.240/24")
    cluster.run(1)
    assert "owned by other peer h1" in error(cluster, 2, ticket)


def test_a_claim_waits_for_an_owner_that_is_away() -> None:
    cluster = started(2)
    cluster.partition([1], [2])
    ticket = cluster.claim(1, "a", "10.32.0.240/24")
    cluster.run(30)
    assert cluster.result(1, ticket) is None
    assert [one.waits_for for one in cluster[1].ipam.status().pending_claims] == [(2,)]
    cluster.heal()
    cluster.run(3)
    assert cluster.result(1, ticket)


# -- hosts that go


def test_a_dead_peer_is_taken_over_when_everybody_else_answers() -> None:
    cluster = started()
    address(cluster, 3, "a")
    cluster.stop(3)
    ticket = cluster.takeover(1, 3)
    cluster.run(2)
    result = cluster.result(1, ticket)
    assert isinstance(result, TakenOver)
    assert result.addresses == 64
    assert result.unasked == ()
    assert cluster[2].ipam.ring.owners == {1, 2}
    again = cluster.takeover(2, 3)
    cluster.run(2)
    second = cluster.result(2, again)
    assert isinstance(second, TakenOver)
    assert second.addresses == 0


def test_a_takeover_hears_first_what_the_dead_peer_gave_away() -> None:
    cluster = started()
    cluster.partition([1], [2, 3])
    ticket = cluster.claim(2, "x", "10.32.0.200/24")
    cluster.run(2)
    assert cluster.result(2, ticket)
    cluster.stop(3)
    cluster.groups = dict.fromkeys(cluster.groups, 0)
    cluster.queue.clear()
    cluster[1].ipam.peers_changed(frozenset({PeerName(2)}), {}, cluster.now)
    cluster.settle(1)
    assert cluster[1].ipam.ring.owner(int(IPv4Interface("10.32.0.200/24"))) == 3
    ticket = cluster.takeover(1, 3)
    cluster.run(2)
    assert isinstance(cluster.result(1, ticket), TakenOver)
    assert cluster[1].ipam.ring.owner(int(IPv4Interface("10.32.0.200/24"))) == 2


def test_a_live_peer_is_not_taken_over() -> None:
    cluster = started()
    assert "reachable" in error(cluster, 1, cluster.takeover(1, 3))


def test_a_takeover_in_a_partition_is_refused_and_names_who_is_missing() -> None:
    cluster = started(4)
    cluster.partition([1, 2], [3, 4])
    ticket = cluster.takeover(1, 4)
    text = error(cluster, 1, ticket)
    assert "h3" in text
    assert "--force" in text
    forced = cluster.takeover(1, 4, force=True)
    cluster.run(2)
    result = cluster.result(1, forced)
    assert isinstance(result, TakenOver)
    assert result.unasked == (3,)


def test_two_takeovers_at_once_end_with_one_owner() -> None:
    cluster = started()
    cluster.stop(3)
    tickets = [(host, cluster.takeover(host, 3)) for host in (1, 2)]
    cluster.run(5)
    assert all(isinstance(cluster.result(host, ticket), TakenOver) for host, ticket in tickets)
    cluster.gossip_round()
    assert cluster.agreed()
    assert cluster.double_owned() == []
    assert cluster.dropped_links == []


def test_a_removed_peer_comes_back_gives_up_its_ranges_and_keeps_its_containers() -> None:
    cluster = started()
    kept = [address(cluster, 3, f"c{number}") for number in range(5)]
    cluster.stop(3)
    ticket = cluster.takeover(1, 3)
    cluster.run(2)
    assert isinstance(cluster.result(1, ticket), TakenOver)
    first = cluster.claim(1, "thief", str(kept[0]))
    cluster.run(2)
    assert cluster.result(1, first) == kept[0]
    cluster.start(3)
    cluster.run(10)
    assert cluster.dropped_links == []
    assert any("belongs to h1" in line.text for line in cluster[3].logs)
    assert all(cluster[3].ipam.ring.owner(int(one)) == 3 for one in kept[1:])
    (stray,) = cluster[3].ipam.status().strays
    assert (stray.address, stray.ident, stray.nickname, stray.denied) == (kept[0].ip, "c0", "h1", True)
    assert any("used twice" in line.text for line in cluster[3].logs)
    assert address(cluster, 3, "new") not in kept
    cluster[1].ipam.release("thief", None, cluster.now)
    cluster.run(70)
    assert cluster[3].ipam.status().strays == ()


def test_a_host_that_leaves_hands_everything_to_an_heir() -> None:
    cluster = started()
    ticket = 1000
    cluster[3].ipam.leave(ticket, cluster.now)
    cluster.settle(3)
    cluster.run(1)
    assert cluster.result(3, ticket) == Left(PeerName(1), confirmed=True)
    assert cluster[2].ipam.ring.owners == {1, 2}
    late = cluster.allocate(3, "x")
    assert isinstance(cluster.result(3, late), UserError)


def test_the_last_host_leaves_without_an_heir() -> None:
    cluster = started(1)
    cluster[1].ipam.leave(1000, cluster.now)
    cluster.settle(1)
    assert 1000 in cluster[1].done
    assert cluster[1].done[1000] == Left(None, confirmed=False)


# -- disks


def test_a_restart_keeps_ring_and_addresses() -> None:
    cluster = started()
    before = [address(cluster, 2, f"c{number}") for number in range(3)]
    ring = cluster[2].ipam.ring
    cluster.stop(2)
    cluster.start(2)
    assert cluster[2].ipam.ring == ring
    assert [interface for held in cluster[2].ipam.held().values() for interface in held] == before
    assert address(cluster, 2, "c1") == before[1]
    assert address(cluster, 2, "new") not in before


def test_a_host_without_its_disk_learns_what_it_owns() -> None:
    cluster = started()
    cluster.stop(3)
    cluster[3].config = IpamConfig(PeerName(3), 1, cluster.net, cluster.subnet, Consensus(3))
    cluster.start(3, lose_disk=True)
    cluster.gossip_round()
    assert cluster[3].ipam.ring.owned_ranges(PeerName(3))
    assert address(cluster, 3, "a")


def test_a_full_disk_stops_donations_and_answers_until_it_has_room() -> None:
    cluster = started(2)
    cluster[1].disk_full = True
    refused = cluster.allocate(1, "a")
    result = cluster.result(1, refused)
    assert isinstance(result, UserError)
    assert result.status == 507
    asked = cluster.claim(2, "b", "10.32.0.5/24")
    cluster.run(20)
    assert cluster.result(2, asked) is None
    assert cluster[1].ipam.status().unsaved
    cluster[1].disk_full = False
    cluster.run(20)
    assert cluster.result(2, asked)
    assert not cluster[1].ipam.status().unsaved
    assert cluster.duplicates() == {}
    cluster.stop(1)
    cluster.start(1)
    cluster.gossip_round()
    assert cluster.double_owned() == []


# -- what can never merge


@pytest.mark.parametrize(
    ("seeds", "advice"), [((1,), "tulle reset"), ((1, 2), None)], ids=["different", "the same"]
)
def test_clusters_that_started_apart_are_told_so(seeds: tuple[int, ...], advice: str | None) -> None:
    choices = {1: Seed((PeerName(1), PeerName(2))), 2: Seed(tuple(map(PeerName, seeds)))}
    cluster = Cluster(2, bootstrap=choices.__getitem__)
    cluster.gossip_round()
    assert bool(cluster.dropped_links) == bool(advice)
    assert all(advice in text for text in cluster.dropped_links if advice)
