"""Whole nodes with both carriers: the better one is used, the other stands by, and all is said."""

from collections.abc import Callable

from node.world import Member, World
from tulle.datapath.sleeve.orders import AimPath, KnowPeers, OpenPath
from tulle.datapath.tables import CarrierKind
from tulle.mesh.peername import PeerName


def pair() -> tuple[World, Member, Member]:
    world = World(sleeve=True)
    one, two = world.pair()
    return world, one, two


def carrier(member: Member) -> str | None:
    (link,) = member.node.mesh.links()
    return member.node.carrier(link.link)


def established(member: Member) -> int:
    """How often the mesh was told that the link to the other is established or is not."""
    me = member.node.mesh.peers()[member.node.mesh.self_name]
    return me.version


def waits(world: World, done: Callable[[], bool], limit: float) -> float:
    begun = world.now.mono
    while not done():
        world.pass_time(0.1)
        assert world.now.mono - begun <= limit
    return world.now.mono - begun


def test_the_kernel_carries_and_the_sleeve_stands_by() -> None:
    world, one, two = pair()
    world.pass_time(1)
    assert [carrier(one), carrier(two)] == ["fastdp", "fastdp"]
    (link,) = one.node.mesh.links()
    states = [(name, status.state) for name, status in one.node.carrier_status(link.link, world.now.mono)]
    assert states == [("fastdp", "established"), ("sleeve", "established")]
    (hop,) = one.tables.routes.values()
    assert hop.carrier is CarrierKind.VXLAN


def test_traffic_moves_to_the_sleeve_and_back_and_the_mesh_does_not_notice() -> None:
    world, one, two = pair()
    world.pass_time(2)
    before = established(one)
    for member in (one, two):
        member.carrier.fail("blocked")
    world.pass_time(0.1)
    assert [carrier(one), carrier(two)] == ["sleeve", "sleeve"]
    (hop,) = one.tables.routes.values()
    assert hop.carrier is CarrierKind.SLEEVE
    aims = [order for order in one.orders if isinstance(order, AimPath)]
    assert aims[-1].short_id == hop.peer
    assert any("go by sleeve now, no longer by fastdp: blocked" in note for note in one.notes)
    for member in (one, two):
        member.carrier.recover()
    world.pass_time(1)
    assert carrier(one) == "sleeve"
    (link,) = one.node.mesh.links()
    (_, better), _ = one.node.carrier_status(link.link, world.now.mono)
    assert "works again; will be used if it goes on so for" in better.reason
    waits(world, lambda: carrier(one) == carrier(two) == "fastdp", 9)
    assert one.node.carrier_changes == {"sleeve": 1, "fastdp": 1}
    assert established(one) == before


def test_a_link_without_any_carrier_is_not_established_and_says_why() -> None:
    world, one, two = pair()
    world.udp = False
    for member in (one, two):
        member.carrier.fail("blocked")
    world.pass_time(8)
    assert carrier(one) is None
    assert any("no frames get through to" in note for note in one.notes)
    world.udp = True
    world.pass_time(3)
    assert carrier(one) == "sleeve"


def test_orders_for_a_path_come_in_the_step_in_which_the_link_is_settled() -> None:
    """Before anything else is said of the path, and after the sockets' side knows who its peer is."""
    _, one, _ = pair()
    kinds = [type(order) for order in one.orders]
    known = [order for order in one.orders if isinstance(order, KnowPeers)]
    assert kinds.index(OpenPath) < kinds.index(AimPath)
    assert PeerName(2) in known[-1].names.values()


def test_when_a_peer_dies_its_path_dies_too() -> None:
    world, one, two = pair()
    world.pass_time(1)
    world.kill(two)
    assert one.paths == {}
