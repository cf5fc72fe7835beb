"""Docker with tulle beside Docker alone: the default bridge, and the overlay of a swarm of the same engines.

Three hosts with a real engine each, all three managers of one swarm, and tulle's daemons beside them. What is
compared takes turns in the same run:

* ``docker run --rm IMAGE true``, on the default bridge, on a network of tulle, and through tulle's proxy;
* TCP and ping between containers of two engines, over tulle and over the overlay;
* fifty containers started at once on each engine, until every host resolves every name;
* ``docker cp`` of 200 MB and ``docker logs`` of 100 MB, through the proxy and without it;
* what still works on each side of a partition.

``python -m bench docker`` (as root; needs Debian's ``docker.io``) runs it all and writes
docs/docker-overlay.md; ``python -m bench.docker PART...`` runs parts and prints what they measured.
"""

from typing import Any

from bench.docker import crowd, partitions, starts, streams, traffic
from bench.docker.ground import Ground

PARTS = {
    "starts": starts.run,
    "traffic": traffic.run,
    "crowd": crowd.run,
    "streams": streams.run,
    "partitions": partitions.run,
}


def run(chosen: tuple[str, ...] = tuple(PARTS)) -> dict[str, Any]:
    """Figures of each part, and one line (what, figure, goal, met) for each promise."""
    results: dict[str, Any] = {}
    lines: list[tuple[str, str, str, bool]] = []
    with Ground() as ground:
        for part in chosen:
            results[part], promised = PARTS[part](ground)
            lines += promised
    return {**results, "lines": lines}
