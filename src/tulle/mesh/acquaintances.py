"""Peers that we had links with and where they can be dialled: kept on disk, and tried after a restart.

A host that was told of no peers waits for the others to come; they have found it silent for a while and take
their time. So it goes to them. Whoever does not answer within ``TRY_SECONDS`` is left alone until met again.
"""

import math
from collections.abc import Container, Iterable, Mapping
from itertools import islice

from tulle.mesh.events import Address
from tulle.mesh.peername import PeerName

MAX_REMEMBERED = 256
TRY_SECONDS = 60.0
SAVE_SECONDS = 2.0
"""News waits so long for more, so that meeting many peers at once makes one record."""


class Acquaintances:
    """Addresses by peer, those met last at the end."""

    def __init__(self, remembered: Mapping[PeerName, Address]) -> None:
        self._known = dict(remembered)
        self._to_try = dict(remembered)
        self._until = math.inf
        self._save_at = math.inf

    @property
    def known(self) -> Mapping[PeerName, Address]:
        """What is to be kept."""
        return self._known

    def met(self, peer: PeerName, address: Address, mono: float) -> None:
        """There is a link to this peer, and this is how to dial it."""
        self._to_try.pop(peer, None)
        if self._known.pop(peer, None) != address:
            self._save_at = min(self._save_at, mono + SAVE_SECONDS)
        self._known[peer] = address
        for stranger in list(islice(self._known, max(0, len(self._known) - MAX_REMEMBERED))):
            del self._known[stranger]

    def forget(self, addresses: Container[Address], peers: Container[PeerName]) -> None:
        """Go to none of these of our own accord, and have that on disk at once."""
        gone = [peer for peer, address in self._known.items() if address in addresses or peer in peers]
        for peer in gone:
            del self._known[peer]
            self._to_try.pop(peer, None)
        if gone:
            self._save_at = -math.inf

    def to_try(self, mono: float) -> Iterable[tuple[PeerName, Address]]:
        """Who was known before the restart and not met since. The time to try begins with the first call."""
        if self._to_try and self._until == math.inf:
            self._until = mono + TRY_SECONDS
        if mono >= self._until:
            self._to_try.clear()
        return self._to_try.items()

    @property
    def trial_ends(self) -> float:
        """When nobody is to be tried any more who has not answered."""
        return self._until if self._to_try else math.inf

    def vouch(self, peer: PeerName, address: Address) -> bool:
        """Whether this peer was at this address before the restart."""
        return self._to_try.get(peer) == address

    def next_deadline(self) -> float:
        """When to ask ``due`` next."""
        return self._save_at

    def due(self, mono: float) -> bool:
        """Whether it is time to save what is known."""
        if mono < self._save_at:
            return False
        self._save_at = math.inf
        return True
