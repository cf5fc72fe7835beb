"""Our place in all trees at once is what a search in each of them finds."""

import hypothesis.strategies as st
from hypothesis import given

from mesh.builders import edge, summary
from tulle.mesh.graph import Graph
from tulle.mesh.peername import PeerName
from tulle.mesh.places import all_places
from tulle.mesh.routes import Routes

COUNT = 9
Pairs = frozenset[tuple[int, int]]
pairs = st.tuples(st.integers(1, COUNT), st.integers(1, COUNT)).filter(lambda pair: pair[0] < pair[1])


def _graph(both: Pairs, order: list[int]) -> Graph:
    graph = Graph()
    for name in order:
        others = [sum(pair) - name for pair in sorted(both) if name in pair]
        graph.put(summary(name, *map(edge, others)))
    return graph


@given(st.frozensets(pairs), st.permutations(range(1, COUNT + 1)))
def test_a_search_in_each_tree_finds_the_same(both: Pairs, order: list[int]) -> None:
    """Of gossip's trees each is searched; where all connections carry frames they are the trees of frames."""
    graph = _graph(both, order)
    for me in map(PeerName, order):
        routes, places = Routes(graph, me), all_places(graph, me)
        for source in map(PeerName, order):
            children = places[source].children if source in places else ()
            assert children == routes.broadcast_all(source)
            parent = places[source].parent if source in places else None
            took = [one for one in order if me in Routes(graph, PeerName(one)).broadcast_all(source)]
            assert took == ([] if parent is None else [parent])


def test_only_those_who_reach_us_have_trees_with_us_in_them() -> None:
    graph = _graph(frozenset({(1, 2), (3, 4)}), [1, 2, 3, 4])
    assert set(all_places(graph, PeerName(1))) == {1, 2}
    assert all_places(graph, PeerName(9)) == {}
