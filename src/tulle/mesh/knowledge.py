"""Which neighbours have which descriptions of peers, and from whom we have them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile

from tulle.mesh.peername import PeerName

_EARLIER = 8
"""Versions of one description that are remembered at most, besides the newest."""


class Knowledge:
    """For each peer the neighbours that have our description of it: they sent it to us, or we to them.

    Of the others it is remembered which earlier version they had last, unless that is many versions ago.
    A set of neighbours is the bits of one integer, so that hundreds of peers times hundreds of neighbours are
    some kilobytes.
    """

    def __init__(self) -> None:
        self._slots: dict[PeerName, int] = {}
        self._having: dict[PeerName, int] = {}
        self._current: dict[PeerName, tuple[int, int]] = {}
        self._earlier: dict[PeerName, list[tuple[int, int]]] = {}

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
        for name in self._earlier:
            self._strip(name, mask)
        return had

    def renew(self, name: PeerName, uid: int, version: int) -> None:
        """There is a new description of this peer, which nobody has yet."""
        having, self._having[name] = self._having.get(name, 0), 0
        before, self._current[name] = self._current.get(name), (uid, version)
        if before is None or before[0] != uid:
            self._earlier.pop(name, None)
        elif having and before[1] != version:
            self._strip(name, having)
            self._remember(name, before[1], having)

    def earlier(self, neighbour: PeerName | None, name: PeerName) -> int | None:
        """Which earlier version of the description of ``name`` this neighbour has; None if we cannot tell."""
        mask = self._mask(neighbour)
        return next((version for version, had in self._earlier.get(name, ()) if had & mask), None)

    def note_earlier(self, neighbour: PeerName, name: PeerName, version: int) -> None:
        """This neighbour showed that it has this version of the description of ``name``, not ours."""
        if not self.has(neighbour, name) and (self.earlier(neighbour, name) or -1) < version:
            mask = self._mask(neighbour)
            self._strip(name, mask)
            self._remember(name, version, mask)

    def forget(self, names: Iterable[PeerName]) -> None:
        """These peers are gone."""
        for name in names:
            self._having.pop(name, None)
            self._current.pop(name, None)
            self._earlier.pop(name, None)

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
        mask = self._mask(neighbour)
        self._having[name] = self._having.get(name, 0) & ~mask
        self._strip(name, mask)

    def has(self, neighbour: PeerName | None, name: PeerName) -> bool:
        """Whether this neighbour surely has our description of ``name``."""
        return bool(self._having.get(name, 0) & self._mask(neighbour))

    def lacking(self, neighbour: PeerName | None, names: Iterable[PeerName]) -> list[PeerName]:
        """Those of whom it may not have our description, in the order given."""
        mask, having = self._mask(neighbour), self._having
        return [name for name in names if not having.get(name, 0) & mask]

    def _remember(self, name: PeerName, version: int, neighbours: int) -> None:
        known = dict(self._earlier.get(name, ()))
        known[version] = known.get(version, 0) | neighbours
        self._earlier[name] = sorted(known.items())[-_EARLIER:]

    def _strip(self, name: PeerName, mask: int) -> None:
        """Of these neighbours we no longer say that they have an earlier version."""
        entries = self._earlier.get(name)
        if entries:
            left = ((version, had & ~mask) for version, had in entries)
            self._earlier[name] = [entry for entry in left if entry[1]]

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
