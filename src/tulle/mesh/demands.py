"""Who is to be told, or to tell us, whole descriptions instead of what changed in them (``changes``)."""

from collections.abc import Iterable, Set

from tulle.mesh.peername import PeerName
from tulle.mesh.topology import MAX_PEERS

_NOBODY: frozenset[PeerName] = frozenset()


class Demands:
    """For each neighbour the peers of whom it needs the whole, and those of whom we do."""

    def __init__(self) -> None:
        self._theirs: dict[PeerName, set[PeerName]] = {}
        self._ours: dict[PeerName, set[PeerName]] = {}

    def asked_by(self, neighbour: PeerName, names: Iterable[PeerName]) -> None:
        """This neighbour has nothing that changes of these peers would fit."""
        self._theirs.setdefault(neighbour, set()).update(names)

    def needs(self, neighbour: PeerName) -> Set[PeerName]:
        """The peers of whom this neighbour is to be told the whole."""
        return self._theirs.get(neighbour, _NOBODY)

    def met(self, neighbour: PeerName, names: Iterable[PeerName]) -> None:
        """It was told all about these."""
        self._theirs.get(neighbour, set()).difference_update(names)

    def miss(self, neighbour: PeerName, names: Iterable[PeerName]) -> bool:
        """This neighbour told changes of these peers that fit nothing we have; whether to ask it."""
        asking = self._ours.get(neighbour, set()).union(names)
        if not asking or len(asking) > MAX_PEERS:
            return False
        self._ours[neighbour] = asking
        return True

    def take(self, neighbour: PeerName | None) -> frozenset[PeerName]:
        """Whom this neighbour is to be asked for now."""
        return frozenset(self._ours.pop(neighbour, ())) if neighbour is not None else _NOBODY

    def neighbour_down(self, neighbour: PeerName) -> None:
        """It is no neighbour any more."""
        self._theirs.pop(neighbour, None)
        self._ours.pop(neighbour, None)

    def forget(self, names: Set[PeerName]) -> None:
        """These peers are gone."""
        for wanted in (*self._theirs.values(), *self._ours.values()):
            wanted -= names
