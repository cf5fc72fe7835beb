"""Peers that vanished from the mesh while their kernels may go on carrying frames.

When a daemon dies or is restarted its host's containers keep talking, as long as the others keep sending to
them. So a peer that cannot be reached any more is remembered as a ghost: with what was last known of it,
until its kernel has not answered an echo for a minute, somebody removes it, or its short id belongs to
somebody else. A daemon that starts anew finds the tables that its predecessor left; what they say of peers
that it has not met yet is kept as ghosts too, without names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tulle.datapath.tables import Hop, ShortId, Tables, Tree
from tulle.mesh.peername import PeerName

LIFETIME = 60.0
"""Seconds without an answer after which a ghost is given up."""


@dataclass(slots=True)
class Ghost:
    """What is remembered of a vanished peer.

    ``name`` is None if only an earlier daemon's tables speak of it. ``neighbours`` were connected to it,
    ``direct`` is its own address if we were. ``route`` and ``tree`` were last used for it. ``fed``: the
    sources whose broadcasts we sent it, where only the tables know.
    """

    short_id: ShortId
    name: PeerName | None
    heard: float
    neighbours: frozenset[PeerName] = frozenset()
    direct: Hop | None = None
    route: Hop | None = None
    tree: Tree | None = None
    fed: frozenset[ShortId] = frozenset()


@dataclass(slots=True)
class Ghosts:
    """All ghosts, by short id. Times are monotonic seconds."""

    known: dict[ShortId, Ghost] = field(default_factory=dict)

    @classmethod
    def adopted(cls, tables: Tables, now: float) -> "Ghosts":
        """What the tables of an earlier daemon say of others, as ghosts without names."""
        ids = {*tables.routes, *tables.direct, *tables.trees} - {tables.self_id}
        fed: dict[ShortId, set[ShortId]] = {}
        for source, tree in tables.trees.items():
            for child, _ in tree.children:
                fed.setdefault(child, set()).add(source)
        return cls(
            {
                one: Ghost(
                    short_id=one,
                    name=None,
                    heard=now,
                    direct=tables.direct.get(one),
                    route=tables.routes.get(one),
                    tree=tables.trees.get(one),
                    fed=frozenset(fed.get(one, ())),
                )
                for one in ids
            }
        )

    def answered(self, short_id: ShortId, now: float) -> None:
        """Its kernel lives."""
        if short_id in self.known:
            self.known[short_id].heard = now

    def forget(self, name: PeerName) -> bool:
        """Somebody says that this peer is gone for good."""
        return self._drop([one for one, ghost in self.known.items() if ghost.name == name])

    def expire(self, now: float) -> bool:
        """Give up those that were silent too long; whether there were any."""
        return self._drop([one for one, ghost in self.known.items() if now >= ghost.heard + LIFETIME])

    def settle(self, owners: Mapping[ShortId, PeerName], reachable: frozenset[PeerName]) -> None:
        """Drop ghosts that are back, and those whose short id has another owner now."""
        self._drop([one for one, ghost in self.known.items() if _is_over(ghost, owners.get(one), reachable)])

    def drop_distant_strangers(self) -> None:
        """Drop those that only an earlier daemon's tables speak of and that were reached over relays.

        The relays have new tables now. What an old table says of a way through them may lead in a circle.
        """
        self._drop([one for one, ghost in self.known.items() if ghost.name is None and ghost.direct is None])

    def next_expiry(self) -> float:
        """When the next one would be given up."""
        return min((ghost.heard + LIFETIME for ghost in self.known.values()), default=float("inf"))

    def _drop(self, doomed: list[ShortId]) -> bool:
        for one in doomed:
            del self.known[one]
        return bool(doomed)


def _is_over(ghost: Ghost, owner: PeerName | None, reachable: frozenset[PeerName]) -> bool:
    if ghost.name in reachable or owner in reachable:
        return True
    return ghost.name is not None and owner is not None and owner != ghost.name
