"""A path's way in: datagrams become units, units are opened, and frames and messages come out."""

import time
from collections.abc import Callable
from typing import Protocol

from tulle.datapath.sleeve.orders import Count, NativePath
from tulle.host.sleeve.assembly import Assembly
from tulle.host.sleeve.batch import Run
from tulle.host.sleeve.seals import TAG, ReceivingKeys, broken_seal, nonce
from tulle.host.sleeve.window import ReplayWindow
from tulle.host.sleeve.wire import EPOCH_SHIFT, HEADER, KIND, LENGTH, NUMBERS, SEAL, Kind
from tulle.host.sleeve.workshop import BUFFER, Opened


class Taker(Protocol):
    """What takes what has come."""

    def frames_came(self, frames: list[memoryview]) -> None:
        """Frames of the TAP. Their bytes may be overwritten; they are good until the place where units are
        opened is cleared, or the next datagrams are received."""

    def message_came(self, message: bytes) -> None:
        """A message for the daemon."""


class Inward:
    """The receiving half of a native path."""

    def __init__(
        self,
        path: NativePath,
        opened: Opened,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``opened`` is where units are opened; all paths share it."""
        self._keys = ReceivingKeys(path.keys.receive) if path.keys is not None else None
        self._opened = opened
        self._clock = clock
        self._window = ReplayWindow()
        self._assembly = Assembly()
        self._received = 0
        self.dropped = 0

    def count(self, sent: int) -> Count:
        """What has come by now.

        Pieces of units that stayed incomplete have come as well; as they may be forged, they never make more
        than was sent.
        """
        self._assembly.age(self._clock())
        expected = self._window.next
        received = min(expected, self._received + self._assembly.abandoned)
        return Count(sent, received, expected, self.dropped)

    def take(self, run: Run, taker: Taker) -> None:
        """Datagrams of this path came. What is not authentic, seen before or damaged is dropped."""
        number, total, count = run.sequence & NUMBERS, run.last + 1, run.number
        if run.position + count > total or not self._window.is_fresh(number):
            self.dropped += count
            return
        header = run.first_header()
        body = run.body if count == total else self._assemble(run, header)
        if body is None:
            return
        unit = self._open(header, run.sequence, run.kind, run.padding, body)
        if unit is None:
            self.dropped += total
            return
        self._window.mark(number, total)
        self._received += total
        self._hand_over(run.kind & KIND, unit, taker)

    def open(self, datagram: memoryview, sequence: int, kind: int, padding: int) -> memoryview | None:
        """The unit of a single datagram of this path, with what its header says; None if it is dropped."""
        number, unit = sequence & NUMBERS, None
        if self._window.is_fresh(number):
            header = bytes(datagram[: HEADER.size])
            unit = self._open(header, sequence, kind, padding, datagram[HEADER.size :])
        if unit is None:
            self.dropped += 1
            return None
        self._window.mark(number)
        self._received += 1
        return unit

    def _assemble(self, run: Run, header: bytes) -> memoryview | None:
        """What follows the headers of the unit, if it is complete now."""
        try:
            return self._assembly.add(header, run.position, run.last, run.number, run.body, self._clock())
        except ValueError:
            self.dropped += run.number
            return None

    def _open(
        self, header: bytes, sequence: int, kind: int, padding: int, sealed: memoryview
    ) -> memoryview | None:
        """The unit; None if it is not what the other end sent."""
        if self._keys is None:
            return _unsealed(kind, padding, sealed)
        epoch, seal = sequence >> EPOCH_SHIFT, kind & SEAL
        now = self._clock()
        aead = self._keys.aead(epoch, seal, now)
        size = len(sealed) - padding - TAG
        if aead is None or not 0 <= size <= BUFFER or (padding and any(sealed[size + TAG :])):
            return None
        opened = self._opened.take(size)
        try:
            aead.decrypt_into(nonce(header), sealed[: size + TAG], header, opened)
        except broken_seal():
            return None
        self._keys.opened(epoch, now)
        return opened

    def _hand_over(self, kind: int, unit: memoryview, taker: Taker) -> None:
        if kind == Kind.FRAME:
            taker.frames_came([unit])
            return
        parts = _parts(unit)
        if kind == Kind.FRAMES and parts:
            taker.frames_came(parts)
        elif kind == Kind.MESSAGE and parts:
            taker.message_came(bytes(parts[0]))


def _unsealed(kind: int, padding: int, body: memoryview) -> memoryview | None:
    size = len(body) - padding
    if kind & SEAL or size <= 0 or (padding and any(body[size:])):
        return None
    return body[:size]


def _parts(unit: memoryview) -> list[memoryview]:
    """What stands in a unit, each part after its length; zeros may follow."""
    parts, start, end = [], LENGTH.size, len(unit)
    while start <= end:
        stop = start + LENGTH.unpack_from(unit, start - LENGTH.size)[0]
        if stop == start or stop > end:
            break
        parts.append(unit[start:stop])
        start = stop + LENGTH.size
    return parts
