"""Changing from whom broadcasts are taken, without taking one twice.

When the tree of a source changes, a frame may have come from the old parent already while its copy by the new
one is still on the way, slower. So between the two a source's frames are taken from nobody for a moment, as
long as a copy may take. What is sent just then is lost to us, as it may be in any change; but nothing ever
comes twice.
"""

from dataclasses import replace

from tulle.datapath.tables import HopId, ShortId, Tables

HOLD = 0.3
"""Seconds; a copy is on its way for milliseconds, unless a daemon that carries it is very busy."""


class Parents:
    """The last parent in each source's tree, and which have just changed. Times are monotonic seconds."""

    def __init__(self, tables: Tables) -> None:
        self._known = _parents(tables)
        self._until: dict[ShortId, float] = {}
        self._held: tuple[Tables, Tables] | None = None
        """Tables, and what was made of them: many ask between two changes."""

    def changed(self, tables: Tables, now: float) -> None:
        """These are the trees from now on."""
        self._held = None
        for source, parent in _parents(tables).items():
            if self._known.get(source, parent) != parent:
                self._until[source] = now + HOLD
            self._known[source] = parent

    def held(self, tables: Tables) -> Tables:
        """The tables as they are to be used, until what is held is over."""
        if not self._until:
            return tables
        if self._held is None or self._held[0] is not tables:
            self._held = tables, self._without_held(tables)
        return self._held[1]

    def _without_held(self, tables: Tables) -> Tables:
        trees = {
            source: replace(tree, parent=None) if source in self._until else tree
            for source, tree in tables.trees.items()
        }
        return replace(tables, trees=trees)

    def expire(self, now: float) -> bool:
        """Let go what was held long enough; whether there was anything."""
        over = [source for source, until in self._until.items() if until <= now]
        for source in over:
            del self._until[source]
            self._held = None
        return bool(over)

    def next_expiry(self) -> float:
        """When the next is let go."""
        return min(self._until.values(), default=float("inf"))


def _parents(tables: Tables) -> dict[ShortId, HopId]:
    return {source: tree.parent for source, tree in tables.trees.items() if tree.parent is not None}
