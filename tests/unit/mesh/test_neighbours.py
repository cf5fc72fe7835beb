"""Whom to gossip with."""

from collections import Counter
from random import Random

from mesh.builders import names, summary
from tulle.mesh.graph import Graph
from tulle.mesh.neighbours import random_neighbours
from tulle.mesh.peername import PeerName
from tulle.mesh.routes import Routes


def _routes(*peers: tuple[int, ...]) -> Routes:
    graph = Graph()
    for name, *others in peers:
        graph.put(summary(name, *others))
    return Routes(graph, PeerName(1))


def test_number_grows_with_the_logarithm() -> None:
    def chosen(count: int) -> int:
        return len(random_neighbours(_routes((1, *range(2, count + 1))), Random(0), range(2, count + 1)))

    assert [chosen(count) for count in (1, 2, 3, 4, 8, 20, 100)] == [0, 1, 2, 3, 6, 8, 13]


def test_they_differ_and_are_allowed() -> None:
    routes = _routes((1, *range(2, 40)))
    for seed in range(50):
        chosen = random_neighbours(routes, Random(seed), names(range(2, 30)), skip=PeerName(5))
        assert len(chosen) == len(set(chosen)) == 10
        assert set(chosen) <= set(range(2, 30)) - {5}


def test_bridges_to_many_peers_are_likelier() -> None:
    routes = _routes((1, *range(2, 12)), (2, *range(20, 60)))
    counts = Counter(
        name for seed in range(200) for name in random_neighbours(routes, Random(seed), range(2, 12))[:1]
    )
    assert counts[PeerName(2)] > 100
