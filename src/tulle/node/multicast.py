"""Multicast on this host's part: who listens where, and the copies that need not be made."""

import math
from collections.abc import Sequence

from tulle.datapath.ghosts import Ghost
from tulle.datapath.groups.channel import GroupChannel
from tulle.datapath.groups.pruning import GroupTables, prune
from tulle.datapath.tables import ShortId, Tables
from tulle.instant import Instant
from tulle.mesh.mesh import Mesh

PACE = 0.05
"""Seconds between two computations for what others say; what happens to the trees counts at once."""

PACE_OF_BRANCH = 50e-6
"""Seconds more for each branch, so that a hub of hundreds of hosts is not busy with this alone."""

SLOWEST_PACE = 0.5
"""Seconds. A join must be in effect within one."""


class Multicast:
    """The channel of groups, and what follows from it for the kernel."""

    def __init__(self, mesh: Mesh) -> None:
        self.channel = GroupChannel(mesh.self_name)
        self.channel.known_peers(mesh.peers())
        mesh.add_channel(self.channel)
        self._mesh = mesh
        self._trees: Tables | None = None
        self._generation = 0
        self._due = -math.inf
        self._last: GroupTables | None = None

    def prune(self, tables: Tables, ghosts: Sequence[Ghost], now: Instant) -> GroupTables | None:
        """What to prune in the trees of these tables; None if nothing has changed, or it is not yet time."""
        if tables is self._trees and not self._is_due(now):
            return None
        self._trees, self._generation = tables, self.channel.generation
        mesh = self._mesh
        live = {*mesh.routes.unicast, mesh.self_name}
        owners = {ShortId(one): name for one, name in mesh.short_ids.items() if name in live}
        pruned = prune(tables, owners, mesh.routes, ghosts, self.channel.interests)
        self._due = now.mono + min(PACE + PACE_OF_BRANCH * len(pruned.branches), SLOWEST_PACE)
        if pruned == self._last:
            return None
        self._last = pruned
        return pruned

    def next_deadline(self) -> float:
        """When the channel has something to do, or ``prune``."""
        stale = self._generation != self.channel.generation
        return min(self.channel.next_deadline(), self._due if stale else math.inf)

    def _is_due(self, now: Instant) -> bool:
        return self._generation != self.channel.generation and now.mono >= self._due
