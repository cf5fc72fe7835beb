"""Units that have not arrived whole yet. Their number and size are capped, since whoever sees a path's index
could begin units for ever; the oldest makes room."""

from dataclasses import dataclass, field

MAX_UNITS = 32
"""Of one path at a time."""

MAX_SIZE = 66_000
"""Bytes of a unit: a superframe, its headers and its seal."""


@dataclass(slots=True)
class _Unit:
    last: int
    parts: dict[int, bytes] = field(default_factory=dict)
    size: int = 0
    touched: bool = True


class Assembly:
    """The incomplete units of one path, by the header of their first datagram."""

    def __init__(self) -> None:
        self._units: dict[bytes, _Unit] = {}
        self.abandoned = 0
        """Datagrams of units that were given up."""

    def __len__(self) -> int:
        return len(self._units)

    @property
    def size(self) -> int:
        """Bytes held."""
        return sum(unit.size for unit in self._units.values())

    def add(self, header: bytes, position: int, last: int, pieces: list[memoryview]) -> list[bytes] | None:
        """Take what came of a unit, from ``position`` on; all its pieces if that was the last of them.

        Raises ValueError for what cannot be: a piece that is there already, or a unit that grows too large.
        """
        unit = self._units.get(header)
        if unit is None:
            unit = self._begin(header, last)
        size = unit.size + sum(map(len, pieces))
        positions = range(position, position + len(pieces))
        if size > MAX_SIZE or not unit.parts.keys().isdisjoint(positions):
            raise ValueError("not a part of this unit")
        unit.parts.update(zip(positions, map(bytes, pieces), strict=True))
        unit.size, unit.touched = size, True
        if len(unit.parts) <= last:
            return None
        del self._units[header]
        return [unit.parts[at] for at in range(last + 1)]

    def age(self) -> None:
        """Give up what has not grown since the last call."""
        for header in [header for header, unit in self._units.items() if not unit.touched]:
            self._abandon(header)
        for unit in self._units.values():
            unit.touched = False

    def _begin(self, header: bytes, last: int) -> _Unit:
        if len(self._units) >= MAX_UNITS:
            self._abandon(next(iter(self._units)))
        unit = self._units[header] = _Unit(last)
        return unit

    def _abandon(self, header: bytes) -> None:
        self.abandoned += len(self._units.pop(header).parts)
