"""The addresses this peer may hand out, and those in use here.

Kept as sorted runs of free addresses inside the owned ranges, so taking the first free address costs a binary
search however many addresses are in use. Addresses in use are remembered apart from ownership: a range can be
lost and come back while its addresses stay in use.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator

from tulle.ipam.ring import Range


class Space:
    """Owned ranges, addresses in use, and the free runs that follow from both."""

    def __init__(self) -> None:
        self._owned: list[Range] = []
        self._used: list[int] = []
        self._starts: list[int] = []
        self._ends: list[int] = []

    @property
    def owned(self) -> tuple[Range, ...]:
        """What is owned: ascending, apart from each other."""
        return tuple(self._owned)

    def own(self, ranges: Iterable[Range]) -> tuple[list[Range], list[Range]]:
        """Set what is owned (ascending, apart). Returns what was gained and what was lost."""
        wanted = list(ranges)
        gained, lost = subtract(wanted, self._owned), subtract(self._owned, wanted)
        for piece in lost:
            self._remove_free(piece)
        self._owned = wanted
        for piece in gained:
            self._add_free(piece)
        return gained, lost

    def owns(self, address: int) -> bool:
        """Whether the address lies in an owned range."""
        index = bisect_right(self._owned, address, key=_start) - 1
        return index >= 0 and address < self._owned[index].end

    def is_used(self, address: int) -> bool:
        """Whether the address is in use here."""
        index = bisect_left(self._used, address)
        return index < len(self._used) and self._used[index] == address

    def used_in(self, within: Range) -> list[int]:
        """Addresses in use in this range, ascending."""
        return self._used[bisect_left(self._used, within.start) : bisect_left(self._used, within.end)]

    def use(self, address: int) -> None:
        """Mark an address, owned or not, as in use."""
        if self.is_used(address):
            return
        insort(self._used, address)
        index = bisect_right(self._starts, address) - 1
        if index >= 0 and address < self._ends[index]:
            self._cut(index, address)

    def release(self, address: int) -> None:
        """The address is no longer in use; it becomes free if it is owned."""
        if not self.is_used(address):
            return
        del self._used[bisect_left(self._used, address)]
        if self.owns(address):
            self._insert_run(address, address + 1)

    def first_free(self, within: Range) -> int | None:
        """The lowest free address of the range."""
        return next((run.start for run in self.free_runs(within)), None)

    def free_in(self, within: Range) -> int:
        """How many addresses of the range are free."""
        return sum(run.size for run in self.free_runs(within))

    def free_runs(self, within: Range) -> Iterator[Range]:
        """Runs of free addresses in the range, ascending, clipped to it."""
        index = max(bisect_right(self._starts, within.start) - 1, 0)
        for position in range(index, len(self._starts)):
            if self._starts[position] >= within.end:
                return
            run = Range(self._starts[position], self._ends[position]).clip(within)
            if run.size > 0:
                yield run

    def donation(self, within: Range) -> Range | None:
        """What to give a peer that asks for space in this range; None when nothing is free there.

        The biggest free block that is aligned like a subnet; only its upper half when it is more than half of
        what is free in the range, so that the giver keeps some.
        """
        best: Range | None = None
        total = 0
        for run in self.free_runs(within):
            total += run.size
            block = max(aligned_blocks(run), key=_size)
            if best is None or block.size >= best.size:
                best = block
        if best is not None and 2 * best.size > total:
            return Range(best.end - (best.size + 1) // 2, best.end)
        return best

    def _cut(self, index: int, address: int) -> None:
        start, end = self._starts[index], self._ends[index]
        if address == start and address + 1 == end:
            del self._starts[index], self._ends[index]
        elif address == start:
            self._starts[index] = address + 1
        else:
            self._ends[index] = address
            if address + 1 < end:
                self._starts.insert(index + 1, address + 1)
                self._ends.insert(index + 1, end)

    def _add_free(self, piece: Range) -> None:
        start = piece.start
        for address in self.used_in(piece):
            if start < address:
                self._insert_run(start, address)
            start = address + 1
        if start < piece.end:
            self._insert_run(start, piece.end)

    def _remove_free(self, piece: Range) -> None:
        for run in list(self.free_runs(piece)):
            index = bisect_right(self._starts, run.start) - 1
            start, end = self._starts[index], self._ends[index]
            left = [(start, run.start)] if start < run.start else []
            right = [(run.end, end)] if run.end < end else []
            self._starts[index : index + 1] = [bounds[0] for bounds in left + right]
            self._ends[index : index + 1] = [bounds[1] for bounds in left + right]

    def _insert_run(self, start: int, end: int) -> None:
        """Add free addresses that were not free, joining the neighbouring runs."""
        index = bisect_left(self._starts, start)
        joins_left = index > 0 and self._ends[index - 1] == start
        joins_right = index < len(self._starts) and self._starts[index] == end
        if joins_left and joins_right:
            self._ends[index - 1] = self._ends[index]
            del self._starts[index], self._ends[index]
        elif joins_left:
            self._ends[index - 1] = end
        elif joins_right:
            self._starts[index] = start
        else:
            self._starts.insert(index, start)
            self._ends.insert(index, end)


def aligned_blocks(run: Range) -> Iterator[Range]:
    """Cut a run into the fewest blocks whose size is a power of two that divides their start."""
    start = run.start
    while start < run.end:
        alignment = start & -start if start else 1 << 32
        size = min(alignment, 1 << (run.end - start).bit_length() - 1)
        yield Range(start, start + size)
        start += size


def subtract(ranges: Iterable[Range], taken: Iterable[Range]) -> list[Range]:
    """What of ``ranges`` is not in ``taken``; both ascending and apart."""
    rest: list[Range] = []
    holes = list(taken)
    for piece in ranges:
        start = piece.start
        first = max(bisect_right(holes, piece.start, key=_start) - 1, 0)
        for position in range(first, len(holes)):
            hole = holes[position]
            if hole.start >= piece.end:
                break
            if hole.start > start:
                rest.append(Range(start, hole.start))
            start = max(start, hole.end)
        if start < piece.end:
            rest.append(Range(start, piece.end))
    return rest


def _start(piece: Range) -> int:
    return piece.start


def _size(piece: Range) -> int:
    return piece.size
