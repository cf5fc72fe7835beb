"""Weave Net's heartbeats on its fast path: full-size frames one way, the acknowledgement over TCP.

Each end sends them and acknowledges the other's once. That proves that full-size frames arrive, one
direction at a time.
"""

import struct

from tulle.datapath.carrier import EARLY
from tulle.datapath.tapframe import ETHERNET_HEADER

FAST = 0.5
SLOW = 10.0
SILENCE = 60.0
"""Seconds without a heartbeat from the other end after which the path counts as lost."""

_HEARTBEAT = struct.Struct(">QH")


def encode(conn_uid: int, size: int) -> bytes:
    """The payload of a heartbeat; ``size`` is that of the whole frame, and is said in it."""
    return _HEARTBEAT.pack(conn_uid, size).ljust(size - ETHERNET_HEADER, b"\0")


def is_valid(payload: bytes, conn_uid: int) -> bool:
    """Whether this is a heartbeat of that link which arrived in its full length."""
    if len(payload) < _HEARTBEAT.size:
        return False
    uid, size = _HEARTBEAT.unpack_from(payload)
    return bool(uid == conn_uid and size == len(payload) + ETHERNET_HEADER)


class Heartbeats:
    """The heartbeats of one link, in both directions. Times are monotonic seconds."""

    def __init__(self, now: float) -> None:
        self.next_send = now
        self.acknowledged = False
        """Ours arrive at the other end."""
        self.heard: float | None = None
        """When the last one from there came."""
        self._reset = now

    def send(self, now: float) -> bool:
        """Whether one is due now; if so the next is planned."""
        if now + EARLY < self.next_send:
            return False
        self.next_send = now + (SLOW if self.acknowledged else FAST)
        return True

    def acknowledge(self, now: float) -> None:
        """The other end has ours."""
        if not self.acknowledged:
            self.acknowledged = True
            self._reset = now
            self.next_send = now + SLOW

    def hear(self, now: float) -> bool:
        """One has come; True if it is to be acknowledged: the first, and the first after a long silence."""
        first = self.heard is None or now - self.heard > SILENCE
        self.heard = now
        return first

    def healthy(self, now: float) -> bool:
        """Whether full-size frames pass, as far as heartbeats can tell."""
        return self.acknowledged and now < self.silent_at()

    def silent_at(self) -> float:
        """When the path counts as lost unless another heartbeat comes."""
        return max(self._reset, self.heard if self.heard is not None else self._reset) + SILENCE
