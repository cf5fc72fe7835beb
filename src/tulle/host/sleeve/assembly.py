"""Units that have not arrived whole yet. Their number and size are capped, since whoever sees a path's index
could begin units for ever; the oldest makes room."""

from dataclasses import dataclass, field

MAX_UNITS = 32
"""Of one path at a time."""

MAX_SIZE = 66_000
"""Bytes of a unit: a superframe, its headers and its seal."""


PATIENCE = 1.0
"""Seconds within which all of a unit must come."""


@dataclass(slots=True)
class _Unit:
    """``blocks`` have what came, by the position of their first piece; ``there`` a bit for each piece."""

    begun: float
    blocks: dict[int, bytes] = field(default_factory=dict)
    there: int = 0
    size: int = 0


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

    def add(
        self, header: bytes, position: int, last: int, count: int, body: memoryview, now: float
    ) -> memoryview | None:
        """Take ``count`` pieces of a unit, from ``position`` on; all of it if that was what it lacked.

        Raises ValueError for what cannot be: a piece that is there already, or a unit that grows too large.
        """
        unit = self._units.get(header)
        if unit is None:
            unit = self._begin(header, now)
        bits = (1 << count) - 1 << position
        if unit.size + len(body) > MAX_SIZE or unit.there & bits:
            raise ValueError("not a part of this unit")
        unit.blocks[position] = bytes(body)
        unit.size += len(body)
        unit.there |= bits
        if unit.there != (1 << last + 1) - 1:
            return None
        del self._units[header]
        return memoryview(bytearray().join([unit.blocks[at] for at in sorted(unit.blocks)]))

    def age(self, now: float) -> None:
        """Give up what was begun too long ago."""
        for header in [header for header, unit in self._units.items() if now - unit.begun > PATIENCE]:
            self._abandon(header)

    def _begin(self, header: bytes, now: float) -> _Unit:
        if len(self._units) >= MAX_UNITS:
            self._abandon(next(iter(self._units)))
        unit = self._units[header] = _Unit(now)
        return unit

    def _abandon(self, header: bytes) -> None:
        self.abandoned += self._units.pop(header).there.bit_count()
