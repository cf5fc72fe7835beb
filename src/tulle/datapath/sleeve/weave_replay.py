"""Which numbers of datagrams have been seen, in two consecutive windows as Weave Net keeps them."""

from dataclasses import dataclass, field

WINDOW_BITS = 20
"""A window holds 2^20 numbers; the newest one and the one before it are remembered."""

_PAGE_BITS = 12
_PAGE = 1 << _PAGE_BITS


@dataclass(slots=True)
class _Page:
    """A stretch of numbers, a bit for each, and how many of them are missing."""

    bits: bytearray = field(default_factory=lambda: bytearray(_PAGE >> 3))
    missing: int = _PAGE


class ReplayWindow:
    """Numbers that were seen.

    Steady traffic takes little memory, since of a page without a gap only its number is kept. The most that
    the other end can make us keep is 512 pages of 512 bytes.
    """

    def __init__(self) -> None:
        self.end = 0
        """One more than the highest number that was seen."""
        self._oldest = -1 << WINDOW_BITS
        self._pages: dict[int, _Page] = {}
        self._complete: set[int] = set()

    def is_new(self, number: int) -> bool:
        """Whether it was not seen yet, and is not older than the windows."""
        key = number >> _PAGE_BITS
        if number < self._oldest or key in self._complete:
            return False
        page = self._pages.get(key)
        return page is None or not page.bits[(number & _PAGE - 1) >> 3] >> (number & 7) & 1

    def add(self, number: int) -> None:
        """It has been seen now, and was new."""
        if number >= self.end:
            self._advance(number)
        key = number >> _PAGE_BITS
        page = self._pages.get(key)
        if page is None:
            page = self._pages[key] = _Page()
        page.bits[(number & _PAGE - 1) >> 3] |= 1 << (number & 7)
        page.missing -= 1
        if not page.missing:
            del self._pages[key]
            self._complete.add(key)

    def _advance(self, number: int) -> None:
        self.end = number + 1
        oldest = (number >> WINDOW_BITS) - 1 << WINDOW_BITS
        if oldest != self._oldest:
            self._oldest = oldest
            first = oldest >> _PAGE_BITS
            self._pages = {key: page for key, page in self._pages.items() if key >= first}
            self._complete = {key for key in self._complete if key >= first}
