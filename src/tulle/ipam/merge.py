"""Merging rings: the repairing way used live, and the strict way of Weave Net as a reference.

**Repairing.** A ring is a map from token to entry, and for each token one entry wins by a total order:

1. the higher version,
2. at equal versions the lower peer name,
3. between copies of one peer's entry the lower free count.

Free counts are then lowered to what their arcs hold, which decides nothing. Tokens are never removed. So
the merge is a join: commutative, associative and idempotent, and peers that have heard the same agree,
whatever happened before. The owner is told of versions it shared with somebody else (``contested``), so
that it can raise its own and convince peers that break such ties differently.

**Strict.** What Weave Net does: it refuses anything that contradicts what this peer owns. Kept so that the
reference vectors pin down what those peers will accept from us.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from tulle.ipam.ring import MAX_ENTRIES, Entry, Range, Ring
from tulle.ipam.terms import OTHER_DIVISION, other_range
from tulle.mesh.peername import PeerName


class RingMismatch(Exception):
    """Two rings that can never be merged; the text says why, and what to do."""


class RingConflict(Exception):
    """An incoming ring that the strict merge refuses."""


class Repaired(NamedTuple):
    """Result of a repairing merge. ``contested``: tokens two peers claimed with the same version."""

    ring: Ring
    contested: frozenset[int]


def check_compatible(mine: Ring, theirs: Ring) -> None:
    """Raise RingMismatch if the rings divide different ranges or were made independently."""
    if mine.range != theirs.range:
        raise RingMismatch(other_range(mine.range, theirs.range))
    if mine.seeds and theirs.seeds and mine.seeds != theirs.seeds:
        raise RingMismatch(OTHER_DIVISION)


def repairing_merge(mine: Ring, theirs: Ring) -> Repaired:
    """Join two rings; see the module text. Raises RingMismatch."""
    check_compatible(mine, theirs)
    if theirs.entries == mine.entries and (mine.seeds or not theirs.seeds):
        return Repaired(mine, frozenset())
    entries = {entry.token: entry for entry in mine.entries}
    contested = set()
    for entry in theirs.entries:
        known = entries.get(entry.token)
        if known is None:
            entries[entry.token] = entry
            continue
        if known.version == entry.version and known.peer != entry.peer:
            contested.add(entry.token)
        entries[entry.token] = max(known, entry, key=_rank)
    if len(entries) > MAX_ENTRIES:
        raise RingMismatch(
            f"its ring and ours together have more than {MAX_ENTRIES} pieces; it is not taken in"
        )
    merged = mine.with_entries(entries[token] for token in sorted(entries)).clamped()
    return Repaired(replace(merged, seeds=mine.seeds or theirs.seeds), frozenset(contested))


def _rank(entry: Entry) -> tuple[int, int, int]:
    return (entry.version, -entry.peer, -entry.free)


def strict_merge(mine: Ring, theirs: Ring, me: PeerName, in_use: Callable[[Range], bool]) -> Ring:
    """Merge as Weave Net does. ``in_use`` says whether we use an address of a range.

    Raises RingMismatch, RingConflict, or RingInvalid when the result breaks the rules of a ring.
    """
    check_compatible(mine, theirs)
    theirs.check()
    merged = mine.with_entries(_StrictWalk(mine, theirs, me, in_use).run()).clamped(only=me)
    merged.check()
    return replace(merged, seeds=mine.seeds or theirs.seeds)


class _StrictWalk:
    """One pass over both entry lists by token."""

    def __init__(self, mine: Ring, theirs: Ring, me: PeerName, in_use: Callable[[Range], bool]) -> None:
        self._mine, self._theirs, self._me, self._in_use = mine, theirs, me, in_use
        self._arcs = list(mine.arcs())
        self._result: list[Entry] = []
        self._previous_owner: PeerName | None = None

    def run(self) -> list[Entry]:
        mine, theirs = self._mine.entries, self._theirs.entries
        i = j = 0
        while i < len(mine) or j < len(theirs):
            if j == len(theirs) or (i < len(mine) and mine[i].token < theirs[j].token):
                self._keep(mine[i])
                i += 1
            elif i == len(mine) or mine[i].token > theirs[j].token:
                self._insert(theirs[j], mine[i].token if i < len(mine) else None)
                j += 1
            else:
                self._same(mine[i], theirs[j], self._arcs[i].ranges)
                i, j = i + 1, j + 1
        return self._result

    def _keep(self, entry: Entry) -> None:
        self._result.append(entry)
        self._previous_owner = entry.peer

    def _take(self, entry: Entry) -> None:
        self._result.append(entry)
        self._previous_owner = None

    def _insert(self, theirs: Entry, next_token: int | None) -> None:
        splits_mine = self._previous_owner == self._me and theirs.peer != self._me
        if splits_mine and (next_token is None or self._in_use(Range(theirs.token, next_token))):
            raise RingConflict(f"peer {theirs.peer} claims a part of a range that is in use here")
        self._take(theirs)

    def _same(self, mine: Entry, theirs: Entry, arc: Sequence[Range]) -> None:
        if mine.version > theirs.version:
            self._keep(mine)
        elif mine.version == theirs.version:
            self._same_version(mine, theirs, arc)
        elif mine.peer != self._me:
            self._take(theirs)
        elif theirs.peer == self._me:
            self._keep(replace(mine, version=theirs.version + 1))
        elif any(map(self._in_use, arc)):
            raise RingConflict(f"a newer owner of the range at {theirs.token}, which is in use here")
        else:
            self._take(theirs)

    def _same_version(self, mine: Entry, theirs: Entry, arc: Sequence[Range]) -> None:
        if mine.peer != theirs.peer and mine.peer == self._me and any(map(self._in_use, arc)):
            raise RingConflict(f"another owner of the range at {theirs.token} with the same version")
        if mine.peer != theirs.peer and theirs.free > mine.free:
            self._take(theirs)
        else:
            self._keep(mine)
