"""Keeping processors from halting while frames come one by one and somebody waits for each.

To wake a halted processor takes tens of microseconds, above all in a virtual machine, and each frame that is
carried wakes several. The kernel's power management lets processes say how long a wake-up may take (PM QoS),
for as long as they hold its device open. That goes for all processors of the host, which then spin when there
is nothing to do.
"""

import asyncio
import logging
import os
import struct
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

DEVICE = "/dev/cpu_dma_latency"

OFTEN = 10
"""Frames in ``WINDOW`` for which processors are kept awake: some 70 a second."""

WINDOW = 0.15
"""Seconds."""

_AT_ONCE = struct.pack("@i", 0)
"""Microseconds that waking may take: less than any halt does."""


class PmQos:
    """The device, held while frames come often. Nothing runs, and nothing is open, while they do not."""

    def __init__(self, device: str = DEVICE, clock: Callable[[], float] = time.monotonic) -> None:
        self._device = device
        self._clock = clock
        self._held = -1
        self._usable = True
        self._count = 0
        self._since = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    def came(self) -> bool:
        """A frame came alone, in the running event loop. True if that gave the loop a timer."""
        self._count += 1
        if self._held >= 0 or self._count < OFTEN or not self._usable:
            return False
        now = self._clock()
        often = now - self._since < WINDOW
        self._since, self._count = now, 0
        return often and self._hold()

    def release(self) -> None:
        """Let processors halt."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._held >= 0:
            os.close(self._held)
            self._held = -1

    def _hold(self) -> bool:
        try:
            self._held = os.open(self._device, os.O_WRONLY | os.O_CLOEXEC)
            os.write(self._held, _AT_ONCE)
        except OSError as error:
            log.debug("%s cannot be used (%s): processors halt between frames", self._device, error.strerror)
            self._usable = False
            self.release()
            return False
        self._look_later()
        return True

    def _look_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(WINDOW, self._look)

    def _look(self) -> None:
        often = self._count >= OFTEN
        self._count = 0
        if often:
            self._look_later()
        else:
            self.release()
