"""Neighbours whose connection has just ended, though frames still got through to them.

When a daemon dies, each of its neighbours notices at its own moment. Until all have, the mesh believes in
detours that do not exist: two peers may each send what is for the dead daemon's host to the other. The host's
kernel goes on as before, so for a short while its neighbours do too. A sleeve ends with its daemon: nothing
is gained by holding on to it.
"""

from collections.abc import Mapping

from tulle.datapath.tables import CarrierKind, Hop
from tulle.mesh.peername import PeerName

LINGER = 2.0
"""Seconds; longer than news of the topology takes to reach everybody."""


class Lingering:
    """Hops to former neighbours, each for a while. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._hops: dict[PeerName, tuple[Hop, float]] = {}

    @property
    def hops(self) -> Mapping[PeerName, Hop]:
        """The hops that are still to be used."""
        return {peer: hop for peer, (hop, _) in self._hops.items()}

    def add(self, peer: PeerName, hop: Hop, now: float) -> None:
        """The connection to this neighbour has ended."""
        if hop.carrier is CarrierKind.VXLAN:
            self._hops[peer] = (hop, now + LINGER)

    def drop(self, peer: PeerName) -> None:
        """There is a connection again, or the peer was removed."""
        self._hops.pop(peer, None)

    def expire(self, now: float) -> bool:
        """Drop those whose time is over; whether there were any."""
        over = [peer for peer, (_, until) in self._hops.items() if until <= now]
        for peer in over:
            del self._hops[peer]
        return bool(over)

    def next_expiry(self) -> float:
        """When the next one is over."""
        return min((until for _, until in self._hops.values()), default=float("inf"))
