"""Datagrams between hosts, of which some are behind routers that translate addresses.

Who is in the open is reached by its own address. Hosts of one site reach each other by theirs, and are
reached from elsewhere only by what their router lets in: never a dial, never a tunnel of the kernel's.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Protocol
from zlib import crc32

from tulle.datapath.sleeve.orders import Endpoint
from tulle.sim.clock import Clock
from tulle.sim.nat import Nat
from tulle.sim.paths import Paths

_ARRIVAL = Struct(">dQI")
WIDTH = 1472
"""Bytes of UDP payload that pass anywhere."""


@dataclass(frozen=True, slots=True)
class Datagram:
    """Of the path that its receiver knows by ``index``; ``number`` counts those that were sent on it."""

    index: int
    number: int
    message: bytes
    size: int


class Digest(Protocol):
    """Takes in everything that happens, in its order."""

    def update(self, data: bytes, /) -> None:
        """This happened."""


class DatagramTaker(Protocol):
    """A host's UDP socket."""

    def take(self, datagram: Datagram, source: Endpoint) -> None:
        """A datagram arrived."""


class Internet:
    """Who is where, and what becomes of a datagram. Hosts are known by their own IP addresses."""

    def __init__(self, clock: Clock, paths: Paths, trace: Digest) -> None:
        self._clock, self._paths = clock, paths
        self._routers: dict[str, Nat] = {}
        self._homes: dict[str, Nat] = {}
        self._sockets: dict[str, DatagramTaker] = {}
        self._trace = trace

    def settle(self, ip: str, router: Nat) -> None:
        """This host is behind that router."""
        self._homes[ip] = self._routers[router.outside] = router

    def listen(self, ip: str, socket: DatagramTaker | None) -> None:
        """Datagrams for this host go there from now on, or nowhere."""
        if socket is None:
            self._sockets.pop(ip, None)
        else:
            self._sockets[ip] = socket

    def router_of(self, ip: str) -> Nat | None:
        """The router that a host is behind."""
        return self._homes.get(ip)

    # -- what passes

    def direct(self, one: str, other: str) -> bool:
        """Whether no router is between two hosts."""
        return self._homes.get(one) is self._homes.get(other)

    def may_dial(self, one: str, other: str) -> bool:
        """Whether a dial to the other's own address gets there."""
        home = self._homes.get(other)
        return home is None or home is self._homes.get(one)

    def may_link(self, one: str, other: str) -> bool:
        """Whether either can dial the other."""
        return self.may_dial(one, other) or self.may_dial(other, one)

    def appears_as(self, ip: str, target: str) -> str:
        """The address from which the target sees a connection come."""
        home = self._homes.get(ip)
        return ip if home is None or self.direct(ip, target) else home.outside

    # -- datagrams

    def send(self, source: Endpoint, target: Endpoint, datagram: Datagram) -> None:
        """A datagram leaves a host; it may be lost, doubled and late."""
        if datagram.size > WIDTH or not self._leaves(source.ip, target.ip):
            return
        home = self._homes.get(source.ip)
        known = source
        if home is not None and not self._is_near(source.ip, target.ip):
            known = home.outward(source, target, self._clock.mono)
        for delay in self._paths.frame_delays(source.ip, target.ip):
            self._clock.call_after(delay, self._arrive, source.ip, known, target, datagram)

    def trace(self, source: Endpoint, target: Endpoint) -> tuple[str, Endpoint] | None:
        """Which host a datagram would get to now, and where it would seem to come from; nothing is sent."""
        if not self._leaves(source.ip, target.ip):
            return None
        home = self._homes.get(source.ip)
        known: Endpoint | None = source
        if home is not None and not self._is_near(source.ip, target.ip):
            known = home.seen_as(source, target, self._clock.mono)
        far = self._routers.get(target.ip)
        if known is None:
            return None
        owner = target if far is None else far.leads_to(known, target.port, self._clock.mono)
        passes = owner is not None and self._paths.datagrams_pass(source.ip, owner.ip)
        return (owner.ip, known) if owner is not None and passes else None

    def _leaves(self, source: str, target: str) -> bool:
        """Whether there is a way to this address at all: private ones are none elsewhere."""
        home, router = self._homes.get(source), self._routers.get(target)
        if router is not None and router is home:
            return router.hairpin
        return self.may_dial(source, target)

    def _is_near(self, source: str, target: str) -> bool:
        return target in self._homes and self.direct(source, target)

    def _arrive(self, origin: str, known: Endpoint, target: Endpoint, datagram: Datagram) -> None:
        router = self._routers.get(target.ip)
        owner = target if router is None else router.inward(known, target.port, self._clock.mono)
        socket = None if owner is None else self._sockets.get(owner.ip)
        if owner is not None and socket is not None and self._paths.datagrams_pass(origin, owner.ip):
            self._trace.update(_ARRIVAL.pack(self._clock.mono, datagram.index, crc32(datagram.message)))
            socket.take(datagram, known)
