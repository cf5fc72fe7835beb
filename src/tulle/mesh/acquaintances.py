"""Peers that we had links with and where they can be dialled: kept on disk.

They are tried after a restart: a host that was told of no peers waits for the others to come; they have found
it silent for a while and take their time. So it goes to them. Whoever does not answer within ``TRY_SECONDS``
is left alone until met again.

They are tried, too, once nobody speaks of them any more: two hosts that were told of the same third one, and
lost it and each other, find each other again without it. That lasts for ``LOOK_SECONDS``, or until somebody's
machine says that nobody listens there: a daemon that is started again comes by itself.
"""

import math
from collections.abc import Callable, Container, Mapping
from itertools import islice

from tulle.mesh.events import Address
from tulle.mesh.peername import PeerName

MAX_REMEMBERED = 256
TRY_SECONDS = 60.0
LOOK_SECONDS = 3600.0
SAVE_SECONDS = 2.0
"""News waits so long for more, so that meeting many peers at once makes one record."""


class Acquaintances:
    """Addresses by peer, those met last at the end."""

    def __init__(self, remembered: Mapping[PeerName, Address]) -> None:
        self._known = dict(remembered)
        self._old = set(remembered)
        """Those of an earlier life that were not met in this one."""
        self._until: dict[PeerName, float] = {}
        """How long those that are missed are tried."""
        self._save_at = math.inf

    @property
    def known(self) -> Mapping[PeerName, Address]:
        """What is to be kept."""
        return self._known

    def met(self, peer: PeerName, address: Address, mono: float) -> None:
        """There is a link to this peer, and this is how to dial it."""
        self._old.discard(peer)
        self._until.pop(peer, None)
        if self._known.pop(peer, None) != address:
            self._save_at = min(self._save_at, mono + SAVE_SECONDS)
        self._known[peer] = address
        for stranger in list(islice(self._known, max(0, len(self._known) - MAX_REMEMBERED))):
            self._drop(stranger)

    def forget(self, addresses: Container[Address], peers: Container[PeerName]) -> None:
        """Go to none of these of our own accord, and have that on disk at once."""
        gone = [peer for peer, address in self._known.items() if address in addresses or peer in peers]
        for peer in gone:
            self._drop(peer)
        if gone:
            self._save_at = -math.inf

    def to_try(self, present: Callable[[PeerName], bool], mono: float) -> dict[PeerName, Address]:
        """Whom to look for, when those ``present`` are linked or spoken of. The time for that begins when
        somebody is missed for the first time.
        """
        for peer in self._known:
            if peer in self._old:
                self._until.setdefault(peer, mono + TRY_SECONDS)
            elif present(peer):
                self._until.pop(peer, None)
            else:
                self._until.setdefault(peer, mono + LOOK_SECONDS)
        return {peer: self._known[peer] for peer, until in self._until.items() if until > mono}

    def nobody_home(self, peer: PeerName, mono: float) -> None:
        """The machine of this peer answers, and has no daemon."""
        if peer in self._until and peer not in self._old:
            self._until[peer] = mono

    def remembers(self, peer: PeerName) -> bool:
        """Whether this peer is one of an earlier life that was not met in this one."""
        return peer in self._old

    def trial_ends(self, mono: float) -> float:
        """When somebody who has not answered is to be tried no longer."""
        return min((until for until in self._until.values() if until > mono), default=math.inf)

    def vouch(self, peer: PeerName, address: Address) -> bool:
        """Whether this peer is looked for at this address."""
        return peer in self._until and self._known.get(peer) == address

    def next_deadline(self) -> float:
        """When to ask ``due`` next."""
        return self._save_at

    def due(self, mono: float) -> bool:
        """Whether it is time to save what is known."""
        if mono < self._save_at:
            return False
        self._save_at = math.inf
        return True

    def _drop(self, peer: PeerName) -> None:
        del self._known[peer]
        self._old.discard(peer)
        self._until.pop(peer, None)
