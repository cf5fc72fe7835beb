"""Which neighbours have which descriptions of peers, and from whom we have them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile

from tulle.mesh.peername import PeerName


class Knowledge:
    """For each peer the neighbours that have our description of it: they sent it to us, or we to them.

    A set of neighbours is the bits of one integer, so that hundreds of peers times hundreds of neighbours are
    some kilobytes.
    """

    def __init__(self) -> None:
        self._slots: dict[PeerName, int] = {}
        self._having: dict[PeerName, int] = {}

    def neighbour_up(self, neighbour: PeerName) -> None:
        """A new neighbour: we do not know what it has."""
        used = set(self._slots.values())
        self._slots[neighbour] = next(slot for slot in range(len(used) + 1) if slot not in used)

    def neighbour_down(self, neighbour: PeerName) -> frozenset[PeerName]:
        """It is no neighbour any more; returns the peers whose descriptions we thought it has.

        Of one that never became a neighbour, since an error came between, there is nothing to forget: to fail
        here would leave the end of its link half done.
        """
        slot = self._slots.pop(neighbour, None)
        if slot is None:
            return frozenset()
        mask = 1 << slot
        had = frozenset(name for name, having in self._having.items() if having & mask)
        for name in had:
            self._having[name] &= ~mask
        return had

    def renew(self, name: PeerName) -> None:
        """There is a new description of this peer, which nobody has yet."""
        self._having[name] = 0

    def forget(self, names: Iterable[PeerName]) -> None:
        """These peers are gone."""
        for name in names:
            self._having.pop(name, None)

    def note(self, neighbour: PeerName | None, name: PeerName) -> None:
        """This neighbour has our description of ``name``."""
        self._having[name] = self._having.get(name, 0) | self._mask(neighbour)

    def note_all(self, neighbour: PeerName | None, names: Iterable[PeerName]) -> None:
        """This neighbour has our descriptions of all these."""
        mask, having = self._mask(neighbour), self._having
        for name in names:
            having[name] = having.get(name, 0) | mask

    def doubt(self, neighbour: PeerName | None, name: PeerName) -> None:
        """This neighbour has no description of ``name``, whatever we thought."""
        self._having[name] = self._having.get(name, 0) & ~self._mask(neighbour)

    def has(self, neighbour: PeerName | None, name: PeerName) -> bool:
        """Whether this neighbour surely has our description of ``name``."""
        return bool(self._having.get(name, 0) & self._mask(neighbour))

    def lacking(self, neighbour: PeerName | None, names: Iterable[PeerName]) -> list[PeerName]:
        """Those of whom it may not have our description, in the order given."""
        mask, having = self._mask(neighbour), self._having
        return [name for name in names if not having.get(name, 0) & mask]

    def _mask(self, neighbour: PeerName | None) -> int:
        slot = self._slots.get(neighbour) if neighbour is not None else None
        return 0 if slot is None else 1 << slot


@dataclass(frozen=True, slots=True)
class _Source:
    teller: PeerName | None
    at: float


class Hearsay:
    """Who told us our description of each peer, and when.

    Sources stand in order of time, so that what is asked of the last few costs no more than those few.
    """

    def __init__(self) -> None:
        self._sources: dict[PeerName, _Source] = {}

    def note(self, name: PeerName, teller: PeerName | None, mono: float) -> None:
        """``teller`` gave us a new description of ``name``; None if we made it ourselves."""
        self._sources.pop(name, None)
        self._sources[name] = _Source(teller, mono)

    def forget(self, names: Iterable[PeerName]) -> None:
        """These peers are gone."""
        for name in names:
            self._sources.pop(name, None)

    def teller(self, name: PeerName) -> PeerName | None:
        """Who gave us our description of ``name``; None if we made it ourselves."""
        source = self._sources.get(name)
        return source.teller if source else None

    def since(self, mono: float) -> frozenset[PeerName]:
        """Peers with a description that came after this moment."""
        return frozenset(name for name, _ in self._latest(mono))

    def came_after(self, name: PeerName, mono: float) -> bool:
        """Whether our description of ``name`` came after this moment."""
        source = self._sources.get(name)
        return source is not None and source.at > mono

    def told_by(self, teller: PeerName, since: float) -> frozenset[PeerName]:
        """Peers with a description that ``teller`` gave us after this moment."""
        return frozenset(name for name, source in self._latest(since) if source.teller == teller)

    def _latest(self, since: float) -> Iterator[tuple[PeerName, _Source]]:
        return takewhile(lambda item: item[1].at > since, reversed(self._sources.items()))
