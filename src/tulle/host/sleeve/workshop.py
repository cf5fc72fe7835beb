"""Buffers in which units are made and opened, one at a time; all paths share them."""

from tulle.host.sleeve.wire import HEADER, MAX_DATAGRAMS

BUFFER = 1 << 17
"""Bytes of sealed units that are sent together."""

HEADERS = 2 * MAX_DATAGRAMS
"""Headers of them."""

ALIGN = 4
_LAYOUTS = 64


class Workshop:
    """``sealed`` takes the units of one superframe, ``headers`` those of their datagrams.

    A *layout* is a list of views, header and piece in turns, as they go to the kernel: made once for each
    length of a piece.
    """

    def __init__(self) -> None:
        self.sealed = memoryview(bytearray(BUFFER))
        self.opened = memoryview(bytearray(BUFFER))
        self.headers = bytearray(HEADER.size * HEADERS)
        self._header_views = [
            memoryview(self.headers)[at : at + HEADER.size] for at in range(0, len(self.headers), HEADER.size)
        ]
        self._layouts: dict[tuple[int, int], list[memoryview]] = {}

    def layout(self, source: memoryview, piece: int) -> list[memoryview]:
        """Headers and pieces of this length of the buffer that this is a view of, from its beginning on."""
        key = id(source.obj), piece
        found = self._layouts.get(key)
        if found is None:
            if len(self._layouts) >= _LAYOUTS:
                self._layouts.clear()
            found = self._layouts[key] = self._lay_out(memoryview(source.obj), piece)
        return found

    def _lay_out(self, whole: memoryview, piece: int) -> list[memoryview]:
        made: list[memoryview] = []
        for header, at in zip(self._header_views, range(0, len(whole), piece), strict=False):
            made += (header, whole[at : at + piece])
        return made
