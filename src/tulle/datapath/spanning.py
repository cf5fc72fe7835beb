"""Broadcast trees in a network with ghosts: breadth-first searches in the mesh's own order.

Ghosts are leaves: they are reached, but nothing is reached through them, since nobody can tell their kernels
of a change. A ghost can also be a source: its kernel still sends to each of its last known neighbours.

In a search each level is expanded in ascending order of names, and a peer belongs to whoever reached it
first: the lowest of its neighbours one level nearer to the source. So levels say everything, as sets of bits
in which a lower bit is a lower name.
"""

from collections.abc import Collection, Iterable, Mapping, Set
from itertools import pairwise

from tulle.mesh.graph import bits
from tulle.mesh.peername import PeerName

Edges = Mapping[PeerName, frozenset[PeerName]]
Levels = list[int]
"""The peers at each distance from where a search began."""


class Web:
    """The connections that both ends claim, among ``live`` peers. It remembers what was searched for."""

    def __init__(self, claims: Edges, live: Collection[PeerName]) -> None:
        self._claims = claims
        self._names = sorted(live)
        self._bit = {name: bit for bit, name in enumerate(self._names)}
        self._masks: dict[frozenset[PeerName], int] = {}
        self._levels: dict[int, Levels] = {}
        self._led: dict[tuple[PeerName, int], frozenset[PeerName]] = {}
        claimed = [self._mask(claims.get(name, ())) for name in self._names]
        self._edges = [
            sum(1 << other for other in bits(mask) if claimed[other] >> bit & 1)
            for bit, mask in enumerate(claimed)
        ]

    def of(self, claims: Edges, live: Collection[PeerName]) -> "Web":
        """The web of these: this one, if nothing has changed."""
        same = self._bit.keys() == set(live) and (not live or self._claims == claims)
        return self if same else Web(claims, live)

    def among(self, names: Iterable[PeerName]) -> frozenset[PeerName]:
        """Those that are live."""
        return frozenset(name for name in names if name in self._bit)

    def levels(self, source: PeerName) -> Levels:
        """A search from a live peer."""
        return self._searched(1 << self._bit[source])

    def levels_beyond(self, start: Iterable[PeerName]) -> Levels:
        """A search from a ghost, whose neighbours are ``start``; it has no level of its own."""
        return self._searched(self._mask(start))

    def first(self, levels: Levels, candidates: Iterable[PeerName]) -> PeerName | None:
        """Which of the candidates is expanded first, and so reaches a leaf that all of them touch."""
        wanted = self._mask(candidates)
        return self._lowest(next((level & wanted for level in levels if level & wanted), 0))

    def parent(self, levels: Levels, name: PeerName) -> PeerName | None:
        """Through which peer this one is reached; None if by the source itself, or not at all."""
        bit = self._bit[name]
        nearer = 0
        for level in levels:
            if level >> bit & 1:
                return self._lowest(nearer & self._edges[bit])
            nearer = level
        return None

    def children(self, levels: Levels, name: PeerName) -> list[PeerName]:
        """The peers that are reached through this one, lowest first."""
        bit = self._bit[name]
        for level, farther in pairwise(levels):
            if level >> bit & 1:
                found = bits(farther & self._edges[bit])
                return [self._names[one] for one in found if _low(level & self._edges[one]) == 1 << bit]
        return []

    def led_by(self, name: PeerName, candidates: Set[PeerName]) -> frozenset[PeerName]:
        """The sources in whose searches this candidate is expanded before all others."""
        key = name, self._mask(candidates)
        if key not in self._led:
            self._led[key] = self._find_led(name, candidates) if name in candidates else frozenset()
        return self._led[key]

    def _find_led(self, name: PeerName, candidates: Set[PeerName]) -> frozenset[PeerName]:
        rivals = [(other < name, self.levels(other)) for other in self.among(candidates) - {name}]
        led = 0
        nearest = [0] * len(rivals)
        for distance, level in enumerate(self.levels(name)):
            ours = level
            for number, (before_us, levels) in enumerate(rivals):
                at_it = levels[distance] if distance < len(levels) else 0
                ours &= ~(nearest[number] | (at_it if before_us else 0))
                nearest[number] |= at_it
            led |= ours
        return frozenset(self._names[bit] for bit in bits(led))

    def _mask(self, names: Iterable[PeerName]) -> int:
        chosen = frozenset(names)
        mask = self._masks.get(chosen)
        if mask is None:
            mask = self._masks[chosen] = sum(1 << self._bit[name] for name in chosen if name in self._bit)
        return mask

    def _lowest(self, mask: int) -> PeerName | None:
        return self._names[next(bits(mask))] if mask else None

    def _searched(self, start: int) -> Levels:
        levels = self._levels.get(start)
        if levels is None:
            levels = self._levels[start] = self._search(start)
        return levels

    def _search(self, start: int) -> Levels:
        edges, levels, reached, frontier = self._edges, [], 0, start
        while frontier:
            levels.append(frontier)
            reached |= frontier
            found = 0
            for bit in bits(frontier):
                found |= edges[bit]
            frontier = found & ~reached
        return levels


def _low(mask: int) -> int:
    return mask & -mask
