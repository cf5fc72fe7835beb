"""A network of kernels played by the tables alone: who gets a broadcast, how often, and which way a frame
goes.

The mesh's own graph and routes make the pictures, so that both parts are held to the same order.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tulle.datapath.forwarding import Forwarding, MeshPicture
from tulle.datapath.parents import HOLD
from tulle.datapath.tables import Hop, HopId, ShortId, Tables, sleeve_hop
from tulle.instant import Instant
from tulle.mesh.graph import Graph
from tulle.mesh.peername import PeerName
from tulle.mesh.routes import Routes
from tulle.mesh.summary import ConnectionSummary, PeerSummary

HOPS = 64


def ip_of(number: int) -> str:
    return f"10.0.{number // 256}.{number % 256}"


@dataclass
class Node:
    """One host: its number is its peer name, short id and address. Without a daemon it keeps its last
    tables.
    """

    number: int
    forwarding: Forwarding
    alive: bool = True

    @property
    def tables(self) -> Tables:
        return self.forwarding.tables


class Network:
    """Hosts and links; links are pairs of numbers. Frames of some links go by the sleeve."""

    def __init__(self, links: Iterable[tuple[int, int]], sleeves: Iterable[tuple[int, int]] = ()) -> None:
        self.now = Instant(0, 0)
        self.links = {frozenset(link) for link in links}
        self.sleeves = {frozenset(link) for link in sleeves}
        numbers = sorted({number for link in self.links for number in link})
        self.nodes = {number: Node(number, Forwarding(self.now)) for number in numbers}
        self.claims = {number: self._neighbours(number) for number in numbers}
        self.converge()

    def _neighbours(self, number: int) -> frozenset[int]:
        linked = {other for link in self.links if number in link for other in link - {number}}
        return frozenset(other for other in linked if self.nodes[other].alive and self.nodes[number].alive)

    def hop(self, number: int, other: int) -> Hop:
        """How one host sends to a neighbour."""
        if frozenset((number, other)) in self.sleeves:
            return sleeve_hop(ShortId(other))
        return Hop(ip_of(other), ip_of(number))

    def converge(self) -> None:
        """Every live daemon learns what the others say and computes its tables."""
        for number, node in self.nodes.items():
            if node.alive:
                self.claims[number] = self._neighbours(number)
        for node in self.nodes.values():
            if node.alive:
                node.forwarding.update(self.picture(node.number), self.now)
        self.now = Instant(self.now.mono + HOLD, 0)
        for node in self.nodes.values():
            node.forwarding.expire(self.now)

    def picture(self, number: int) -> MeshPicture:
        """What the mesh of that host knows: everybody whom it reaches, and those they speak of."""
        graph = Graph()
        for name, claims in self.claims.items():
            connections = tuple(
                ConnectionSummary(PeerName(other), "", outbound=False, established=True) for other in claims
            )
            graph.put(PeerSummary(PeerName(name), "", 1, 1, name, connections))
        hops = {PeerName(other): self.hop(number, other) for other in self._neighbours(number)}
        return MeshPicture(
            me=PeerName(number),
            short_ids={PeerName(name): ShortId(name) for name in self.claims},
            claims={PeerName(name): frozenset(map(PeerName, claims)) for name, claims in self.claims.items()},
            routes=Routes(graph, PeerName(number)),
            hops=hops,
            direct=hops,
        )

    def kill(self, *numbers: int) -> None:
        """These daemons die; their kernels do not. The others notice."""
        for number in numbers:
            self.nodes[number].alive = False
        self.converge()

    def revive(self, number: int) -> None:
        """A new daemon takes over the tables and has not met anybody yet."""
        node = self.nodes[number]
        node.forwarding = Forwarding(self.now, node.tables)
        node.alive = True

    # What the kernels do

    def broadcast(self, source: int) -> Counter[int]:
        """How often each host takes a broadcast of ``source``. Raises RecursionError if it circles."""
        taken: Counter[int] = Counter()
        self._spread(source, source, HOPS, taken)
        return taken

    def _spread(self, at: int, source: int, hops_left: int, taken: Counter[int]) -> None:
        if not hops_left:
            raise RecursionError(f"a broadcast of {source} circles")
        tree = self.nodes[at].tables.trees.get(ShortId(source))
        if tree is None:
            return
        for child, hop in tree.children:
            assert hop == self.hop(at, child)
            if self._takes(child, source, self.hop(child, at).id):
                taken[child] += 1
                self._spread(child, source, hops_left - 1, taken)

    def _takes(self, at: int, source: int, sender: HopId) -> bool:
        if at == source:
            return False
        tables = self.nodes[at].tables
        tree = tables.trees.get(ShortId(source))
        if tree is not None:
            return tree.parent == sender
        hop = tables.direct.get(ShortId(source))
        return hop is not None and hop.id == sender

    def unicast(self, source: int, target: int) -> bool:
        """Whether a frame arrives. Raises RecursionError if it circles."""
        at = source
        for _ in range(HOPS):
            if at == target:
                return True
            hop = self.nodes[at].tables.routes.get(ShortId(target))
            if hop is None:
                return False
            at = next(number for number in self.nodes if hop.id in (ip_of(number), number))
        raise RecursionError(f"a frame from {source} to {target} circles")


def reached(claims: Mapping[int, frozenset[int]], start: int) -> set[int]:
    """All that can be reached from ``start``, itself included."""
    found, waiting = {start}, [start]
    while waiting:
        for other in claims[waiting.pop()] - found:
            found.add(other)
            waiting.append(other)
    return found
