"""Who is to be told news of the topology, and by whom.

News comes to us from a *teller* (or is our own). Neighbours of our kind that the teller has a link with heard
it from the teller. Of the rest, each hears it from a few of those who know: everybody computes the same few.
To neighbours of another kind, and for news from them, nothing is promised, so some are chosen at random.
"""

from collections.abc import Iterable
from random import Random

from tulle.mesh.graph import bits
from tulle.mesh.links import LinkTable
from tulle.mesh.neighbours import random_neighbours
from tulle.mesh.peername import PeerName
from tulle.mesh.routes import Routes
from tulle.mesh.topology import Topology

ENOUGH_TELLERS = 2
"""How many of those who could pass news on to the same peer do so."""


class Audience:
    """Chooses whom we tell."""

    def __init__(self, topology: Topology, routes: Routes, links: LinkTable, rng: Random) -> None:
        self._topology = topology
        self._routes = routes
        self._links = links
        self._rng = rng
        self._me = topology.me.name

    def of(self, teller: PeerName | None) -> set[PeerName]:
        """The neighbours that we are to tell what ``teller`` told us (None: what we found out ourselves)."""
        alike = self._links.alike()
        others = self._links.up.keys() - alike
        audience = alike
        if teller in alike:
            reached = self.listed_by(teller)
            colleagues = self._topology.graph.mask(alike & reached)
            audience = {name for name in alike - reached if self._is_up_to_us(name, colleagues)}
        if others:
            chosen = random_neighbours(self._routes, self._rng, self._links.up.keys(), teller)
            audience |= others.intersection(chosen)
        return audience - {teller}

    def owes(self, neighbour: PeerName, teller: PeerName | None) -> bool:
        """Whether a neighbour that was none before counts on us for what ``teller`` told us."""
        alike = self._links.alike()
        if teller not in alike:
            return True
        reached = self.listed_by(teller)
        colleagues = self._topology.graph.mask(alike & reached - {neighbour})
        return neighbour not in reached and self._is_up_to_us(neighbour, colleagues)

    def listed_by(self, name: PeerName | None) -> set[PeerName]:
        """The peers that this one says it has connections to."""
        peer = self._topology.peers.get(name) if name is not None else None
        return {connection.name for connection in peer.connections} if peer else set()

    def beyond(self, name: PeerName, names: Iterable[PeerName]) -> frozenset[PeerName]:
        """Those of ``names`` that this peer has no connection to, and so will not hear from."""
        return frozenset(names) - self.listed_by(name)

    def _is_up_to_us(self, neighbour: PeerName, colleagues: int) -> bool:
        """Whether we, rather than others who have the same news, are to tell this neighbour.

        Each neighbour has its own order of those who might, the same for everybody who counts, so that the
        work is shared and the first of them never leaves it to others.
        """
        graph = self._topology.graph
        ours = _rank(self._me, neighbour)
        before_us = 0
        for bit in bits(colleagues & graph.connections(neighbour)):
            before_us += _rank(graph.names[bit], neighbour) < ours
            if before_us >= ENOUGH_TELLERS:
                return False
        return True


def _rank(teller: PeerName, listener: PeerName) -> int:
    """The place of ``teller`` among those who might tell ``listener``: any fixed order that scatters."""
    return (teller ^ listener * 0x9E3779B1) * 0xC2B2AE3D27D4EB4F & 0xFFFFFFFFFFFFFFFF
