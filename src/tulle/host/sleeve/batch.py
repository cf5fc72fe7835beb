"""Datagrams as the kernel gives them: many at once, equally far apart, from one sender.

What stands in units belongs together, but headers stand between. So the kernel is told to put headers and
what follows them into two places, at the distance that the datagrams before had; if those that come have
another, they are taken apart here.
"""

from typing import NamedTuple

from tulle.host.msghdr import Vectors, room
from tulle.host.sleeve.wire import HEADER, INDEX, POSITION, continues
from tulle.host.sleeve.workshop import Layout

_BUFFER = 1 << 16
_LAYOUTS = 8
_LEAST_STRIDE = 256
"""Bytes between datagrams for which such places are prepared; superframes come in bigger ones."""

_MOST = _BUFFER // (_LEAST_STRIDE - HEADER.size) + 1

NO_INDEX = -1


class Run(NamedTuple):
    """Datagrams of one unit that came together, ``number`` of them from ``position`` on.

    ``body`` is what follows their headers, one after the other. ``header`` is that of the first of them,
    ``size`` its length in bytes; ``path`` is the receiver's number of the path.
    """

    header: bytes
    path: int
    sequence: int
    kind: int
    position: int
    last: int
    padding: int
    number: int
    body: memoryview
    size: int

    @classmethod
    def alone(cls, datagram: memoryview) -> "Run":
        """A datagram that is longer than a header."""
        header = bytes(datagram[: HEADER.size])
        path, sequence, kind, position, last, padding = HEADER.unpack(header)
        body, size = datagram[HEADER.size :], len(datagram)
        return cls(header, path, sequence, kind, position, last, padding, 1, body, size)

    def first_header(self) -> bytes:
        """The header of the unit's first datagram, whether or not that is among these."""
        if not self.position:
            return self.header
        return self.header[:POSITION] + b"\0" + self.header[POSITION + 1 :]


class Batch:
    """The ``count`` datagrams that came last. ``room`` is where the kernel is to write the next ones.

    Room for another distance is made only after many datagrams of a known path: a stranger who varies the
    distance must not cost more than one who does not.
    """

    def __init__(self) -> None:
        self.count = 0
        self.buffer = room(_BUFFER)
        self._places = memoryview(bytearray(HEADER.size * _MOST)), self.buffer
        self._one = self.room = Vectors([self.buffer])
        self._rooms: dict[int, Vectors] = {}
        self._expected = 0
        self._data: memoryview | None = None
        self._headers, self._bodies = self._places
        self._size = self._stride = 0

    def filled(self, size: int, stride: int) -> None:
        """There are so many bytes of datagrams in ``room`` now, ``stride`` apart; the last may be shorter."""
        expected = self._expected
        if not expected:
            self.hold(self.buffer[:size], stride)
        elif stride == expected or size == stride < expected:
            self._data = None
            self._headers, self._bodies = self._places
            self._measure(size, stride)
        else:
            self.hold(memoryview(bytearray(b"".join(self.room.pieces)[:size])), stride)

    def hold(self, data: memoryview, stride: int) -> None:
        """Look at datagrams that are elsewhere."""
        self._data = data
        self._measure(len(data), stride)

    def index(self, at: int) -> int:
        """Which path the datagram with this number in the buffer says it is of; ``NO_INDEX``: too short."""
        stride, data = self._stride, self._data
        if stride <= HEADER.size or self._size - at * stride <= HEADER.size:
            return NO_INDEX
        found: tuple[int] = (
            INDEX.unpack_from(self._headers, at * HEADER.size)
            if data is None
            else INDEX.unpack_from(data, at * stride)
        )
        return found[0]

    def datagram(self, at: int) -> memoryview:
        """The whole of it."""
        start, size = at * self._stride, min(self._stride, self._size - at * self._stride)
        if self._data is not None:
            return self._data[start : start + size]
        if self.count > 1:
            self._expect(0)
        head, body = at * HEADER.size, at * (self._stride - HEADER.size)
        parts = (
            self._headers[head : head + min(size, HEADER.size)],
            self._bodies[body : body + max(0, size - HEADER.size)],
        )
        return memoryview(b"".join(parts))

    def run(self, at: int) -> Run:
        """The datagram with this number, and those after it that are of the same unit, in order.

        The kernel keeps the order, so these are nearly always as many as can be; else they are taken singly.
        """
        if self._data is not None:
            self._take_apart(self._data)
        start = at * HEADER.size
        header = bytes(self._headers[start : start + HEADER.size])
        path, sequence, kind, position, last, padding = HEADER.unpack(header)
        end = max(at, min(self.count - 1, at + last - position)) + 1
        if end > at + 1 and not (
            self._fits(end) and continues(self._headers[start : end * HEADER.size], position)
        ):
            end = at + 1
        piece, rest = self._stride - HEADER.size, self._size - self.count * HEADER.size
        body = self._bodies[at * piece : rest if end == self.count else end * piece]
        size = min(self._stride, self._size - at * self._stride)
        return Run(header, path, sequence, kind, position, last, padding, end - at, body, size)

    def _measure(self, size: int, stride: int) -> None:
        self._size, self._stride = size, stride
        self.count = -(-size // stride)

    def _fits(self, end: int) -> bool:
        """Whether the datagram before ``end`` has more than a header."""
        return end < self.count or self._size - (end - 1) * self._stride > HEADER.size

    def _take_apart(self, data: memoryview) -> None:
        """Put headers and what follows them into places of their own."""
        self._data = None
        stride, starts = self._stride, range(0, self._size, self._stride)
        if self.count == 1:
            self._headers, self._bodies = data[: HEADER.size], data[HEADER.size :]
            return
        self._headers = memoryview(b"".join([data[at : at + HEADER.size] for at in starts]))
        bodies = b"".join([data[at + HEADER.size : at + stride] for at in starts])
        self._bodies = memoryview(bytearray(bodies))
        self._expect(stride)

    def _expect(self, stride: int) -> None:
        """Datagrams that come together will be so far apart; 0: nobody knows."""
        if stride < _LEAST_STRIDE:
            self._expected, self.room = 0, self._one
            return
        found = self._rooms.get(stride)
        if found is None:
            if len(self._rooms) >= _LAYOUTS:
                self._rooms.clear()
            found = self._rooms[stride] = Layout(*self._places, stride - HEADER.size)
        self._expected, self.room = stride, found
