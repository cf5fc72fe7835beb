"""Buffers in which units are made and opened; all paths share them."""

from tulle.host.msghdr import Vectors, room
from tulle.host.sleeve.messages import COUNT
from tulle.host.sleeve.wire import HEADER

BUFFER = 80_000
"""Bytes of sealed units that are sent together: a superframe's, and what pads them."""

ALIGN = 4
_LAYOUTS = 64


class Layout(Vectors):
    """Datagrams as they go to the kernel or come from it: by turns a header of ``headers``, and a piece."""

    def __init__(self, headers: memoryview, bodies: memoryview, piece: int) -> None:
        self.headers = headers
        pieces: list[memoryview] = []
        for number, at in enumerate(range(0, len(bodies), piece)):
            pieces.append(headers[number * HEADER.size : (number + 1) * HEADER.size])
            pieces.append(bodies[at : at + piece])
        super().__init__(pieces)


class Opened:
    """Where units are opened. They stay until ``clear``."""

    def __init__(self) -> None:
        self._room = room(COUNT * BUFFER)
        self._used = 0

    def take(self, size: int) -> memoryview:
        """Room for a unit. Once all is used up, by units that came in many parts, there is more elsewhere."""
        start, self._used = self._used, self._used + size
        if self._used > len(self._room):
            self._used = start
            return memoryview(bytearray(size))
        return self._room[start : self._used]

    def clear(self) -> None:
        """What is there is not needed any more."""
        self._used = 0


class Workshop:
    """Places to seal units in and to open them, and layouts, made once for each length of a piece."""

    def __init__(self) -> None:
        self.opened = Opened()
        self._places = [room(BUFFER) for _ in range(COUNT)]
        self._next = 0
        self._layouts: dict[tuple[int, int], Layout] = {}

    def place(self) -> memoryview:
        """Where units can be sealed, and stay until ``messages.COUNT`` other places were asked for."""
        self._next = (self._next + 1) % COUNT
        return self._places[self._next]

    def layout(self, source: memoryview, piece: int) -> Layout:
        """For pieces of the buffer that this is a view of, from its beginning on."""
        key = id(source.obj), piece
        found = self._layouts.get(key)
        if found is None:
            if len(self._layouts) >= _LAYOUTS:
                self._layouts.clear()
            whole = memoryview(source.obj)
            headers = memoryview(bytearray(-(-len(whole) // piece) * HEADER.size))
            found = self._layouts[key] = Layout(headers, whole, piece)
        return found
