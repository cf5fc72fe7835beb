"""Taking what waits in the socket: superframes several at a time, a lone small datagram as fast as can be."""

import time
from typing import Protocol

from tulle.datapath.sleeve.orders import Endpoint
from tulle.host.sleeve.batch import Batch
from tulle.host.sleeve.messages import COUNT
from tulle.host.sleeve.udp import UdpSocket
from tulle.host.tap import PAUSE

_AT_MOST = 16
"""Times up to 64 KB; then the daemon's other work has its turn."""

_SMALL = 2048
"""Bytes of datagrams that came together; small frames and messages come in fewer."""

_TINY = 256
"""Bytes of a datagram with a frame or two."""


class Taker(Protocol):
    """What takes what comes."""

    def take(self, batch: Batch, source: Endpoint) -> None:
        """Datagrams that came together from there."""

    def take_one(self, datagram: memoryview, source: Endpoint) -> None:
        """One that came alone: the way that takes the least time."""

    def settle(self) -> None:
        """The places where they are will be filled again."""


class Reception:
    """Gives what it receives to ``taker``, with where it came from."""

    def __init__(self, socket: UdpSocket, taker: Taker) -> None:
        self._socket = socket
        self._taker = taker
        self._batches = [Batch() for _ in range(COUNT)]
        self._bulk = False
        """Whether superframes come."""
        self._looked = 0.0

    def receive(self) -> bool:
        """Take what waits, but not for ever. True if that was a tiny datagram after a pause.

        Then nobody has looked for more: what it brings about, like an answer in the TAP, comes first.
        """
        now = time.monotonic()
        pause, self._looked = now - self._looked, now
        if not self._bulk:
            return self._receive_singly(pause > PAUSE)
        self._bulk = self._receive_many()
        self._looked = time.monotonic()
        return False

    def _receive_singly(self, lone: bool) -> bool:
        """The way that takes the least time for a single small datagram. See ``receive``."""
        batch, taker = self._batches[0], self._taker
        for _ in range(_AT_MOST):
            received = self._socket.receive_one(batch.buffer)
            if received is None:
                return False
            size, stride, source = received
            if size == stride:
                taker.take_one(batch.buffer[:size], source)
            else:
                batch.hold(batch.buffer[:size], stride)
                taker.take(batch, source)
            taker.settle()
            if size > _SMALL:
                self._bulk = True
                return False
            if lone and size <= _TINY:
                return True
        return False

    def _receive_many(self) -> bool:
        """The way that takes the least time for superframes. False if none come."""
        batches, bulk = self._batches, False
        for _ in range(_AT_MOST // COUNT):
            some = self._socket.receive([batch.room for batch in batches])
            for batch, received in zip(batches, some, strict=False):
                if received.size:
                    batch.filled(received.size, received.stride)
                    self._taker.take(batch, received.source)
                bulk = bulk or received.size > _SMALL
            self._taker.settle()
            if len(some) < len(batches):
                break
        return bulk
