"""Routers that translate addresses, of every kind."""

from dataclasses import dataclass, field
from enum import Enum, auto

from tulle.datapath.sleeve.orders import Endpoint

FIRST_PORT = 20000


class Kind(Enum):
    """What a router lets in: anything, what comes from a host or a port that was sent to; or the last, with
    another outside port for each of them.
    """

    FULL_CONE = auto()
    RESTRICTED = auto()
    PORT_RESTRICTED = auto()
    SYMMETRIC = auto()


OPEN = frozenset({Kind.FULL_CONE, Kind.RESTRICTED})
"""Kinds that let in a host that was sent to, from whichever port."""


def can_meet(one: Kind, other: Kind) -> bool:
    """Whether hosts behind two routers of these kinds can send to each other, if they begin together."""
    return Kind.SYMMETRIC not in (one, other) or bool(OPEN & {one, other})


@dataclass(slots=True)
class _Mapping:
    """One outside port: whose it is (and for which target alone), whom it has sent to, when it was used."""

    owner: tuple[Endpoint, Endpoint | None]
    contacts: set[Endpoint] = field(default_factory=set)
    used: float = 0.0


class Nat:
    """The memory of one router, whose outside address is ``outside``.

    A mapping that is not used for ``lifetime`` seconds is forgotten. ``hairpin``: its own hosts can send to
    its outside ports.
    """

    def __init__(self, kind: Kind, outside: str, lifetime: float = 30.0, hairpin: bool = False) -> None:
        self.kind, self.outside, self.lifetime, self.hairpin = kind, outside, lifetime, hairpin
        self._mappings: dict[int, _Mapping] = {}
        self._next = FIRST_PORT

    def forget_all(self) -> None:
        """As by a restart; ports are others afterwards."""
        self._mappings.clear()

    def outward(self, source: Endpoint, target: Endpoint, now: float) -> Endpoint:
        """A datagram from inside goes out: where it seems to come from."""
        self._expire(now)
        only_for = target if self.kind is Kind.SYMMETRIC else None
        port = self._port_of(source, target)
        if port is None:
            port = self._next = self._next + 1
            self._mappings[port] = _Mapping((source, only_for))
        mapping = self._mappings[port]
        mapping.contacts.add(target)
        mapping.used = now
        return Endpoint(self.outside, port)

    def inward(self, source: Endpoint, port: int, now: float) -> Endpoint | None:
        """A datagram for an outside port: whom it is for; None if nobody wants it."""
        self._expire(now)
        mapping = self._mappings.get(port)
        if mapping is None or not self._lets_in(mapping, source):
            return None
        mapping.used = now
        return mapping.owner[0]

    def seen_as(self, source: Endpoint, target: Endpoint, now: float) -> Endpoint | None:
        """What ``outward`` would say, if there is such a mapping already; nothing changes."""
        self._expire(now)
        port = self._port_of(source, target)
        return None if port is None else Endpoint(self.outside, port)

    def leads_to(self, source: Endpoint, port: int, now: float) -> Endpoint | None:
        """What ``inward`` would say; nothing changes."""
        self._expire(now)
        mapping = self._mappings.get(port)
        return mapping.owner[0] if mapping is not None and self._lets_in(mapping, source) else None

    def _port_of(self, source: Endpoint, target: Endpoint) -> int | None:
        owner = (source, target if self.kind is Kind.SYMMETRIC else None)
        return next((port for port, one in self._mappings.items() if one.owner == owner), None)

    def _lets_in(self, mapping: _Mapping, source: Endpoint) -> bool:
        if self.kind is Kind.FULL_CONE:
            return True
        if self.kind is Kind.RESTRICTED:
            return source.ip in {contact.ip for contact in mapping.contacts}
        return source in mapping.contacts

    def _expire(self, now: float) -> None:
        limit = now - self.lifetime
        self._mappings = {port: one for port, one in self._mappings.items() if one.used >= limit}
