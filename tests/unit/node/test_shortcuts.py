"""Shortcuts: the rendezvous and the sleeve at work together, between two peers and a wire between them."""

from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv4Network
from random import Random
from typing import cast

import pytest

from tulle.datapath.carrier import CarrierEvent, Met, Parted
from tulle.datapath.sleeve.carrier import SleeveCarrier
from tulle.datapath.sleeve.orders import (
    AimPath,
    Arrival,
    ClosePath,
    Endpoint,
    NativePath,
    OpenPath,
    PathId,
    SendMessage,
)
from tulle.datapath.tables import ShortId, sleeve_hop
from tulle.instant import Instant
from tulle.mesh.channel import Channel, Unicast
from tulle.mesh.config import MeshConfig
from tulle.mesh.events import Address
from tulle.mesh.mesh import Mesh
from tulle.mesh.peername import PeerName
from tulle.mesh.summary import ConnectionSummary, PeerSummary
from tulle.node.rendezvous.agreement import public_key
from tulle.node.rendezvous.encounter import Path
from tulle.node.rendezvous.messages import Candidate, Go, Offer, Origin, encode
from tulle.node.rendezvous.rendezvous import TRY_SECONDS
from tulle.node.shortcuts import Shortcuts

LOW, HIGH = PeerName(1), PeerName(2)
IDS = {LOW: ShortId(11), HIGH: ShortId(22)}
OVERLAY = IPv4Network("10.32.0.0/12")


@dataclass
class FakeRoutes:
    unicast_all: dict[PeerName, PeerName]


@dataclass
class FakeMesh:
    """As much of a mesh as shortcuts ask: both peers know each other by a third, which is not shown."""

    self_name: PeerName
    password: bytes | None = b"secret"
    established: set[PeerName] = field(default_factory=set)
    channels: list[Channel] = field(default_factory=list)
    met_at: dict[PeerName, Address | None] = field(default_factory=dict)

    @property
    def config(self) -> MeshConfig:
        return MeshConfig(self.self_name, "me", 1, password=self.password)

    @property
    def routes(self) -> FakeRoutes:
        return FakeRoutes({peer: PeerName(3) for peer in IDS if peer != self.self_name})

    def peers(self) -> dict[PeerName, PeerSummary]:
        links = tuple(ConnectionSummary(peer, "10.0.0.9:6783", True, True) for peer in self.established)
        return {self.self_name: PeerSummary(self.self_name, "me", 1, 1, IDS[self.self_name], links)}

    def add_channel(self, channel: Channel) -> None:
        self.channels.append(channel)

    def label(self, name: PeerName) -> str:
        return f"peer {name}"

    def found(self, peer: PeerName, address: Address | None, now: Instant) -> None:
        self.met_at[peer] = address


class Host:
    """One end: its addresses, and what its sleeve has open."""

    def __init__(self, name: PeerName, ip: str, password: bytes | None = b"secret") -> None:
        self.name = name
        self.endpoint = Endpoint(ip, 6783)
        self.mesh = FakeMesh(name, password)
        self.sleeve = SleeveCarrier(name, 1376, 6783)
        self.shortcuts = Shortcuts(cast(Mesh, self.mesh), self.sleeve, OVERLAY, Random(name))
        self.open: dict[int, tuple[PathId, NativePath]] = {}
        self.log: list[str] = []
        self.sent: list[tuple[int, SendMessage]] = []

    def begin(self, now: Instant) -> None:
        self.shortcuts.moved([IPv4Interface(f"{self.endpoint.ip}/24")], now)
        self.shortcuts.topology_changed(IDS, now)

    def path(self, number: PathId) -> NativePath:
        return next(path for known, path in self.open.values() if known == number)

    def take(self, event: CarrierEvent, now: Instant) -> None:
        match event:
            case OpenPath(number, NativePath() as path):
                self.open[path.receive_index] = (number, path)
            case ClosePath(number):
                self.open = {index: one for index, one in self.open.items() if one[0] != number}
            case AimPath():
                self.shortcuts.aimed(event, now)
            case Met() | Parted():
                self.log += filter(None, [self.shortcuts.heard(event, now)])
            case SendMessage():
                self.sent.append((self.path(event.path).send_index, event))


class World:
    """Two hosts. Messages over the mesh arrive at once; datagrams do if ``open`` says so."""

    def __init__(self, low: Host, high: Host) -> None:
        self.hosts = {low.name: low, high.name: high}
        self.now = Instant(1000.0, 0.0)
        self.passes = True
        for host in self.hosts.values():
            host.begin(self.now)

    def run(self, seconds: float) -> None:
        end = self.now.mono + seconds
        while self.now.mono < end:
            self.now = self.now.later(0.05)
            for host in self.hosts.values():
                host.shortcuts.tick(self.now)
                host.sleeve.tick(self.now)
            while self._exchange():
                pass

    def _exchange(self) -> bool:
        moved = False
        for host in self.hosts.values():
            (channel,) = host.mesh.channels
            said, channel.outbox[:] = list(channel.outbox), []
            for one in said:
                assert isinstance(one, Unicast)
                peer = self.hosts[one.dst].mesh.channels[0]
                peer.receive("weave", one.payload, host.name, self.now)
            moved |= host.shortcuts.carry_out(IDS, self.now) or bool(said)
            for event in host.sleeve.collect():
                host.take(event, self.now)
            sent, host.sent = host.sent, []
            moved |= bool(sent)
            for index, datagram in sent:
                self._carry(host, index, datagram)
        return moved

    def _carry(self, host: Host, index: int, datagram: SendMessage) -> None:
        for other in self.hosts.values():
            if self.passes and other.endpoint == datagram.endpoint and index in other.open:
                path, _ = other.open[index]
                size = max(100, datagram.size)
                other.sleeve.arrived(Arrival(path, datagram.message, host.endpoint, size), self.now)


@pytest.fixture
def low() -> Host:
    return Host(LOW, "192.168.1.5")


@pytest.fixture
def high() -> Host:
    return Host(HIGH, "192.168.1.6")


@pytest.fixture
def world(low: Host, high: Host) -> World:
    return World(low, high)


def test_two_peers_find_each_other_by_their_own_addresses(world: World, low: Host, high: Host) -> None:
    world.run(4)
    assert low.shortcuts.hops(IDS) == {HIGH: sleeve_hop(IDS[HIGH])}
    assert high.shortcuts.hops(IDS) == {LOW: sleeve_hop(IDS[LOW])}
    assert "direct path" in low.log[0]


def test_who_is_met_at_an_address_of_its_own_is_to_be_dialled_there(world: World, low: Host) -> None:
    world.run(4)
    assert low.mesh.met_at == {HIGH: ("192.168.1.6", 6783)}


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
    world.passes = False
    world.run(2.5)
    assert low.shortcuts.hops(IDS) == {}
    assert low.mesh.met_at == {HIGH: None}
    assert "lost" in low.log[-1]
    world.passes = True
    world.run(10)
    assert low.shortcuts.hops(IDS) != {}


def test_peers_that_move_find_each_other_again(world: World, low: Host, high: Host) -> None:
    world.run(40)
    for host, ip in ((low, "172.16.0.5"), (high, "172.16.0.6")):
        host.endpoint = Endpoint(ip, 6783)
        host.shortcuts.moved([IPv4Interface(f"{ip}/24")], world.now)
    world.run(10)
    assert low.shortcuts.hops(IDS) != {}
    assert low.mesh.met_at == {HIGH: ("172.16.0.6", 6783)}


def test_a_link_ends_the_shortcut_and_all_that_belongs_to_it(world: World, low: Host) -> None:
    world.run(4)
    low.mesh.established = {HIGH}
    low.shortcuts.topology_changed(IDS, world.now)
    world.run(0.1)
    assert low.shortcuts.hops(IDS) == {}
    assert low.open == {}
    assert low.shortcuts.views() == []
    assert low.mesh.met_at == {HIGH: None}


def test_without_a_short_id_no_frames_can_go_there(world: World, low: Host) -> None:
    world.run(4)
    assert low.shortcuts.hops({LOW: IDS[LOW]}) == {}


@pytest.mark.parametrize("password", [None, b"another"])
def test_peers_with_different_passwords_do_not_meet(low: Host, password: bytes | None) -> None:
    world = World(low, Host(HIGH, "192.168.1.6", password))
    world.run(20)
    assert low.shortcuts.hops(IDS) == {}


def test_without_a_password_paths_are_plain() -> None:
    ends = Host(LOW, "192.168.1.5", None), Host(HIGH, "192.168.1.6", None)
    World(*ends).run(4)
    assert ends[0].shortcuts.hops(IDS) != {}
    assert [path.keys for _, path in ends[0].open.values()] == [None]


def test_a_liar_costs_each_of_its_victims_a_handful_of_small_packets(high: Host) -> None:
    """An offer that names hosts which have nothing to do with it, followed by a go."""
    victims = [Endpoint(f"203.0.113.{number}", 53) for number in range(1, 9)]
    now = Instant(1000.0, 0.0)
    high.begin(now)
    lie = Offer(1, public_key(b"p" * 32), tuple(Candidate(Origin.SEEN, victim) for victim in victims))
    channel = high.mesh.channels[0]
    for message in (lie, Go(1)):
        channel.receive("weave", encode(message), LOW, now)
    for _ in range(int(3 * TRY_SECONDS / 0.05)):
        high.shortcuts.carry_out(IDS, now)
        high.shortcuts.tick(now)
        high.sleeve.tick(now)
        for event in high.sleeve.collect():
            high.take(event, now)
        now = now.later(0.05)
    for victim in victims:
        received = [one for _, one in high.sent if one.endpoint == victim]
        assert 0 < len(received) <= 60
        assert all(one.size == 0 and len(one.message) < 100 for one in received)
    assert high.open == {}
