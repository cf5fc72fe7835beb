"""Two ways to mend the topology where gossip alone would not: asking, and contradicting."""

import math
from collections.abc import Callable
from random import Random

from tulle.mesh.links import LinkTable
from tulle.mesh.peername import PeerName
from tulle.mesh.routes import Routes
from tulle.mesh.topology import Topology

ASK_SECONDS = 1.0
LONGEST_ASK_SECONDS = 30.0
MAX_ASKED = 64
REBUTTAL_SECONDS = 1.0
LONGEST_REBUTTAL_SECONDS = 30.0


class Enquiry:
    """Asks for peers that others list but nobody has described to us, as long as there are any.

    To ask is to tell a neighbour of our kind the nothing that we know of that peer: all answer outdated news
    with better. The neighbour on the way there is the likeliest to know.
    """

    def __init__(
        self,
        topology: Topology,
        routes: Routes,
        links: LinkTable,
        rng: Random,
        ask: Callable[[PeerName, PeerName], None],
    ) -> None:
        self._topology = topology
        self._routes = routes
        self._links = links
        self._rng = rng
        self._ask = ask
        self._gap = ASK_SECONDS
        self.due = math.inf

    def consider(self, mono: float) -> None:
        """The topology changed: see whether there is anything to ask, in a while."""
        if self.due == math.inf and self._topology.undescribed:
            self._gap = ASK_SECONDS
            self.due = mono + self._gap

    def tick(self, mono: float) -> None:
        """Ask if it is time."""
        if mono < self.due:
            return
        missing = sorted(self._topology.undescribed)
        alike = sorted(self._links.alike())
        self._gap = min(2 * self._gap, LONGEST_ASK_SECONDS)
        self.due = mono + self._gap if missing else math.inf
        for name in missing[:MAX_ASKED] if alike else ():
            hop = self._routes.unicast_all.get(name)
            self._ask(hop if hop in alike else self._rng.choice(alike), name)


class Rebuttal:
    """Says when to contradict others who speak in our name.

    Once is what a restart needs: others still have the description that an earlier run of ours gave. Where
    two hosts bear the same name, each contradicts the other for ever; so it is done ever more slowly.
    """

    def __init__(self) -> None:
        self.due = math.inf
        self._gap = 0.0
        self._free_at = -math.inf

    def provoked(self, mono: float) -> None:
        """Somebody spoke in our name."""
        if mono > self._free_at + 2 * LONGEST_REBUTTAL_SECONDS:
            self._gap = 0.0
        if self.due == math.inf:
            self.due = max(mono, self._free_at)
            self._gap = min(max(2 * self._gap, REBUTTAL_SECONDS), LONGEST_REBUTTAL_SECONDS)
            self._free_at = self.due + self._gap

    def tick(self, mono: float) -> bool:
        """Whether to contradict now."""
        if mono < self.due:
            return False
        self.due = math.inf
        return True
