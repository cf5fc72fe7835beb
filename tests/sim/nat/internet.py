"""Networks in memory with routers of every kind between them; datagrams take no time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from tulle.datapath.sleeve.orders import Endpoint


class Kind(Enum):
    """What routers let in, and whether a host has one outside port (see tests/lab/nat.py)."""

    FULL_CONE = auto()
    RESTRICTED = auto()
    PORT_RESTRICTED = auto()
    SYMMETRIC = auto()


class Taker(Protocol):
    """Whoever has an address in a network."""

    def take(self, data: object, source: Endpoint, target: Endpoint) -> None:
        """A datagram for one of its addresses."""


class Network:
    """Addresses, and a way out for all others, if there is one."""

    def __init__(self) -> None:
        self.members: dict[str, Taker] = {}
        self.way_out: Nat | None = None

    def send(self, data: object, source: Endpoint, target: Endpoint) -> None:
        taker = self.members.get(target.ip)
        if taker is not None:
            taker.take(data, source, target)
        elif self.way_out is not None:
            self.way_out.take_out(data, source, target)


@dataclass
class _Mapping:
    """One outside port: whose it is (and for which target alone), whom it has sent to, when it was used."""

    owner: tuple[Endpoint, Endpoint | None]
    contacts: set[Endpoint] = field(default_factory=set)
    used: float = 0.0


class Nat:
    """A router between a network of its own (``lan``) and ``outer``."""

    def __init__(
        self, kind: Kind, outer: Network, outside: str, clock: Callable[[], float], hairpin: bool = False
    ) -> None:
        self.kind = kind
        self.lan = Network()
        self.lan.way_out = self
        self.lifetime = 30.0
        """Seconds after which a mapping that is not used is forgotten."""
        self._outer = outer
        self._outside = outside
        self._clock = clock
        self._hairpin = hairpin
        self._mappings: dict[int, _Mapping] = {}
        self._next = 20000
        outer.members[outside] = self

    def forget_all(self) -> None:
        """As by a restart; ports are others afterwards."""
        self._mappings.clear()

    def take_out(self, data: object, source: Endpoint, target: Endpoint) -> None:
        """A datagram from inside for the world."""
        outside = self._map(source, target)
        if target.ip != self._outside:
            self._outer.send(data, outside, target)
        elif self._hairpin:
            self.take(data, outside, target)

    def take(self, data: object, source: Endpoint, target: Endpoint) -> None:
        """A datagram for an outside port."""
        self._expire()
        mapping = self._mappings.get(target.port)
        if mapping is not None and self._lets_in(mapping, source):
            mapping.used = self._clock()
            self.lan.send(data, source, mapping.owner[0])

    def _map(self, source: Endpoint, target: Endpoint) -> Endpoint:
        self._expire()
        only_for = target if self.kind is Kind.SYMMETRIC else None
        port = next((port for port, one in self._mappings.items() if one.owner == (source, only_for)), None)
        if port is None:
            port = self._next = self._next + 1
            self._mappings[port] = _Mapping((source, only_for))
        mapping = self._mappings[port]
        mapping.contacts.add(target)
        mapping.used = self._clock()
        return Endpoint(self._outside, port)

    def _lets_in(self, mapping: _Mapping, source: Endpoint) -> bool:
        if self.kind is Kind.FULL_CONE:
            return True
        if self.kind is Kind.RESTRICTED:
            return source.ip in {contact.ip for contact in mapping.contacts}
        return source in mapping.contacts

    def _expire(self) -> None:
        limit = self._clock() - self.lifetime
        self._mappings = {port: one for port, one in self._mappings.items() if one.used >= limit}
