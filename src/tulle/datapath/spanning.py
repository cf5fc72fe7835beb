"""Broadcast trees in a network with ghosts: a breadth-first search in the mesh's own order.

Ghosts are leaves: they are reached, but nothing is reached through them, since nobody can tell their kernels
of a change. A ghost can also be a source: its kernel still sends to each of its last known neighbours.
"""

from collections.abc import Mapping
from typing import NamedTuple

from tulle.mesh.peername import PeerName

Edges = Mapping[PeerName, frozenset[PeerName]]


class Search(NamedTuple):
    """What a search from one source found: each peer's parent, and the order in which peers were expanded."""

    parents: Mapping[PeerName, PeerName]
    order: tuple[PeerName, ...]

    def first(self, candidates: frozenset[PeerName]) -> PeerName | None:
        """Which of the candidates is expanded first, and so reaches a leaf that all of them touch."""
        return next((name for name in self.order if name in candidates), None)

    def children(self, name: PeerName) -> list[PeerName]:
        """The peers that are reached through this one, lowest first."""
        return sorted(child for child, parent in self.parents.items() if parent == name and child != name)


def search(edges: Edges, source: PeerName, start: frozenset[PeerName]) -> Search:
    """Search from ``source``, whose neighbours are ``start``; the source is its own parent.

    Each level is expanded in ascending order of names, and a peer belongs to whoever reached it first.
    """
    parents = {source: source}
    order = [source]
    level = [source]
    while level:
        following: list[PeerName] = []
        for name in level:
            found = start if name == source else edges.get(name, frozenset())
            for other in sorted(found - parents.keys()):
                parents[other] = name
                following.append(other)
        level = sorted(following)
        order += level
    return Search(parents, tuple(order))
