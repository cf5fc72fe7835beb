"""Two hosts behind routers of every kind, on a virtual clock: who meets whom, and what becomes of it.

A host in the open has links to both, and tells them at which addresses it sees them. Nothing else is known.
"""

import itertools

import pytest

from sim.nat.internet import Router
from sim.nat.peers import Host
from sim.nat.world import World
from tulle.datapath.sleeve.orders import Endpoint
from tulle.mesh.peername import PeerName
from tulle.sim.nat import Kind, can_meet

ONE, TWO = PeerName(1), PeerName(2)
PATIENCE = 12.0

KINDS = list(itertools.combinations_with_replacement(Kind, 2))


def meeting(one: Router, two: Router, world: World) -> tuple[Host, Host]:
    ends = world.host(ONE, one.lan, "192.168.1.2"), world.host(TWO, two.lan, "192.168.2.2")
    world.run(PATIENCE)
    return ends


@pytest.mark.parametrize(("one", "two"), [*KINDS, *((two, one) for one, two in KINDS if one is not two)])
def test_who_meets_whom(one: Kind, two: Kind) -> None:
    world = World()
    ends = meeting(world.nat(one), world.nat(two), world)
    assert ends[0].linked == ends[1].linked == {world.hub.name}
    assert [ends[0].reaches(TWO), ends[1].reaches(ONE)] == [can_meet(one, two)] * 2


@pytest.mark.parametrize("kind", Kind)
def test_a_host_in_the_open_that_cannot_be_dialled_is_met_by_all(kind: Kind) -> None:
    world = World()
    one = world.host(ONE, world.nat(kind).lan, "192.168.1.2")
    two = world.host(TWO, world.internet, "203.0.113.2")
    world.run(PATIENCE)
    assert one.reaches(TWO)
    assert two.reaches(ONE)


@pytest.mark.parametrize(
    ("inner", "outer", "other", "meet"),
    [
        (Kind.FULL_CONE, Kind.PORT_RESTRICTED, Kind.PORT_RESTRICTED, True),
        (Kind.PORT_RESTRICTED, Kind.FULL_CONE, Kind.PORT_RESTRICTED, True),
        (Kind.RESTRICTED, Kind.RESTRICTED, Kind.SYMMETRIC, True),
        (Kind.FULL_CONE, Kind.SYMMETRIC, Kind.FULL_CONE, True),
        (Kind.SYMMETRIC, Kind.FULL_CONE, Kind.PORT_RESTRICTED, False),
    ],
)
def test_a_router_behind_a_router(inner: Kind, outer: Kind, other: Kind, meet: bool) -> None:
    world = World()
    near = world.nat(inner, outer=world.nat(outer).lan)
    ends = meeting(near, world.nat(other), world)
    assert [ends[0].reaches(TWO), ends[1].reaches(ONE)] == [meet] * 2


@pytest.mark.parametrize("hairpin", [True, False])
@pytest.mark.parametrize("kind", Kind)
def test_hosts_behind_one_router_meet_at_their_own_addresses(kind: Kind, hairpin: bool) -> None:
    world = World()
    router = world.nat(kind, hairpin=hairpin)
    one = world.host(ONE, router.lan, "192.168.1.2")
    two = world.host(TWO, router.lan, "192.168.1.3")
    world.run(PATIENCE)
    assert one.reaches(TWO)
    if not hairpin:
        assert one.mesh.met_at == {TWO: ("192.168.1.3", 6783)}
        assert two.mesh.met_at == {ONE: ("192.168.1.2", 6783)}


def test_an_own_address_that_somebody_else_has_here_is_no_hindrance() -> None:
    """Both sites use one private network, and each host's address is another host's at the other site."""
    world = World()
    sites = world.nat(Kind.PORT_RESTRICTED), world.nat(Kind.PORT_RESTRICTED)
    one = world.host(ONE, sites[0].lan, "192.168.1.2")
    two = world.host(TWO, sites[1].lan, "192.168.1.3")
    bystanders = (
        world.host(PeerName(3), sites[0].lan, "192.168.1.3"),
        world.host(PeerName(4), sites[1].lan, "192.168.1.2"),
    )
    world.run(PATIENCE)
    assert one.reaches(TWO)
    assert two.reaches(ONE)
    met = {peer: address for peer, address in one.mesh.met_at.items() if address is not None}
    assert met == {bystanders[0].name: ("192.168.1.3", 6783)}


@pytest.mark.parametrize("kind", [Kind.FULL_CONE, Kind.RESTRICTED, Kind.PORT_RESTRICTED])
def test_a_router_that_forgets_everything(kind: Kind) -> None:
    world = World()
    router = world.nat(kind)
    one, two = meeting(router, world.nat(kind), world)
    for _ in range(3):
        router.nat.forget_all()
        world.run(PATIENCE + 5)
        assert one.reaches(TWO)
        assert two.reaches(ONE)


@pytest.mark.parametrize("kind", Kind)
def test_idle_paths_stay_open_in_routers_that_forget_quickly(kind: Kind) -> None:
    world = World()
    routers = world.nat(kind), world.nat(Kind.RESTRICTED)
    for router in routers:
        router.nat.lifetime = 15.0
    one, _ = meeting(*routers, world)
    lost = len(one.log)
    world.run(120)
    assert one.reaches(TWO)
    assert len(one.log) == lost


@pytest.mark.parametrize("kind", [Kind.FULL_CONE, Kind.RESTRICTED, Kind.PORT_RESTRICTED])
def test_a_host_that_moves_is_met_again(kind: Kind) -> None:
    world = World()
    one, two = meeting(world.nat(kind), world.nat(kind), world)
    one.leave()
    one.settle(world.nat(kind).lan, "172.16.0.9")
    world.run(PATIENCE + 5)
    assert one.linked == {world.hub.name}
    assert one.reaches(TWO)
    assert two.reaches(ONE)


def test_a_host_that_comes_into_the_same_network_is_met_there() -> None:
    world = World()
    home = world.nat(Kind.PORT_RESTRICTED)
    one, _ = meeting(world.nat(Kind.SYMMETRIC), home, world)
    assert not one.reaches(TWO)
    one.leave()
    one.settle(home.lan, "192.168.2.3")
    world.run(PATIENCE + 5)
    assert one.reaches(TWO)
    assert one.mesh.met_at == {TWO: ("192.168.2.2", 6783)}


def test_hopeless_pairs_do_not_fill_the_network() -> None:
    """Once they have learned to be patient, they make a few attempts in ten minutes."""
    world = World()
    one, _ = meeting(world.nat(Kind.SYMMETRIC), world.nat(Kind.SYMMETRIC), world)
    world.run(600)
    before = len([order for order in one.sent if order.endpoint != Endpoint("203.0.113.1", 6783)])
    world.run(600)
    after = len([order for order in one.sent if order.endpoint != Endpoint("203.0.113.1", 6783)])
    assert 0 < after - before < 1000
