"""From what the mesh knows to what the data path does: routes and broadcast trees, ghosts included.

For live peers the mesh's own routes hold. Ghosts (see there) are added as leaves. Who feeds a ghost the
broadcasts of a source must be the peer that its kernel, which knows nothing newer, takes them from: the
source itself if the two were connected, otherwise the neighbour that a search from the source comes to
first. Everybody computes the same, so it is one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tulle.datapath.ghosts import Ghost, Ghosts
from tulle.datapath.parents import Parents
from tulle.datapath.spanning import Edges, Search, search
from tulle.datapath.tables import MAX_CHILDREN, Hop, HopId, ShortId, Tables, Tree
from tulle.instant import Instant
from tulle.mesh.peername import PeerName


class Routing(Protocol):
    """The part of the mesh's routes that frames follow; all over connections established at both ends."""

    @property
    def unicast(self) -> Mapping[PeerName, PeerName]:
        """Next hop to every other peer."""

    def broadcast(self, source: PeerName) -> tuple[PeerName, ...]:
        """The neighbours to which we pass what ``source`` broadcasts."""

    def parent(self, source: PeerName) -> PeerName | None:
        """The neighbour from which it comes to us."""


@dataclass(frozen=True, slots=True)
class MeshPicture:
    """What the mesh knows at one moment, as far as frames are concerned.

    ``short_ids`` has one owner per id: the peer with the lowest name. ``claims`` are the established
    connections of each peer as it says itself: what a dead daemon last said of its own is what its kernel
    still acts by. ``hops`` are our established neighbours, ``direct`` all neighbours that have a link and may
    be sent frames in the clear. ``lingering`` are hops to former neighbours, better for a moment than any
    detour the mesh believes in. ``shortcuts`` are ways to peers that are no neighbours: frames for such a
    peer itself take them, broadcasts do not.
    """

    me: PeerName
    short_ids: Mapping[PeerName, ShortId]
    claims: Edges
    routes: Routing
    hops: Mapping[PeerName, Hop]
    direct: Mapping[PeerName, Hop]
    lingering: Mapping[PeerName, Hop] = field(default_factory=dict)
    shortcuts: Mapping[PeerName, Hop] = field(default_factory=dict)

    def way(self, peer: PeerName, via: PeerName) -> Hop | None:
        """How frames for this peer leave, where the mesh would send them to the neighbour ``via``."""
        if peer in self.lingering:
            return self.lingering[peer]
        if via != peer and peer in self.shortcuts:
            return self.shortcuts[peer]
        return self.hops.get(via)


@dataclass(frozen=True, slots=True)
class _Memory:
    """The picture before, for those that vanish; ``direct`` also has links that were lost shortly before."""

    reachable: frozenset[PeerName] = frozenset()
    short_ids: Mapping[PeerName, ShortId] = field(default_factory=dict)
    claims: Edges = field(default_factory=dict)
    direct: Mapping[PeerName, Hop] = field(default_factory=dict)


class Forwarding:
    """Keeps the tables, and the ghosts in them. ``adopted`` is what an earlier daemon left in the kernel."""

    def __init__(self, now: Instant, adopted: Tables | None = None) -> None:
        self._tables = adopted or Tables()
        self._parents = Parents(self._tables)
        self._ghosts = Ghosts.adopted(self._tables, now.mono)
        self._last = _Memory()

    @property
    def tables(self) -> Tables:
        """The tables as last computed; while a parent changes its source's frames are taken from nobody."""
        return self._parents.held(self._tables)

    def update(self, picture: MeshPicture, now: Instant) -> Tables:
        """The tables for this picture. Who could be reached in the last one and no more becomes a ghost."""
        reachable = frozenset(picture.routes.unicast) | {picture.me}
        self._haunt(reachable, picture.me, now.mono)
        direct = {name: hop for name, hop in self._last.direct.items() if name in reachable}
        self._last = _Memory(reachable, picture.short_ids, picture.claims, {**direct, **picture.direct})
        self._ghosts.settle({one: name for name, one in picture.short_ids.items()}, reachable)
        if len(reachable) > 1:
            self._ghosts.drop_distant_strangers()
        self._tables = build(picture, self.ghosts(), self._tables.self_id)
        self._parents.changed(self._tables, now.mono)
        return self.tables

    def answered(self, short_id: ShortId, now: Instant) -> None:
        """A ghost's kernel has answered."""
        self._ghosts.answered(short_id, now.mono)

    def forget(self, peer: PeerName) -> bool:
        """Somebody has removed this peer for good; True if the tables are to be computed anew."""
        return self._ghosts.forget(peer)

    def expire(self, now: Instant) -> bool:
        """Give up silent ghosts, and end what was held; True if the tables are to be computed anew."""
        return self._ghosts.expire(now.mono) | self._parents.expire(now.mono)

    def next_deadline(self) -> float:
        """When ``expire`` has something to do."""
        return min(self._ghosts.next_expiry(), self._parents.next_expiry())

    def ghosts(self) -> tuple[Ghost, ...]:
        """For status pages, and to ask whether they live."""
        return tuple(self._ghosts.known.values())

    def watched(self) -> dict[ShortId, bool]:
        """Whom to ask: short id, and whether over relays because we were not connected."""
        return {ghost.short_id: ghost.direct is None for ghost in self.ghosts()}

    def _haunt(self, reachable: frozenset[PeerName], me: PeerName, now: float) -> None:
        last = self._last
        for name in sorted(last.reachable - reachable - {me}):
            short_id = last.short_ids.get(name)
            if short_id is None or short_id in self._ghosts.known:
                continue
            claims = last.claims.get(name, frozenset())
            self._ghosts.known[short_id] = Ghost(
                short_id=short_id,
                name=name,
                heard=now,
                neighbours=claims,
                direct=last.direct.get(name) if me in claims else None,
                route=self._tables.routes.get(short_id),
                tree=self._tables.trees.get(short_id),
            )


def build(picture: MeshPicture, ghosts: tuple[Ghost, ...], old_self: ShortId | None = None) -> Tables:
    """The tables for a picture and the ghosts beside it. ``old_self``: our id in what ghosts remember."""
    return _Builder(picture, ghosts, old_self).tables()


class _Builder:
    def __init__(self, picture: MeshPicture, ghosts: tuple[Ghost, ...], old_self: ShortId | None) -> None:
        self._picture = picture
        self._ghosts = ghosts
        self._old_self = old_self
        live = {*picture.routes.unicast, picture.me}
        self._ids = {name: one for name, one in picture.short_ids.items() if name in live}
        self._edges = _mutual(picture.claims, live) if ghosts else {}
        self._searches: dict[PeerName, Search] = {}
        self._trees: dict[tuple[PeerName | None, tuple[PeerName, ...]], Tree | None] = {}

    def tables(self) -> Tables:
        trees = {self._ids[name]: tree for name in self._ids if (tree := self._live_tree(name)) is not None}
        trees.update({ghost.short_id: tree for ghost in self._ghosts if (tree := self._ghost_tree(ghost))})
        return Tables(self._ids.get(self._picture.me), self._direct(), self._routes(), trees)

    def _direct(self) -> dict[ShortId, Hop]:
        picture = self._picture
        found = {ghost.short_id: ghost.direct for ghost in self._ghosts if ghost.direct is not None}
        for name, hop in picture.direct.items():
            if name in picture.short_ids:
                found[picture.short_ids[name]] = hop
        return found

    def _routes(self) -> dict[ShortId, Hop]:
        picture = self._picture
        routes = {}
        for name, via in picture.routes.unicast.items():
            hop = picture.way(name, via)
            if name in self._ids and hop is not None:
                routes[self._ids[name]] = hop
        for ghost in self._ghosts:
            hop = self._ghost_route(ghost)
            if hop is not None:
                routes[ghost.short_id] = hop
        return routes

    def _ghost_route(self, ghost: Ghost) -> Hop | None:
        if ghost.name is None:
            return ghost.route
        if ghost.name in self._picture.shortcuts:
            return self._picture.shortcuts[ghost.name]
        if ghost.direct is not None:
            return ghost.direct
        nearest = self._search(self._picture.me).first(ghost.neighbours)
        via = None if nearest is None else self._picture.routes.unicast.get(nearest)
        return self._picture.hops.get(via, ghost.route) if via is not None else ghost.route

    # Trees

    def _live_tree(self, source: PeerName) -> Tree | None:
        picture = self._picture
        parent = None if source == picture.me else picture.routes.parent(source)
        if parent is None and source != picture.me:
            return None
        place = parent, picture.routes.broadcast(source)
        if place not in self._trees:
            self._trees[place] = self._plain_tree(*place)
        tree = self._trees[place]
        leaves = [
            (ghost.short_id, ghost.direct)
            for ghost in self._ghosts
            if ghost.direct is not None and self._feeds(source, ghost)
        ]
        if tree is None or not leaves:
            return tree
        return Tree(tree.parent, _distinct([*tree.children, *leaves], tree.parent))

    def _plain_tree(self, parent: PeerName | None, children: tuple[PeerName, ...]) -> Tree | None:
        """Of a source that has this place in the mesh: hundreds of them share a few."""
        picture = self._picture
        if parent is not None and parent not in picture.hops:
            return None
        above = None if parent is None else picture.hops[parent].id
        below = [
            (self._ids[child], picture.hops[child])
            for child in children
            if child in self._ids and child in picture.hops
        ]
        return Tree(above, _distinct(below, above))

    def _feeds(self, source: PeerName, ghost: Ghost) -> bool:
        """Whether it is for us to send this ghost what the source broadcasts."""
        if ghost.name is None:
            source_id = self._old_self if source == self._picture.me else self._ids[source]
            return source_id in ghost.fed
        if source in ghost.neighbours:
            return source == self._picture.me
        return self._search(source).first(ghost.neighbours) == self._picture.me

    def _ghost_tree(self, ghost: Ghost) -> Tree | None:
        """Our place in the tree of a vanished source: anew where live peers hang on it, else as it was."""
        picture = self._picture
        start = ghost.neighbours & self._edges.keys()
        if ghost.name is None or not start:
            return ghost.tree
        found = search(self._edges, ghost.name, start)
        parent = found.parents.get(picture.me)
        if parent is None:
            return None
        above = ghost.direct if parent == ghost.name else picture.hops.get(parent)
        if above is None:
            return None
        children = [
            (self._ids[child], picture.hops[child])
            for child in found.children(picture.me)
            if child in self._ids and child in picture.hops
        ]
        leaves = [
            (other.short_id, other.direct)
            for other in self._ghosts
            if other.direct is not None and self._feeds_from_ghost(ghost, found, other)
        ]
        return Tree(above.id, _distinct([*children, *leaves], above.id))

    def _feeds_from_ghost(self, source: Ghost, found: Search, leaf: Ghost) -> bool:
        """The same where the source is a ghost as well; connected ghosts feed each other by themselves."""
        if leaf is source or leaf.name is None or source.name in leaf.neighbours:
            return False
        return found.first(leaf.neighbours) == self._picture.me

    def _search(self, source: PeerName) -> Search:
        if source not in self._searches:
            start = self._edges.get(source, frozenset())
            self._searches[source] = search(self._edges, source, start)
        return self._searches[source]


def _mutual(claims: Edges, live: set[PeerName]) -> dict[PeerName, frozenset[PeerName]]:
    """The connections that both ends claim, among live peers."""
    nothing: frozenset[PeerName] = frozenset()
    return {
        name: frozenset(
            other for other in claims.get(name, nothing) & live if name in claims.get(other, nothing)
        )
        for name in live
    }


def _distinct(children: list[tuple[ShortId, Hop]], parent: HopId | None) -> tuple[tuple[ShortId, Hop], ...]:
    """One copy to each neighbour, and none back; as many as the kernel's trees hold."""
    by_id: dict[HopId, tuple[ShortId, Hop]] = {}
    for child in children:
        if child[1].id != parent:
            by_id.setdefault(child[1].id, child)
    return tuple(sorted(by_id.values(), key=lambda child: child[0])[:MAX_CHILDREN])
