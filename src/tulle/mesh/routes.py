"""Which way to a peer, and which neighbours to pass a broadcast to.

Both come from a breadth-first search in which each level is expanded in ascending order of names and a peer
belongs to whoever reached it first. That makes the broadcast tree of a source the same at every peer that
sees the same topology: each peer computes only its own place in it, and no copy is lost or doubled.
"""

from collections.abc import Iterator, Mapping

from tulle.mesh.graph import Graph, bits
from tulle.mesh.peername import PeerName
from tulle.mesh.places import NOWHERE, Place, all_places


class Routes:
    """Routes seen from one peer. Always up to date: computed when asked for, kept until the graph changes."""

    def __init__(self, graph: Graph, me: PeerName) -> None:
        self._graph = graph
        self._me = me
        self._generation = self._mutual_generation = -1
        self._unicast: dict[PeerName, PeerName] | None = None
        self._unicast_all: dict[PeerName, PeerName] | None = None
        self._places: dict[PeerName, Place] | None = None
        self._gossip_places: dict[PeerName, tuple[PeerName, ...]] = {}
        self._behind: dict[PeerName, Mapping[PeerName, frozenset[PeerName]]] = {}

    @property
    def unicast(self) -> Mapping[PeerName, PeerName]:
        """Next hop to every other peer that frames can reach: over connections established at both ends."""
        self._sync_frames()
        if self._unicast is None:
            self._unicast = self._search_hops(self._graph.mutual)
        return self._unicast

    @property
    def unicast_all(self) -> Mapping[PeerName, PeerName]:
        """Next hop to every other peer that gossip can reach: over connections of any state."""
        self._sync_gossip()
        if self._unicast_all is None:
            self._unicast_all = self._search_hops(self._graph.listed)
        return self._unicast_all

    def place(self, source: PeerName) -> Place:
        """Our place in the tree by which frames that ``source`` broadcasts travel."""
        self._sync_frames()
        if self._places is None:
            self._places = all_places(self._graph, self._me)
        return self._places.get(source, NOWHERE)

    def broadcast(self, source: PeerName) -> tuple[PeerName, ...]:
        """The neighbours to which we pass frames that ``source`` broadcasts."""
        return self.place(source).children

    def broadcast_all(self, source: PeerName) -> tuple[PeerName, ...]:
        """The neighbours to which we pass gossip that ``source`` broadcasts."""
        self._sync_gossip()
        children = self._gossip_places.get(source)
        if children is None:
            children = self._search_children(source)
            if self._graph.bit(source) is not None:
                self._gossip_places[source] = children
        return children

    def behind(self, source: PeerName) -> Mapping[PeerName, frozenset[PeerName]]:
        """Who gets frames that ``source`` broadcasts from each of our children, the child included."""
        self._sync_frames()
        found = self._behind.get(source)
        if found is None:
            found = self._behind[source] = self._search_behind(source)
        return found

    def first_to_spread(self, source: PeerName, among: frozenset[PeerName]) -> PeerName | None:
        """Which of these peers is the first to pass on frames that ``source`` broadcasts."""
        start = self._graph.bit(source)
        if start is None:
            return None
        names = self._graph.names
        spreading = (names[bit] for bit, _, _ in _expand(self._graph, self._graph.mutual, start))
        return next((name for name in spreading if name in among), None)

    def _sync_gossip(self) -> None:
        if self._generation != self._graph.generation:
            self._generation = self._graph.generation
            self._unicast_all = None
            self._gossip_places.clear()

    def _sync_frames(self) -> None:
        if self._mutual_generation != self._graph.mutual_generation:
            self._mutual_generation = self._graph.mutual_generation
            self._unicast = self._places = None
            self._behind.clear()

    def _search_hops(self, edges: list[int]) -> dict[PeerName, PeerName]:
        names = self._graph.names
        start = self._graph.bit(self._me)
        if start is None:
            return {}
        hops: dict[PeerName, PeerName] = {}
        for bit, found, _ in _expand(self._graph, edges, start):
            via = hops.get(names[bit])
            for other in bits(found):
                hops[names[other]] = names[other] if via is None else via
        return hops

    def _search_children(self, source: PeerName) -> tuple[PeerName, ...]:
        graph = self._graph
        me, start = graph.bit(self._me), graph.bit(source)
        if me is None or start is None:
            return ()
        for bit, found, reached in _expand(graph, graph.listed, start):
            if bit == me:
                return tuple(sorted(graph.names[child] for child in bits(found)))
            if reached >> me & 1 and not graph.listed[me] & ~reached:
                return ()
        return ()

    def _search_behind(self, source: PeerName) -> dict[PeerName, frozenset[PeerName]]:
        graph = self._graph
        me, start = graph.bit(self._me), graph.bit(source)
        if me is None or start is None:
            return {}
        masks: dict[int, int] = {}
        everybody = len(self.unicast) + 1
        for bit, found, reached in _expand(graph, graph.mutual, start):
            if bit == me:
                masks = {child: 1 << child for child in bits(found)}
            elif found:
                parent = next((child for child, mask in masks.items() if mask >> bit & 1), None)
                if parent is not None:
                    masks[parent] |= found
            if reached.bit_count() == everybody:
                break
        names = graph.names
        return {names[child]: frozenset(names[bit] for bit in bits(mask)) for child, mask in masks.items()}


def _expand(graph: Graph, edges: list[int], start: int) -> Iterator[tuple[int, int, int]]:
    """Search from ``start``; yields (peer expanded, what it is the first to reach, all reached so far)."""
    names = graph.names
    reached = 1 << start
    level = [start]
    while level:
        following = 0
        for bit in level:
            found = edges[bit] & ~reached
            reached |= found
            following |= found
            yield bit, found, reached
        level = sorted(bits(following), key=names.__getitem__)
