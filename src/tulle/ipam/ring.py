"""The ring: who owns which part of the address range, as a value.

The range is cut into arcs by sorted *tokens*. The arc of a token reaches to the next token (from the last one
round to the first) and belongs to the peer named in the token's entry. Only the owner changes an entry, and
raises its version when it does, so of two versions the higher is the news. Tokens are never removed.

Rings are immutable; every change is a new ring. Addresses are ints, ends are exclusive.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from ipaddress import IPv4Address
from typing import NamedTuple

from tulle.mesh.peername import PeerName

TAKEOVER_STEP = 100
"""How far a transfer without the owner's consent raises versions, to outrun what the owner did meanwhile."""

MAX_VERSION = 0xFFFF_FFFF

MAX_ENTRIES = 1 << 17
"""Rings longer than this are refused: nobody divides a range like that, and every peer has to hold it."""


class Range(NamedTuple):
    """Addresses from ``start`` up to but not including ``end``."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """How many addresses there are in it."""
        return self.end - self.start

    def __contains__(self, address: object) -> bool:
        return isinstance(address, int) and self.start <= address < self.end

    def __str__(self) -> str:
        return f"{IPv4Address(self.start)}-{IPv4Address(self.end - 1)}"

    def clip(self, other: "Range") -> "Range":
        """The part inside ``other``; its size is <= 0 when there is none."""
        return Range(max(self.start, other.start), min(self.end, other.end))


@dataclass(frozen=True, slots=True)
class Entry:
    """One token. ``free`` is the owner's last word on unused addresses in the arc: a hint for askers."""

    token: int
    peer: PeerName
    version: int
    free: int

    def raised(self, by: int = 1) -> "Entry":
        """The same entry at a higher version, to say that something about it is new."""
        return replace(self, version=min(self.version + by, MAX_VERSION))


class Arc(NamedTuple):
    """An entry with the plain ranges its arc covers: two where it passes the end of the range."""

    entry: Entry
    ranges: tuple[Range, ...]


class RingInvalid(Exception):
    """Entries that are not a ring; the text says which rule they break."""


@dataclass(frozen=True)
class Ring:
    """Owners of ``[start, end)``. No entries means: nobody has divided it yet.

    ``seeds`` are the peers the range was first divided among. Two rings with different seeds were made
    independently and can never be merged.
    """

    start: int
    end: int
    entries: tuple[Entry, ...] = ()
    seeds: tuple[PeerName, ...] = ()

    @property
    def range(self) -> Range:
        """The whole range the ring divides."""
        return Range(self.start, self.end)

    @cached_property
    def tokens(self) -> list[int]:
        """All tokens, ascending."""
        return [entry.token for entry in self.entries]

    @cached_property
    def digest(self) -> bytes:
        """A few bytes that are the same for equal rings only."""
        entries = [(entry.token, entry.peer, entry.version, entry.free) for entry in self.entries]
        return blake2b(repr((self.start, self.end, self.seeds, entries)).encode(), digest_size=16).digest()

    @cached_property
    def owners(self) -> frozenset[PeerName]:
        """Every peer that owns something."""
        return frozenset(entry.peer for entry in self.entries)

    def distance(self, index: int) -> int:
        """How many addresses the arc of entry ``index`` has."""
        entry = self.entries[index]
        if index + 1 < len(self.entries):
            return self.entries[index + 1].token - entry.token
        return self.end - entry.token + self.entries[0].token - self.start

    def check(self) -> None:
        """Raise RingInvalid unless entries are sorted, unique, in range and not freer than their arcs."""
        previous = -1
        for entry in self.entries:
            if entry.token <= previous:
                raise RingInvalid("ring entries are not sorted by token")
            if not self.start <= entry.token < self.end:
                raise RingInvalid(f"ring token {IPv4Address(entry.token)} is outside {self.range}")
            previous = entry.token
        for index, entry in enumerate(self.entries):
            if entry.free > self.distance(index):
                raise RingInvalid(
                    f"ring entry {IPv4Address(entry.token)} reports {entry.free} free addresses"
                    f" of {self.distance(index)}"
                )

    def arcs(self) -> Iterator[Arc]:
        """Entries with what they cover, by token."""
        last = len(self.entries) - 1
        for index, entry in enumerate(self.entries):
            if index < last:
                yield Arc(entry, (Range(entry.token, self.entries[index + 1].token),))
            else:
                tail = Range(entry.token, self.end)
                head = Range(self.start, self.entries[0].token)
                yield Arc(entry, (tail, head) if head.size > 0 else (tail,))

    def index_of(self, address: int) -> int:
        """Which entry's arc holds the address. The ring must not be empty."""
        return (bisect_right(self.tokens, address) - 1) % len(self.entries)

    def owner(self, address: int) -> PeerName | None:
        """Who owns the address; None outside the range or while nobody does."""
        if not self.entries or address not in self.range:
            return None
        return self.entries[self.index_of(address)].peer

    def owned_ranges(self, peer: PeerName) -> list[Range]:
        """What the peer owns, ascending; neighbouring arcs are joined."""
        pieces = sorted(piece for arc in self.arcs() if arc.entry.peer == peer for piece in arc.ranges)
        joined: list[Range] = []
        for piece in pieces:
            if joined and joined[-1].end == piece.start:
                joined[-1] = Range(joined[-1].start, piece.end)
            else:
                joined.append(piece)
        return joined

    def free_by_owner(self, wanted: Range) -> dict[PeerName, int]:
        """For each owner of something in ``wanted``: the free addresses it reports in those arcs."""
        report: dict[PeerName, int] = {}
        for arc in self.arcs():
            if any(piece.clip(wanted).size > 0 for piece in arc.ranges):
                report[arc.entry.peer] = report.get(arc.entry.peer, 0) + arc.entry.free
        return report

    def with_entries(self, entries: Iterable[Entry]) -> "Ring":
        """The same range and seeds with other entries."""
        return replace(self, entries=tuple(entries))

    def claim_for_peers(self, peers: Iterable[PeerName]) -> "Ring":
        """First division: halve range and sorted peers again and again until each has a piece."""
        names = tuple(sorted(set(peers)))
        pieces = _halve(self.range, names)
        return replace(self, entries=tuple(pieces), seeds=names)

    def grant(self, given: Range, to: PeerName) -> "Ring":
        """Make ``to`` the owner of ``given``, which must lie inside arcs of one owner, the caller.

        Existing entries that change are raised; new tokens start at version 0. The giver keeps what is left
        of its arcs on both sides. Free counts are upper bounds that the owners correct later.
        """
        giver = self.entries[self.index_of(given.start)].peer
        entries = {entry.token: entry for entry in self.entries}
        before = self.entries[self.index_of(given.start)]
        if given.start not in entries:
            entries[before.token] = before.raised()
        for entry in self.entries:
            if entry.token in given:
                entries[entry.token] = entry.raised()
        start = entries.get(given.start, Entry(given.start, to, 0, given.size))
        entries[given.start] = start
        for token in [token for token in entries if token in given]:
            entries[token] = replace(entries[token], peer=to)
        if given.end < self.end and given.end not in entries:
            entries[given.end] = Entry(given.end, giver, 0, self.end)
        elif given.end == self.end and self.start not in entries:
            entries[self.start] = Entry(self.start, giver, 0, self.end)
        return self.with_entries(sorted(entries.values(), key=_by_token)).clamped()

    def transfer(self, source: PeerName, to: PeerName) -> "Ring":
        """Everything of ``source`` becomes ``to``'s, by force: ahead of whatever ``source`` may have done."""
        return self.with_entries(
            replace(entry, peer=to).raised(TAKEOVER_STEP) if entry.peer == source else entry
            for entry in self.entries
        )

    def clamped(self, only: PeerName | None = None) -> "Ring":
        """Lower free counts (of one peer, or all) that exceed their arcs, as after an arc was split."""
        return self.with_entries(
            replace(entry, free=min(entry.free, self.distance(index)))
            if entry.free > self.distance(index) and only in (None, entry.peer)
            else entry
            for index, entry in enumerate(self.entries)
        )

    def report_free(self, peer: PeerName, count: Callable[[Range], int]) -> "Ring":
        """Bring the peer's free counts up to date; entries that were wrong are raised."""
        return self.with_entries(
            _recount(arc, count) if arc.entry.peer == peer else arc.entry for arc in self.arcs()
        )


def _recount(arc: Arc, count: Callable[[Range], int]) -> Entry:
    free = sum(count(piece) for piece in arc.ranges)
    return arc.entry if free == arc.entry.free else replace(arc.entry, free=free).raised()


def _by_token(entry: Entry) -> int:
    return entry.token


def _halve(space: Range, names: Sequence[PeerName]) -> Iterator[Entry]:
    if len(names) == 1 or space.size < 2:
        yield Entry(space.start, names[0], 0, space.size)
        return
    half, split = space.size // 2, len(names) // 2
    yield from _halve(Range(space.start, space.start + half), names[:split])
    yield from _halve(Range(space.end - half, space.end), names[split:])
