"""Hosts, the networks between them, and time."""

from collections.abc import Iterable

from sim.nat.internet import Network, Router
from sim.nat.peers import Host
from tulle.instant import Instant
from tulle.mesh.channel import Unicast
from tulle.mesh.peername import PeerName
from tulle.sim.nat import Kind

TURN = 0.02
"""Seconds between two looks at everything, and so about what a message over the mesh takes."""

HUB = PeerName(50)


class World:
    """One open network. ``hub`` is in it, and every host has a link to it."""

    def __init__(self) -> None:
        self.now = Instant(1000.0, 0.0)
        self.internet = Network()
        self.hosts: dict[PeerName, Host] = {}
        self._nats = 0
        self.hub = Host(HUB, self.internet, "203.0.113.1", lambda: self.now)
        self.hosts[HUB] = self.hub

    def nat(self, kind: Kind, outer: Network | None = None, hairpin: bool = False) -> Router:
        """A router with an outside address in ``outer`` (the open network)."""
        self._nats += 1
        where = outer or self.internet
        outside = f"198.51.100.{self._nats}" if where is self.internet else f"192.168.100.{self._nats}"
        return Router(kind, where, outside, lambda: self.now.mono, hairpin)

    def host(self, name: PeerName, network: Network, ip: str) -> Host:
        made = self.hosts[name] = Host(name, network, ip, lambda: self.now)
        made.link(self.hub, outbound=True)
        self.hub.link(made, outbound=False)
        for host in self.hosts.values():
            others = self.hosts.keys() - {host.name}
            host.mesh.established = others if host is self.hub else {HUB}
            host.know(*others)
        return made

    def run(self, seconds: float) -> None:
        end = self.now.mono + seconds
        while self.now.mono < end:
            self.now = self.now.later(self._pause())
            self._pass_on(self.hosts.values())
            while sum(host.turn() for host in self.hosts.values()):
                pass

    def _pause(self) -> float:
        """Seconds until there is something to do."""
        if any(host.channel.outbox for host in self.hosts.values()):
            return TURN
        return max(TURN, min(host.next_deadline() for host in self.hosts.values()) - self.now.mono)

    def _pass_on(self, hosts: Iterable[Host]) -> None:
        said = [(host.name, message) for host in hosts for message in host.channel.outbox]
        for host in hosts:
            host.channel.outbox.clear()
        for name, message in said:
            assert isinstance(message, Unicast)
            self.hosts[message.dst].channel.receive("weave", message.payload, name, self.now)
