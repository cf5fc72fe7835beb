"""The bytes of a fuzzing input as a source of decisions; when they run out it gives zeros."""

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Source:
    """Takes an input apart from its front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def more(self) -> bool:
        """Whether anything is left."""
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        """Up to ``size`` bytes."""
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken

    def number(self, size: int = 1) -> int:
        """A number of ``size`` bytes."""
        return int.from_bytes(self.take(size), "big")

    def pick(self, items: Sequence[Item]) -> Item:
        """One of these."""
        return items[self.number() % len(items)]

    def some(self, items: Sequence[Item], most: int) -> list[Item]:
        """Up to ``most`` of these, with repetitions."""
        return [self.pick(items) for _ in range(self.number() % (most + 1))]

    def piece(self) -> bytes:
        """Bytes, after a length of two."""
        return self.take(self.number(2))
