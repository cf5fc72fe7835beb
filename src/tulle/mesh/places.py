"""Our place in every source's broadcast tree at once.

In the tree of a source a peer hangs on the lowest-named of its neighbours that are one step nearer to the
source: that is what the search in ``routes`` comes to. So distances decide: ours, those of our neighbours and
of theirs. Sets of bits hold the sources at each distance, and whole sets of them are settled in one
operation: with hundreds of peers a search for each source would take most of a daemon's time.
"""

from typing import NamedTuple

from tulle.mesh.graph import Graph, bits
from tulle.mesh.peername import PeerName


class Place(NamedTuple):
    """Whom we take a source's broadcasts from, and to whom we pass them; neither if it does not reach us."""

    parent: PeerName | None
    children: tuple[PeerName, ...]


NOWHERE = Place(None, ())


def all_places(graph: Graph, me: PeerName) -> dict[PeerName, Place]:
    """By source, ourselves included; over connections that carry frames."""
    start = graph.bit(me)
    return {} if start is None else _Search(graph, start).places()


class _Search:
    def __init__(self, graph: Graph, me: int) -> None:
        self._names, self._edges = graph.names, graph.mutual
        self._me = me
        self._rings: dict[int, list[int]] = {}
        self._all = ~0
        self._all = sum(self._distances(me))
        self._near = sorted(bits(self._edges[me]), key=self._names.__getitem__)

    def places(self) -> dict[PeerName, Place]:
        names, parents, children = self._names, self._parents(), self._children()
        leaves = {parent: Place(parent, ()) for parent in (None, *parents.values())}
        return {
            names[source]: Place(parents.get(source), tuple(children[source]))
            if source in children
            else leaves[parents.get(source)]
            for source in bits(self._all)
        }

    def _parents(self) -> dict[int, PeerName]:
        """By source: the first neighbour that is one step nearer to it than we are."""
        found: dict[int, PeerName] = {}
        for distance, left in enumerate(self._distances(self._me)[1:], 1):
            for neighbour in self._near:
                by_it = left & self._at(neighbour, distance - 1)
                found.update((source, self._names[neighbour]) for source in bits(by_it))
                left &= ~by_it
                if not left:
                    break
        return found

    def _children(self) -> dict[int, list[PeerName]]:
        """By source: the neighbours that are one step farther, and have nobody before us at our distance."""
        found: dict[int, list[PeerName]] = {}
        names, our_name = self._names, self._names[self._me]
        for child in self._near:
            rivals = [other for other in bits(self._edges[child]) if names[other] < our_name]
            for distance, sources in enumerate(self._distances(self._me)):
                ours = sources & self._at(child, distance + 1)
                for rival in rivals:
                    if not ours:
                        break
                    ours &= ~self._at(rival, distance)
                for source in bits(ours):
                    found.setdefault(source, []).append(names[child])
        return found

    def _at(self, peer: int, distance: int) -> int:
        """The peers at this distance from one, as a set of bits."""
        rings = self._distances(peer)
        return rings[distance] if distance < len(rings) else 0

    def _distances(self, peer: int) -> list[int]:
        rings = self._rings.get(peer)
        if rings is None:
            rings = self._rings[peer] = self._search(peer)
        return rings

    def _search(self, peer: int) -> list[int]:
        edges = self._edges
        rings, reached, frontier = [], 0, 1 << peer
        while frontier:
            rings.append(frontier)
            reached |= frontier
            if reached == self._all:
                break
            found = 0
            for bit in bits(frontier):
                found |= edges[bit]
            frontier = found & ~reached
        return rings
