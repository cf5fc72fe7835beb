"""A node as a whole: its parts hear of each other, and the disk leads the wire."""

from ipaddress import IPv4Address

import pytest

from node.world import RANGE, Disk, World
from tulle.datapath.carrier import SendControl
from tulle.datapath.sleeve.orders import SealBetween
from tulle.datapath.tables import Hop, ShortId, Tables
from tulle.errors import StorageError, UserError
from tulle.mesh.peername import PeerName
from tulle.node.lingering import LINGER

FOO = IPv4Address("10.40.0.77")


def test_two_nodes_meet_and_carry_each_others_frames() -> None:
    one, two = World().pair()
    own = one.node.mesh.peers()[PeerName(1)].short_id
    other = one.node.mesh.peers()[PeerName(2)].short_id
    assert own is not None
    assert other is not None
    assert one.carrier.own_id == own == one.tables.self_id
    assert one.tables.routes == {ShortId(other): Hop(two.ip, one.ip)}
    assert two.tables.routes == {ShortId(own): Hop(one.ip, two.tables.routes[ShortId(own)].local_ip)}
    assert any("frames to 00:00:00:00:00:02(h2) go by fastdp" in note for note in one.notes)


def test_an_address_handed_out_is_on_disk_and_known_to_the_owner_only() -> None:
    world = World()
    one, two = world.pair()
    one.ipam.allocate(1, "c1", RANGE, world.now)
    world.settle()
    assert one.answers[1] in one.holds("c1")
    assert any(key == "c1" or b"c1" in value for (_, key), value in one.disk.records.items())
    assert two.holds("c1") == []


def test_a_name_reaches_the_other_node_and_goes_with_its_peer() -> None:
    world = World()
    one, two = world.pair()
    one.names.add("c1", "web", FOO, world.now)
    world.pass_time(1)
    assert two.names.lookup("web") == (FOO,)
    world.kill(one)
    world.pass_time(60)
    assert two.names.lookup("web") == ()
    assert PeerName(1) not in two.node.mesh.peers()


def test_a_vote_that_the_disk_refuses_is_told_nobody() -> None:
    world = World()
    one, two = world.pair()
    one.disk.broken = True
    one.ipam.allocate(1, "c1", RANGE, world.now)
    world.pass_time(60)
    assert 1 not in one.answers
    assert two.ipam.status().entries == ()


def test_an_address_that_the_disk_refuses_is_refused() -> None:
    world = World()
    one, _ = world.pair()
    one.ipam.prime(1, world.now)
    world.pass_time(1)
    one.disk.broken = True
    one.ipam.allocate(2, "c1", RANGE, world.now)
    world.settle()
    refusal = one.answers[2]
    assert isinstance(refusal, UserError)
    assert refusal.status == 507
    assert "disk full" in str(refusal)


def test_the_disk_works_again_and_so_does_everything() -> None:
    world = World()
    one, two = world.pair()
    one.disk.broken = True
    one.ipam.allocate(1, "c1", RANGE, world.now)
    world.pass_time(1)
    one.disk.broken = False
    world.pass_time(30)
    assert one.answers[1] in one.holds("c1")
    assert len(two.ipam.status().entries) > 0


def test_a_name_that_the_disk_refuses_is_said_and_retried() -> None:
    world = World()
    one, two = world.pair()
    one.disk.broken = True
    one.names.add("c1", "web", FOO, world.now)
    world.pass_time(40)
    assert two.names.lookup("web") == ()
    with pytest.raises(StorageError, match="disk full"):
        one.node.raise_unsaved()
    assert one.notes.count("disk full") == 1
    one.disk.broken = False
    world.pass_time(1)
    one.node.raise_unsaved()
    assert two.names.lookup("web") == (FOO,)
    assert one.node.storage_error is None
    assert any(kind.startswith("name") for kind, _ in one.disk.records)


def test_a_restart_keeps_short_id_addresses_and_names() -> None:
    world = World()
    one, two = world.pair()
    one.ipam.allocate(1, "c1", RANGE, world.now)
    one.names.add("c1", "web", FOO, world.now)
    world.pass_time(1)
    before = one.holds("c1")
    world.kill(one)
    again = world.add(1, one.disk)
    world.join(again, two)
    world.pass_time(2)
    assert again.holds("c1") == before
    assert again.names.lookup("web") == two.names.lookup("web") == (FOO,)


def test_a_neighbour_whose_daemon_dies_is_still_sent_frames() -> None:
    world = World()
    one, two = world.pair()
    there = dict(one.tables.routes)
    world.kill(two)
    assert one.tables.routes == there
    world.pass_time(LINGER + 1)
    assert one.carrier.watched, "its kernel is asked whether it lives"


def test_a_peer_that_was_removed_is_sent_nothing() -> None:
    world = World()
    one, two = world.pair()
    world.kill(two)
    one.node.forget_ghost(PeerName(2))
    world.settle()
    assert one.tables.routes == {}


def test_what_an_earlier_daemon_left_in_the_kernel_stays_until_it_is_known_better() -> None:
    earlier = Tables(ShortId(5), {}, {ShortId(9): Hop("10.0.0.9", "10.0.0.1")})
    one = World().add(1, Disk(), earlier)
    assert ShortId(9) in one.tables.routes


def test_but_not_what_would_go_in_the_clear_though_there_is_a_password_now() -> None:
    earlier = Tables(ShortId(5), {}, {ShortId(9): Hop("10.0.0.9", "10.0.0.1")})
    one = World().add(1, Disk(), earlier, password=b"secret")
    assert one.tables.routes == {}


def test_a_lost_path_is_said_and_the_link_is_not_established() -> None:
    world = World()
    one, two = world.pair()
    one.carrier.fail("nothing comes back")
    world.pass_time(1)
    assert "no frames get through to 00:00:00:00:00:02(h2): nothing comes back" in one.notes
    (link,) = one.node.mesh.links()
    assert link.state == "pending"
    assert PeerName(1) not in two.node.mesh.routes.unicast
    one.carrier.recover()
    world.pass_time(1)
    assert PeerName(1) in two.node.mesh.routes.unicast


def test_the_election_counts_the_configured_peers() -> None:
    world = World()
    one = world.add(1)
    one.node.connect(["10.0.0.2", "10.0.0.3"], False, world.now)
    world.pass_time(5)
    one.ipam.prime(1, world.now)
    world.settle()
    status = one.ipam.status()
    assert status.paxos is not None
    assert status.paxos.quorum == 2
    assert one.answers == {}
    world.add(2)
    world.pass_time(60)
    assert one.answers.keys() == {1}


def test_parts_may_be_missing() -> None:
    world = World()
    one, two = world.pair()
    two.node.ipam = two.node.names = None
    one.names.add("c1", "web", FOO, world.now)
    world.pass_time(40)
    assert one.node.next_deadline() < float("inf")
    assert two.node.next_deadline() < float("inf")


def test_what_a_carrier_had_to_say_on_a_link_that_ended_is_dropped() -> None:
    """Both happen in one turn of the daemon's loop: a heartbeat came, and the link's time is over."""
    world = World()
    one, _ = world.pair()
    (link,) = one.carrier.links
    one.carrier.events.append(SendControl(link, 0, b""))
    one.node.mesh.closed(link, "nothing was heard", world.now)
    world.settle()
    assert one.carrier.links == {}


@pytest.mark.parametrize("carriers", [("sleeve",), ("fastdp",)])
def test_with_a_password_the_sleeve_learns_the_keys_of_all_peers(carriers: tuple[str, ...]) -> None:
    world = World(sleeve=True)
    world.carriers = carriers
    one, two, three = (world.add(number, password=b"secret") for number in (1, 2, 3))
    world.join(one, two)
    world.join(two, three)
    world.pass_time(10)
    told = [order for order in one.orders if isinstance(order, SealBetween)]
    assert set(told[-1].keys) == {PeerName(2), PeerName(3)}
    assert one.node.seals_for(PeerName(2)) == (carriers == ("sleeve",))
    world.kill(three)
    world.pass_time(60)
    told = [order for order in one.orders if isinstance(order, SealBetween)]
    assert set(told[-1].keys) == {PeerName(2)}
    assert not one.node.seals_for(PeerName(3))
