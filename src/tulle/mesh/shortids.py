"""Short ids: twelve bits that stand for a peer where a whole name is too long.

Everybody draws one at random, so two peers may have the same. Then it belongs to the one with the lowest
name; the other draws again as soon as it hears of it.
"""

from collections.abc import Mapping
from random import Random

from tulle.mesh.peername import PeerName

SHORT_IDS = 1 << 12
_RANDOM_TRIES = 10


def draw(rng: Random) -> int:
    """A short id out of all there are."""
    return rng.randrange(SHORT_IDS)


class ShortIds:
    """Who claims which short id, and to whom it belongs."""

    def __init__(self) -> None:
        self._claims: dict[int, set[PeerName]] = {}
        self._owners: dict[int, PeerName] = {}

    @property
    def owners(self) -> Mapping[int, PeerName]:
        """The peer each short id stands for."""
        return self._owners

    def claim(self, name: PeerName, short_id: int) -> None:
        """``name`` says that this is its short id."""
        self._claims.setdefault(short_id, set()).add(name)
        self._owners[short_id] = min(self._claims[short_id])

    def release(self, name: PeerName, short_id: int) -> None:
        """``name`` no longer has this short id."""
        claimants = self._claims[short_id]
        claimants.discard(name)
        if claimants:
            self._owners[short_id] = min(claimants)
        else:
            del self._claims[short_id], self._owners[short_id]

    def choose(self, rng: Random) -> int | None:
        """A short id that nobody claims; None if there is none left."""
        for _ in range(_RANDOM_TRIES):
            candidate = draw(rng)
            if candidate not in self._claims:
                return candidate
        free = [short_id for short_id in range(SHORT_IDS) if short_id not in self._claims]
        return rng.choice(free) if free else None
