"""A path in our own format: its two halves, and what comes in by it."""

import time
from collections.abc import Callable

from tulle.datapath.sleeve.orders import Arrival, Count, Endpoint, NativePath, PathId
from tulle.host.sleeve.batch import Run
from tulle.host.sleeve.inward import Inward
from tulle.host.sleeve.outward import Outward
from tulle.host.sleeve.paths import Outlets
from tulle.host.sleeve.workshop import Workshop

_NOWHERE = Endpoint("0.0.0.0", 0)


class Native:
    """See ``paths.Path``."""

    def __init__(
        self,
        path: PathId,
        format: NativePath,
        outlets: Outlets,
        shop: Workshop,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self.peer = format.peer
        self._outlets = outlets
        self._outward = Outward(format, outlets.socket, shop, clock)
        self._inward = Inward(format, shop.opened, clock)
        self._source = _NOWHERE
        self._size = 0
        self.aim = self._outward.aim
        self.message = self._outward.message
        self.frame = self._outward.frame
        self.alone = self._outward.alone
        self.flush = self._outward.flush
        self.open = self._inward.open

    def take(self, run: Run, source: Endpoint) -> None:
        """Datagrams of this path came from there."""
        self._source, self._size = source, run.size
        self._inward.take(run, self)

    def count(self) -> Count:
        """See ``paths.Path``."""
        return self._inward.count(self._outward.sent)

    def close(self) -> None:
        """See ``paths.Path``."""

    def frames_came(self, frames: list[memoryview]) -> None:
        """See ``inward.Taker``."""
        self._outlets.deliver(frames, self.peer)

    def message_came(self, message: bytes) -> None:
        """See ``inward.Taker``."""
        self._outlets.report(Arrival(self._path, message, self._source, self._size))
