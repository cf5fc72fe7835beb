"""From what the mesh knows to what the data path does: routes and broadcast trees, ghosts included.

For live peers the mesh's own routes hold. Ghosts (see there) are added as leaves. Who feeds a ghost the
broadcasts of a source must be the peer that its kernel, which knows nothing newer, takes them from: the
source itself if the two were connected, otherwise the neighbour that a search from the source comes to
first. Everybody computes the same, so it is one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tulle.datapath.ghosts import Ghost, Ghosts
from tulle.datapath.parents import Parents
from tulle.datapath.spanning import Edges, Levels, Web
from tulle.datapath.tables import MAX_CHILDREN, Hop, HopId, ShortId, Tables, Tree
from tulle.instant import Instant
from tulle.mesh.peername import PeerName
from tulle.mesh.places import Place


class Routing(Protocol):
    """The part of the mesh's routes that frames follow; all over connections established at both ends."""

    @property
    def unicast(self) -> Mapping[PeerName, PeerName]:
        """Next hop to every other peer."""

    def place(self, source: PeerName) -> Place:
        """From which neighbour we take what ``source`` broadcasts, and to whom we pass it."""


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
        self._web = Web({}, ())

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
        self._web = self._web.of(picture.claims, reachable if self._ghosts.known else ())
        self._tables = build(picture, self.ghosts(), self._web, self._tables.self_id)
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


def build(
    picture: MeshPicture, ghosts: tuple[Ghost, ...], web: Web, old_self: ShortId | None = None
) -> Tables:
    """The tables for a picture and the ghosts beside it, if any with the web of all others' connections.

    ``old_self``: our id in what ghosts remember.
    """
    return _Builder(picture, ghosts, web, old_self).tables()


class _Builder:
    def __init__(
        self, picture: MeshPicture, ghosts: tuple[Ghost, ...], web: Web, old_self: ShortId | None
    ) -> None:
        self._picture = picture
        self._ghosts = ghosts
        self._old_self = old_self
        live = {*picture.routes.unicast, picture.me}
        self._ids = {name: one for name, one in picture.short_ids.items() if name in live}
        self._web = web
        self._leaves = self._find_leaves()
        self._trees: dict[Place, Tree | None] = {}

    def tables(self) -> Tables:
        trees = {one: tree for name, one in self._ids.items() if (tree := self._live_tree(name)) is not None}
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
        nearest = self._web.first(self._web.levels(self._picture.me), ghost.neighbours)
        via = None if nearest is None else self._picture.routes.unicast.get(nearest)
        return self._picture.hops.get(via, ghost.route) if via is not None else ghost.route

    # Trees

    def _live_tree(self, source: PeerName) -> Tree | None:
        place = self._picture.routes.place(source)
        if place.parent is None and source != self._picture.me:
            return None
        if place not in self._trees:
            self._trees[place] = self._plain_tree(*place)
        tree, leaves = self._trees[place], self._leaves.get(source)
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

    def _find_leaves(self) -> dict[PeerName, list[tuple[ShortId, Hop]]]:
        """By source: the ghosts to which it is for us to send what the source broadcasts."""
        leaves: dict[PeerName, list[tuple[ShortId, Hop]]] = {}
        for ghost in self._ghosts:
            if ghost.direct is not None:
                for source in self._fed(ghost):
                    leaves.setdefault(source, []).append((ghost.short_id, ghost.direct))
        return leaves

    def _fed(self, ghost: Ghost) -> Iterable[PeerName]:
        me = self._picture.me
        if ghost.name is None:
            ids = {**self._ids, me: self._old_self}
            return [source for source, one in ids.items() if one in ghost.fed]
        led = self._web.led_by(me, ghost.neighbours) - ghost.neighbours
        return led | (ghost.neighbours & {me})

    def _ghost_tree(self, ghost: Ghost) -> Tree | None:
        """Our place in the tree of a vanished source: anew where live peers hang on it, else as it was."""
        picture = self._picture
        start = self._web.among(ghost.neighbours)
        if ghost.name is None or not start:
            return ghost.tree
        levels = self._web.levels_beyond(start)
        parent = self._web.parent(levels, picture.me)
        if parent is None:
            above = ghost.direct if picture.me in start else None
        else:
            above = picture.hops.get(parent)
        if above is None:
            return None
        children = [
            (self._ids[child], picture.hops[child])
            for child in self._web.children(levels, picture.me)
            if child in self._ids and child in picture.hops
        ]
        leaves = [
            (other.short_id, other.direct)
            for other in self._ghosts
            if other.direct is not None and self._feeds_from_ghost(ghost, levels, other)
        ]
        return Tree(above.id, _distinct([*children, *leaves], above.id))

    def _feeds_from_ghost(self, source: Ghost, levels: Levels, leaf: Ghost) -> bool:
        """The same where the source is a ghost as well; connected ghosts feed each other by themselves."""
        if leaf is source or leaf.name is None or source.name in leaf.neighbours:
            return False
        return self._web.first(levels, leaf.neighbours) == self._picture.me


def _distinct(children: list[tuple[ShortId, Hop]], parent: HopId | None) -> tuple[tuple[ShortId, Hop], ...]:
    """One copy to each neighbour, and none back; as many as the kernel's trees hold."""
    by_id: dict[HopId, tuple[ShortId, Hop]] = {}
    for child in children:
        if child[1].id != parent:
            by_id.setdefault(child[1].id, child)
    return tuple(sorted(by_id.values(), key=lambda child: child[0])[:MAX_CHILDREN])
