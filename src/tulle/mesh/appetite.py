"""How much of other hosts' gossip we are ready to work through.

Reading a message costs time in proportion to its size. A host that sends complete states of the largest
networks stays far below these limits; one that sends more wants to keep us busy.
"""

from tulle.errors import BadMessage
from tulle.mesh.ratelimit import TokenBucket

BURST_BYTES = 64 * 1024 * 1024
BYTES_PER_SECOND = 2 * 1024 * 1024
MAX_HOSTS = 1024


class Appetite:
    """What each host may still send; by address, so that a new connection is no new beginning.

    Hosts behind one router share an address and so an allowance, which has room for many of them.
    """

    def __init__(self) -> None:
        self._hosts: dict[str, TokenBucket] = {}

    def spend(self, ip: str, size: int, mono: float) -> None:
        """So many bytes came from there. Raises BadMessage when it is too much."""
        bucket = self._hosts.pop(ip, None) or TokenBucket(BURST_BYTES, BYTES_PER_SECOND)
        self._hosts[ip] = bucket
        if len(self._hosts) > MAX_HOSTS:
            del self._hosts[next(iter(self._hosts))]
        if bucket.ready_at(mono, size) > mono:
            raise BadMessage(
                f"the peer sends more gossip than can be worked through ({BURST_BYTES >> 20} MiB at once,"
                f" {BYTES_PER_SECOND >> 20} MiB per second)"
            )
        bucket.spend(mono, size)
