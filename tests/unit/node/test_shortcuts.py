"""Shortcuts: the rendezvous and the sleeve at work together, between two peers and a wire between them."""

import pytest

from sim.nat.internet import Network
from sim.nat.peers import Host, short_id
from tulle.datapath.sleeve.native import BUSY_FOR
from tulle.datapath.sleeve.orders import Count, Endpoint
from tulle.datapath.tables import sleeve_hop
from tulle.instant import Instant
from tulle.mesh.channel import Unicast
from tulle.mesh.peername import PeerName
from tulle.node.rendezvous.agreement import public_key
from tulle.node.rendezvous.encounter import Path
from tulle.node.rendezvous.messages import Candidate, Go, Offer, Origin, encode
from tulle.node.rendezvous.rendezvous import TRY_SECONDS

LOW, HIGH = PeerName(1), PeerName(2)
IDS = {LOW: short_id(LOW), HIGH: short_id(HIGH)}


class World:
    """Two hosts in one network, which can be cut. Messages over the mesh arrive at once."""

    def __init__(
        self, low_password: bytes | None = b"secret", high_password: bytes | None = b"secret"
    ) -> None:
        self.now = Instant(1000.0, 0.0)
        self.network, self.nowhere = Network(), Network()
        self.low = Host(LOW, self.network, "192.168.1.5", lambda: self.now, low_password)
        self.high = Host(HIGH, self.network, "192.168.1.6", lambda: self.now, high_password)
        self.low.know(HIGH)
        self.high.know(LOW)

    def cut(self) -> None:
        self.low.network = self.high.network = self.nowhere

    def heal(self) -> None:
        self.low.network = self.high.network = self.network

    def run(self, seconds: float) -> None:
        end = self.now.mono + seconds
        while self.now.mono < end:
            self.now = self.now.later(0.05)
            while sum((self.low.turn(), self.high.turn(), self._talk(self.low), self._talk(self.high))):
                pass

    def _talk(self, host: Host) -> bool:
        other = self.high if host is self.low else self.low
        said, host.channel.outbox[:] = list(host.channel.outbox), []
        for one in said:
            assert isinstance(one, Unicast)
            other.channel.receive("weave", one.payload, host.name, self.now)
        return bool(said)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def low(world: World) -> Host:
    return world.low


@pytest.fixture
def high(world: World) -> Host:
    return world.high


def test_two_peers_find_each_other_by_their_own_addresses(world: World, low: Host, high: Host) -> None:
    world.run(4)
    assert low.shortcuts.hops() == {HIGH: sleeve_hop(IDS[HIGH])}
    assert high.shortcuts.hops() == {LOW: sleeve_hop(IDS[LOW])}
    assert "direct path" in low.log[0]


def test_who_is_met_at_an_address_of_its_own_is_to_be_dialled_there(world: World, low: Host) -> None:
    world.run(4)
    assert low.mesh.met_at == {HIGH: ("192.168.1.6", 6783)}


def test_the_rendezvous_is_told_when_frames_went_where(
    world: World, low: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run(4)
    told = []
    monkeypatch.setattr(low.shortcuts._rendezvous, "flowed", lambda *what: told.append(what))
    ((path, _),) = low._open.values()
    low.sleeve.counted({path: Count(5000, 5000, 5000, 0)}, world.now)
    low.shortcuts.relayed({PeerName(7)}, world.now)
    assert told == [({PeerName(7)}, {HIGH: world.now.mono + BUSY_FOR}, world.now)]


def test_who_is_met_need_not_be_dialled_in_a_hurry(world: World, low: Host) -> None:
    world.run(4)
    assert low.mesh.no_hurry == {HIGH}
    world.cut()
    world.run(4)
    assert low.mesh.no_hurry == set()


def test_what_people_see_of_it(world: World, low: Host) -> None:
    (before,) = low.shortcuts.views()
    assert (before.endpoint, before.status, before.encounter.path) == (None, None, Path.NONE)
    world.run(4)
    (view,) = low.shortcuts.views()
    assert view.endpoint == Endpoint("192.168.1.6", 6783)
    assert view.encounter.path is Path.MET
    assert view.status is not None
    assert view.status.encrypted
    assert view.status.rtt is not None


def test_a_path_that_dies_is_out_of_use_within_two_seconds_and_comes_back(world: World, low: Host) -> None:
    world.run(40)
    world.cut()
    world.run(2.5)
    assert low.shortcuts.hops() == {}
    assert low.mesh.met_at == {HIGH: None}
    assert "lost" in low.log[-1]
    world.heal()
    world.run(10)
    assert low.shortcuts.hops() != {}


def test_peers_that_move_find_each_other_again(world: World, low: Host, high: Host) -> None:
    world.run(40)
    for host, ip in ((low, "172.16.0.5"), (high, "172.16.0.6")):
        host.leave()
        host.settle(world.network, ip)
    world.run(10)
    assert low.shortcuts.hops() != {}
    assert low.mesh.met_at == {HIGH: ("172.16.0.6", 6783)}


def test_a_link_ends_the_shortcut_and_all_that_belongs_to_it(world: World, low: Host) -> None:
    world.run(4)
    low.mesh.established = {HIGH}
    low.topology_changed()
    world.run(0.1)
    assert low.shortcuts.hops() == {}
    assert low.open_paths == []
    assert low.shortcuts.views() == []
    assert low.mesh.met_at == {HIGH: None}


def test_a_shortcut_outlives_the_mesh_and_its_peer_keeps_its_short_id(world: World, low: Host) -> None:
    world.run(4)
    low.know()
    world.run(10)
    assert low.shortcuts.hops() == {HIGH: sleeve_hop(IDS[HIGH])}
    assert low.shortcuts.names() == {IDS[HIGH]: HIGH}
    low.know(HIGH)
    world.run(10)
    assert len(low.open_paths) == 1


def test_a_peer_that_the_mesh_lost_does_not_keep_a_short_id_that_is_anothers_now(
    world: World, low: Host
) -> None:
    """Frames for the new owner would go to it."""
    world.run(4)
    low.know()
    low.shortcuts.topology_changed({PeerName(3): IDS[HIGH]}, world.now)
    world.run(0.2)
    assert low.shortcuts.names() == {}
    assert low.open_paths == []


def test_a_shortcut_that_dies_without_a_mesh_is_given_up(world: World, low: Host) -> None:
    world.run(4)
    low.know()
    world.cut()
    world.run(4)
    assert low.shortcuts.hops() == {}
    assert low.open_paths == []


@pytest.mark.parametrize("password", [None, b"another"])
def test_peers_with_different_passwords_do_not_meet(password: bytes | None) -> None:
    world = World(high_password=password)
    world.run(20)
    assert world.low.shortcuts.hops() == {}


def test_without_a_password_paths_are_plain() -> None:
    world = World(None, None)
    world.run(4)
    assert world.low.shortcuts.hops() != {}
    assert [path.keys for path in world.low.open_paths] == [None]


def test_a_liar_costs_each_of_its_victims_a_handful_of_small_packets(world: World, high: Host) -> None:
    """An offer that names hosts which have nothing to do with it, followed by a go."""
    victims = [Endpoint(f"203.0.113.{number}", 53) for number in range(1, 9)]
    lie = Offer(1, public_key(b"p" * 32), tuple(Candidate(Origin.SEEN, victim) for victim in victims))
    for message in (lie, Go(1)):
        high.channel.receive("weave", encode(message), LOW, world.now)
    for _ in range(int(3 * TRY_SECONDS / 0.05)):
        high.turn()
        world.now = world.now.later(0.05)
    for victim in victims:
        received = [one for one in high.sent if one.endpoint == victim]
        assert 0 < len(received) <= 60
        assert all(one.size == 0 and len(one.message) < 100 for one in received)
    assert high.open_paths == []
