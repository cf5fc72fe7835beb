"""Choosing some neighbours to gossip with."""

import math
from collections import Counter
from collections.abc import Collection
from random import Random

from tulle.mesh.peername import PeerName
from tulle.mesh.routes import Routes


def random_neighbours(
    routes: Routes, rng: Random, allowed: Collection[PeerName], skip: PeerName | None = None
) -> list[PeerName]:
    """About 2 log2(peers) different neighbours out of ``allowed``, never ``skip``.

    A neighbour is the likelier chosen the more peers are reached by way of it, so that gossip finds its way
    through the bridges between well connected parts.
    """
    hops = routes.unicast_all
    weights = Counter(hop for hop in hops.values() if hop != skip and hop in allowed)
    count = min(int(2 * math.log2(len(hops) + 1)), len(weights))
    candidates = sorted(weights)
    if count == len(candidates):
        return candidates
    chosen = []
    for _ in range(count):
        picked = rng.choices(candidates, [weights[name] for name in candidates])[0]
        candidates.remove(picked)
        chosen.append(picked)
    return chosen
