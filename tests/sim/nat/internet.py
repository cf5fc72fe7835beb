"""Networks in memory with routers between them, one inside another if need be; datagrams take no time."""

from collections.abc import Callable
from typing import Protocol

from tulle.datapath.sleeve.orders import Endpoint
from tulle.sim.nat import Kind, Nat


class Taker(Protocol):
    """Whoever has an address in a network."""

    def take(self, data: object, source: Endpoint, target: Endpoint) -> None:
        """A datagram for one of its addresses."""


class Network:
    """Addresses, and a way out for all others, if there is one."""

    def __init__(self) -> None:
        self.members: dict[str, Taker] = {}
        self.way_out: Router | None = None

    def send(self, data: object, source: Endpoint, target: Endpoint) -> None:
        taker = self.members.get(target.ip)
        if taker is not None:
            taker.take(data, source, target)
        elif self.way_out is not None:
            self.way_out.take_out(data, source, target)


class Router:
    """A router between a network of its own (``lan``) and ``outer``."""

    def __init__(
        self, kind: Kind, outer: Network, outside: str, clock: Callable[[], float], hairpin: bool = False
    ) -> None:
        self.nat = Nat(kind, outside, hairpin=hairpin)
        self.lan = Network()
        self.lan.way_out = self
        self._outer = outer
        self._clock = clock
        outer.members[outside] = self

    def take_out(self, data: object, source: Endpoint, target: Endpoint) -> None:
        """A datagram from inside for the world."""
        outside = self.nat.outward(source, target, self._clock())
        if target.ip != self.nat.outside:
            self._outer.send(data, outside, target)
        elif self.nat.hairpin:
            self.take(data, outside, target)

    def take(self, data: object, source: Endpoint, target: Endpoint) -> None:
        """A datagram for an outside port."""
        owner = self.nat.inward(source, target.port, self._clock())
        if owner is not None:
            self.lan.send(data, source, owner)
