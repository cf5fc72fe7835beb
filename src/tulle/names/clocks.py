"""Clocks that differ: names do not mind, but peers running Weave Net do, so it is said once for each peer."""

from collections.abc import Iterable

from tulle.mesh.peername import PeerName, format_name
from tulle.names.events import Log

TOLERATED_SKEW = 900
"""Seconds by which clocks may differ before peers running Weave Net refuse to talk."""


class Clocks:
    """Which peers' clocks differ from ours."""

    def __init__(self) -> None:
        self._skewed: set[PeerName] = set()

    def compare(self, sender: PeerName, skew: float) -> list[Log]:
        """The sender's clock is ``skew`` seconds ahead of ours: what is to be said of it."""
        if abs(skew) <= TOLERATED_SKEW:
            self._skewed.discard(sender)
        elif sender not in self._skewed:
            self._skewed.add(sender)
            return [Log("warning", _text(sender, skew))]
        return []

    def forget(self, peers: Iterable[PeerName]) -> None:
        """These peers are gone."""
        self._skewed.difference_update(peers)


def _text(sender: PeerName, skew: float) -> str:
    return (
        f"the clock of peer {format_name(sender)} differs from ours by {abs(skew) / 60:.0f} minutes; names do"
        " not mind, but peers running Weave Net disconnect at 15: set the clocks"
    )
