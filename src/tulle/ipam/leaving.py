"""Leaving: all ranges of this peer go to another, the heir, who says that it has heard of it.

Hosts may leave at the same moment, and hand what they have to each other. Whoever gets something while it
leaves passes it on; and not to anybody of whom it sees that they give everything away, too. And it stays
until all others have shown that they know it to be leaving: whatever they gave it before that is in the ring
that they show, and nothing comes after.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from tulle.instant import Instant
from tulle.ipam.directory import Directory
from tulle.ipam.journal import Journal
from tulle.ipam.ring import TAKEOVER_STEP, Entry, Ring
from tulle.ipam.territory import Territory
from tulle.mesh.peername import PeerName

PATIENCE = 3.0
"""Seconds that an heir has to say that it knows, and all others as well."""

MAX_ASKED = 64
"""Peers that are asked at a time whether they know that we leave."""


@dataclass(frozen=True, slots=True)
class Left:
    """Result of leaving. ``heir`` got the ranges; None if nobody can be reached, and they stay with our name.

    ``confirmed``: the heir knows, or there was nothing to give.
    """

    heir: PeerName | None
    confirmed: bool


class Leaving:
    """Whether this peer leaves, and how far that is. ``tell`` shows a peer our ring and asks for its own."""

    def __init__(
        self,
        territory: Territory,
        directory: Directory,
        journal: Journal,
        tell: Callable[[PeerName, Instant], None],
        gave: Callable[[Instant], None],
    ) -> None:
        """``gave`` hears that ranges changed hands."""
        self._territory, self._directory, self._journal = territory, directory, journal
        self._tell, self._gave = tell, gave
        self._tickets: list[int] = []
        self._relieved: set[PeerName] = set()
        """Peers that gave everything away meanwhile, or were removed."""
        self._heir: PeerName | None = None
        self._given: dict[int, Entry] = {}
        """Arcs that were given away as these entries, and of which their heir has not said that it knows."""
        self._handed: dict[int, Entry] = {}
        """All that were given away; who knows of them all gives us nothing any more."""
        self._unaware: set[PeerName] = set()
        """Peers that may not know."""
        self._until = math.inf
        self.begun = False

    def start(self, ticket: int, now: Instant) -> None:
        """Give everything away; the answer comes through the journal."""
        self.begun = True
        self._tickets.append(ticket)
        self._relieved.clear()
        if self._owns():
            self._hand_over(now)
        elif self._given:
            self._ask(now)
        else:
            self._finish(True)

    def merged(self, before: Ring, now: Instant) -> None:
        """The ring was ``before`` until others spoke: what came to us by that goes on."""
        if not self.begun:
            return
        earlier = {entry.token: entry for entry in before.entries}
        for entry in self._territory.ring.entries:
            was = earlier.get(entry.token, entry)
            if was.peer != entry.peer and entry.version - was.version >= TAKEOVER_STEP:
                self._relieved.add(was.peer)
                self._given.pop(entry.token, None)
        if self._owns():
            self._hand_over(now)

    def answered(self, peer: PeerName, theirs: Ring | None) -> None:
        """A peer has shown us its ring, which was merged."""
        known = {} if theirs is None else {entry.token: entry.version for entry in theirs.entries}
        for token, entry in list(self._given.items()):
            if entry.peer == peer and known.get(token, -1) >= entry.version:
                del self._given[token]
        if all(known.get(token, -1) >= entry.version for token, entry in self._handed.items()):
            self._unaware.discard(peer)
        if not (self._given or self._unaware or self._owns()):
            self._finish(True)

    def tick(self, now: Instant) -> None:
        """The heir may have had time enough."""
        if now.mono >= self._until:
            self._finish(not self._given and not self._owns())

    def next_deadline(self) -> float:
        """When ``tick`` has something to do."""
        return self._until

    def _owns(self) -> bool:
        return self._territory.me in self._territory.ring.owners

    def _hand_over(self, now: Instant) -> None:
        self._heir = self._directory.heir(self._territory.ring, self._relieved)
        if self._heir is None:
            self._finish(False)
            return
        mine = {entry.token for entry in self._territory.ring.entries if entry.peer == self._territory.me}
        self._territory.transfer(self._territory.me, self._heir, {})
        given = {entry.token: entry for entry in self._territory.ring.entries if entry.token in mine}
        self._given |= given
        self._handed |= given
        self._gave(now)
        self._ask(now)

    def _ask(self, now: Instant) -> None:
        """Everybody: who was given something whether they know, and the others whether they gave us more."""
        self._until = now.mono + PATIENCE
        self._unaware = set(sorted(self._directory.reachable - self._relieved)[:MAX_ASKED])
        for peer in sorted(self._unaware.union(entry.peer for entry in self._given.values())):
            self._tell(peer, now)

    def _finish(self, confirmed: bool) -> None:
        self._until = math.inf
        for ticket in self._tickets:
            self._journal.answer(ticket, Left(self._heir, confirmed))
        self._tickets.clear()
