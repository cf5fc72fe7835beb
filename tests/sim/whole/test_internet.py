"""Datagrams of the simulator: who gets them through which router, and what tracing says beforehand."""

import pytest

from tulle.datapath.sleeve.orders import Endpoint
from tulle.sim.internet import WIDTH, Datagram
from tulle.sim.nat import Kind, Nat
from tulle.sim.network import Network

HOME, NEAR, FAR = Endpoint("10.0.0.1", 6783), Endpoint("10.0.0.2", 6783), Endpoint("203.0.113.9", 6783)


class Socket:
    def __init__(self) -> None:
        self.taken: list[tuple[int, Endpoint]] = []

    def take(self, datagram: Datagram, source: Endpoint) -> None:
        self.taken.append((datagram.number, source))


class Place:
    """Two hosts of one site and one in the open."""

    def __init__(self, kind: Kind = Kind.PORT_RESTRICTED, hairpin: bool = False) -> None:
        self.network = Network()
        self.internet = self.network.internet
        self.sockets = {end: Socket() for end in (HOME, NEAR, FAR)}
        router = Nat(kind, "198.51.0.1", hairpin=hairpin)
        for end in (HOME, NEAR):
            self.internet.settle(end.ip, router)
        for end, socket in self.sockets.items():
            self.internet.listen(end.ip, socket)

    def send(self, source: Endpoint, target: Endpoint, size: int = 100) -> None:
        self.internet.send(source, target, Datagram(1, 1, b"", size))
        self.network.clock.run_until(self.network.clock.mono + 1)

    def sources(self, end: Endpoint) -> list[Endpoint]:
        """From where datagrams have come to this host."""
        return [source for _, source in self.sockets[end].taken]


def test_an_answer_gets_in_and_nothing_else() -> None:
    place = Place()
    place.send(FAR, HOME)
    place.send(HOME, FAR)
    (outside,) = place.sources(FAR)
    assert outside.ip == "198.51.0.1"
    place.send(FAR, outside)
    place.send(FAR, Endpoint(outside.ip, outside.port + 1))
    assert place.sources(HOME) == [FAR]


def test_neighbours_see_each_other_as_they_are() -> None:
    place = Place()
    place.send(HOME, NEAR)
    assert place.sources(NEAR) == [HOME]
    assert place.internet.may_dial(HOME.ip, NEAR.ip)
    assert not place.internet.may_dial(FAR.ip, NEAR.ip)
    assert place.internet.may_link(FAR.ip, NEAR.ip)
    assert place.internet.appears_as(HOME.ip, NEAR.ip) == HOME.ip
    assert place.internet.appears_as(HOME.ip, FAR.ip) == "198.51.0.1"


@pytest.mark.parametrize("hairpin", [True, False])
def test_the_router_from_inside(hairpin: bool) -> None:
    place = Place(Kind.FULL_CONE, hairpin)
    place.send(NEAR, FAR)
    (outside,) = place.sources(FAR)
    place.send(HOME, outside)
    assert len(place.sources(NEAR)) == hairpin


def test_what_is_traced_is_what_happens_and_changes_nothing() -> None:
    place = Place()
    assert place.internet.trace(HOME, FAR) is None
    place.send(HOME, FAR)
    (outside,) = place.sources(FAR)
    assert place.internet.trace(HOME, FAR) == (FAR.ip, outside)
    assert place.internet.trace(FAR, outside) == (HOME.ip, FAR)
    assert place.internet.trace(NEAR, HOME) == (HOME.ip, NEAR)
    place.network.clock.run_until(100)
    assert place.internet.trace(HOME, FAR) is None


def test_filters_and_width() -> None:
    place = Place()
    place.send(HOME, FAR, WIDTH + 1)
    place.network.paths.filter(HOME.ip, FAR.ip, datagrams=True)
    place.send(HOME, FAR)
    assert place.sources(FAR) == []
    assert place.network.paths.both_ways(HOME.ip, FAR.ip)
    place.network.heal()
    place.send(HOME, FAR)
    assert len(place.sources(FAR)) == 1
