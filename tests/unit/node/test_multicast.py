"""What containers join here shortens the broadcast trees of other hosts, at once."""

from ipaddress import IPv4Address

from node.world import Member, World
from tulle.datapath.groups.pruning import Twig
from tulle.datapath.groups.record import Group, group_of
from tulle.datapath.tables import ShortId
from tulle.mesh.peername import PeerName

GROUP = group_of(IPv4Address("239.1.1.1"))


def wants(world: World, member: Member, *groups: Group, everything: str = "") -> None:
    member.node.multicast.channel.want(groups, everything, world.now)
    world.settle()


def short_id(member: Member) -> ShortId:
    found = member.node.mesh.peers()[member.node.mesh.self_name].short_id
    assert found is not None
    return ShortId(found)


def sends(sender: Member, receiver: Member) -> bool:
    """Whether the sender's kernel copies a frame for the group to this neighbour of its."""
    twig = Twig(short_id(sender), short_id(receiver))
    assert twig.child in dict(sender.tables.trees[twig.source].children)
    branch = sender.groups.branches.get(twig)
    return branch is None or (branch, GROUP) in sender.groups.listening


def test_a_join_takes_effect_everywhere_at_once_and_a_leave_soon() -> None:
    world = World()
    one, two = world.pair()
    wants(world, one)
    wants(world, two)
    world.pass_time(1)
    assert not sends(one, two)
    wants(world, two, GROUP)
    world.pass_time(0.1)
    assert sends(one, two)
    wants(world, two)
    world.pass_time(1)
    assert not sends(one, two)


def test_a_peer_that_has_not_spoken_yet_gets_everything() -> None:
    world = World()
    one, two = world.pair()
    wants(world, one)
    world.pass_time(1)
    assert sends(one, two)


def test_it_reaches_hosts_that_are_no_neighbours() -> None:
    world = World()
    one, two, three = world.add(1), world.add(2), world.add(3)
    world.join(one, two)
    world.join(two, three)
    for member in (one, two, three):
        wants(world, member)
    world.pass_time(1)
    assert not sends(one, two)
    wants(world, three, GROUP)
    world.pass_time(0.2)
    assert sends(two, three)


def test_a_peer_whose_daemon_dies_gets_everything_again() -> None:
    world = World()
    one, two = world.pair()
    wants(world, one)
    wants(world, two)
    world.pass_time(1)
    assert not sends(one, two)
    world.kill(two)
    world.pass_time(3)
    assert sends(one, two)


def test_a_new_life_tells_its_own_wishes_not_those_of_the_last() -> None:
    world = World()
    one, two = world.pair()
    wants(world, one)
    for _ in range(3):
        wants(world, two, GROUP)
        world.pass_time(1)
        wants(world, two)
        world.pass_time(1)
    world.kill(two)
    two = world.add(2, two.disk)
    world.join(two, one)
    wants(world, two, GROUP)
    world.pass_time(2)
    assert sends(one, two)
    assert one.node.multicast.channel.interests[PeerName(2)].groups == {GROUP}


def test_the_log_says_when_everything_is_sent_here() -> None:
    world = World()
    one, _ = world.pair()
    wants(world, one, everything="the bridge is blind")
    assert "this host gets the multicast of all groups: the bridge is blind" in one.notes
