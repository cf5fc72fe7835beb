"""Asking other peers for address space: whom, when again, and when to give up.

For each wanted range one peer is asked at a time, chosen at random among the reachable owners in it,
weighted by how much they say is free. An answer without space leads to the next. When every owner has said
no, the wish is hopeless; while one of them cannot be reached or has not answered, it may still come true.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tulle.instant import Instant
from tulle.ipam.ring import Range, Ring
from tulle.mesh.peername import PeerName

PATIENCE = 5.0
"""Seconds to wait for an answer before asking again; messages can be lost."""

NATIVE_PATIENCE = 1.0
"""The same for peers of our own kind, which answer at once."""

_FORGET = 60.0


@dataclass(slots=True)
class _Wish:
    asked: PeerName | None = None
    asked_at: float = 0.0
    refused: set[PeerName] = field(default_factory=set)


class Asking:
    """Open wishes for address space. ``send`` is given the peer to ask and the range."""

    def __init__(self, me: PeerName, rng: Random, send: Callable[[PeerName, Range, Instant], None]) -> None:
        self.reachable: frozenset[PeerName] = frozenset()
        self.natives: frozenset[PeerName] = frozenset()
        self._me, self._rng, self._send = me, rng, send
        self._wishes: dict[Range, _Wish] = {}

    def pursue(self, wanted: Range, ring: Ring, now: Instant) -> bool:
        """Ask somebody if it is time to. False when it is hopeless: everybody who owns a part said no."""
        free = ring.free_by_owner(wanted)
        free.pop(self._me, None)
        wish = self._wishes.setdefault(wanted, _Wish())
        if wish.asked in free and wish.asked in self.reachable and now.mono < self._again_at(wish):
            return True
        candidates = {
            peer: free[peer] for peer in free if peer in self.reachable and peer not in wish.refused
        }
        if candidates:
            wish.asked, wish.asked_at = self._choose(candidates), now.mono
            self._send(wish.asked, wanted, now)
            return True
        wish.asked = None
        if all(peer in wish.refused and peer in self.reachable for peer in free):
            del self._wishes[wanted]
            return False
        return True

    def refused(self, peer: PeerName, wanted: Range) -> None:
        """The peer has nothing free in this range."""
        wish = self._wishes.get(wanted)
        if wish is not None:
            wish.refused.add(peer)
            if wish.asked == peer:
                wish.asked = None

    def got(self, wanted: Range) -> None:
        """An address of this range was found: whoever needs another one asks anew, and at once."""
        self._wishes.pop(wanted, None)

    def start_over(self, now: Instant) -> None:
        """Forget refusals of wishes that wait for somebody unreachable: those asked may have space by now."""
        for wanted, wish in list(self._wishes.items()):
            if wish.asked is None and now.mono >= wish.asked_at + PATIENCE:
                wish.refused.clear()
            if now.mono - wish.asked_at > _FORGET:
                del self._wishes[wanted]

    def waits_for(self, wanted: Range, ring: Ring) -> list[PeerName]:
        """Owners of something in the range that cannot be asked now."""
        return sorted(set(ring.free_by_owner(wanted)) - self.reachable - {self._me})

    def _again_at(self, wish: _Wish) -> float:
        return wish.asked_at + (NATIVE_PATIENCE if wish.asked in self.natives else PATIENCE)

    def _choose(self, free: dict[PeerName, int]) -> PeerName:
        """By reported free space times luck; peers that report none are the last resort, not excluded."""
        weights = {peer: (free[peer] + 0.001) * self._rng.random() for peer in sorted(free)}
        return max(weights, key=lambda peer: weights[peer])
