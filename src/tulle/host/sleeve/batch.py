"""Datagrams as the kernel gives them: many in one buffer, equally far apart, from one sender."""

from typing import NamedTuple

from tulle.host.sleeve.wire import HEADER, INDEX, POSITION, continues

_BUFFER = 1 << 16
_LAYOUTS = 32
NO_INDEX = -1


class Run(NamedTuple):
    """Datagrams of one unit that came together, from ``position`` on: what follows the header of each.

    ``header`` is that of the first of them, ``size`` its length in bytes.
    """

    header: memoryview
    sequence: int
    kind: int
    position: int
    last: int
    padding: int
    pieces: list[memoryview]
    size: int

    def first_header(self) -> bytes:
        """The header of the unit's first datagram, whether or not that is among these."""
        if not self.position:
            return bytes(self.header)
        made = bytearray(self.header)
        made[POSITION] = 0
        return bytes(made)


class Batch:
    """A buffer, and the ``count`` datagrams in it.

    Views of where headers and pieces can be are made once for each distance of datagrams, and only for
    datagrams of a known path: a stranger who varies the distance must not cost more than one who does not.
    """

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(_BUFFER))
        self.count = 0
        self._size = self._stride = 0
        self._layouts: dict[int, tuple[list[memoryview], list[memoryview]]] = {}

    def hold(self, size: int, stride: int) -> None:
        """The buffer holds so many bytes of datagrams now, ``stride`` apart; the last may be shorter."""
        self._size, self._stride = size, stride
        self.count = -(-size // stride)

    def index(self, at: int) -> int:
        """Which path the datagram with this number in the buffer says it is of; ``NO_INDEX``: too short."""
        start = at * self._stride
        if min(start + self._stride, self._size) <= start + HEADER.size:
            return NO_INDEX
        index: int = INDEX.unpack_from(self.buffer, start)[0]
        return index

    def datagram(self, at: int) -> memoryview:
        """The whole of it."""
        start = at * self._stride
        return self.buffer[start : min(start + self._stride, self._size)]

    def run(self, at: int) -> Run:
        """The datagram with this number, and those after it that are of the same unit, in order.

        The kernel keeps the order, so these are nearly always as many as can be; else they are taken singly.
        """
        headers, pieces = self._layout()
        header = headers[at]
        _, sequence, kind, position, last, padding = HEADER.unpack_from(header)
        end = max(at + 1, min(self.count, at + last - position + 1))
        if end > at + 1 and not (self._fits(end) and continues(headers[at:end], position)):
            end = at + 1
        pieces = pieces[at:end]
        size = self._stride
        if end == self.count:
            tail = self._size - (end - 1) * self._stride
            pieces[-1] = pieces[-1][: tail - HEADER.size]
            size = tail if end == at + 1 else size
        return Run(header, sequence, kind, position, last, padding, pieces, size)

    def _fits(self, end: int) -> bool:
        """Whether the datagram before ``end`` has more than a header."""
        return end < self.count or self._size - (end - 1) * self._stride > HEADER.size

    def _layout(self) -> tuple[list[memoryview], list[memoryview]]:
        """Headers and pieces at the present distance; of a lone datagram just its own."""
        if self.count == 1:
            return [self.buffer[: HEADER.size]], [self.buffer[HEADER.size : self._size]]
        found = self._layouts.get(self._stride)
        if found is None:
            if len(self._layouts) >= _LAYOUTS:
                self._layouts.clear()
            found = self._layouts[self._stride] = self._lay_out(self._stride)
        return found

    def _lay_out(self, stride: int) -> tuple[list[memoryview], list[memoryview]]:
        starts = range(0, len(self.buffer), stride)
        headers = [self.buffer[at : at + HEADER.size] for at in starts]
        return headers, [self.buffer[at + HEADER.size : at + stride] for at in starts]
