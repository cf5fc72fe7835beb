"""Routes and broadcast trees: everybody computes the same, and each peer gets exactly one copy."""

from collections import Counter

import hypothesis.strategies as st
from hypothesis import given

from mesh.builders import edge, summary
from tulle.mesh.graph import Graph
from tulle.mesh.peername import PeerName
from tulle.mesh.routes import Routes
from tulle.mesh.summary import PeerSummary

Edges = set[tuple[int, int]]


def _graph(peers: list[PeerSummary]) -> Graph:
    graph = Graph()
    for peer in peers:
        graph.put(peer)
    return graph


def _peers(count: int, edges: Edges) -> list[PeerSummary]:
    neighbours: dict[int, set[int]] = {name: set() for name in range(1, count + 1)}
    for a, b in edges:
        neighbours[a].add(b)
        neighbours[b].add(a)
    return [summary(name, *sorted(others)) for name, others in neighbours.items()]


@st.composite
def networks(draw: st.DrawFn) -> tuple[int, Edges]:
    count = draw(st.integers(1, 12))
    pairs = [(a, b) for a in range(1, count + 1) for b in range(a + 1, count + 1)]
    return count, draw(st.sets(st.sampled_from(pairs))) if pairs else set()


@st.composite
def shuffled_graphs(draw: st.DrawFn) -> tuple[int, Graph]:
    """A network whose peers became known in any order, which must not matter."""
    count, edges = draw(networks())
    return count, _graph(draw(st.permutations(_peers(count, edges))))


def _reachable(graph: Graph, source: int) -> set[int]:
    return set(graph.reach(PeerName(source)))


@given(shuffled_graphs())
def test_every_reachable_peer_gets_exactly_one_copy(network: tuple[int, Graph]) -> None:
    count, graph = network
    at = {name: Routes(graph, PeerName(name)) for name in range(1, count + 1)}
    for source in map(PeerName, at):
        copies = Counter(child for routes in at.values() for child in routes.broadcast(source))
        assert set(copies) == _reachable(graph, source) - {source}
        assert set(copies.values()) <= {1}


@given(shuffled_graphs())
def test_parent_and_children_agree(network: tuple[int, Graph]) -> None:
    count, graph = network
    at = {name: Routes(graph, PeerName(name)) for name in range(1, count + 1)}
    for source in map(PeerName, at):
        for name, routes in at.items():
            parent = routes.place(source).parent
            if name == source or name not in _reachable(graph, source):
                assert parent is None
            else:
                assert parent is not None
                assert name in at[parent].broadcast(source)


@given(shuffled_graphs())
def test_unicast_gets_there_by_a_shortest_way(network: tuple[int, Graph]) -> None:
    count, graph = network
    at = {name: Routes(graph, PeerName(name)) for name in range(1, count + 1)}
    for start in map(PeerName, at):
        assert set(at[start].unicast) == _reachable(graph, start) - {start}
        for goal in at[start].unicast:
            hops = 0
            here = start
            while here != goal:
                here = at[here].unicast[goal]
                hops += 1
            assert hops == _distance(graph, start, goal)


def _distance(graph: Graph, start: PeerName, goal: PeerName) -> int:
    reached, steps = 1 << (graph.bit(start) or 0), 0
    while not reached >> (graph.bit(goal) or 0) & 1:
        steps += 1
        for bit in range(len(graph.names)):
            if reached >> bit & 1:
                reached |= graph.mutual[bit] << len(graph.names)
        reached = reached >> len(graph.names) | reached & (1 << len(graph.names)) - 1
    return steps


def test_lowest_name_of_a_level_takes_the_common_neighbour() -> None:
    graph = _graph(_peers(4, {(1, 2), (1, 3), (2, 4), (3, 4)}))
    assert Routes(graph, PeerName(2)).broadcast(PeerName(1)) == (4,)
    assert Routes(graph, PeerName(3)).broadcast(PeerName(1)) == ()
    assert Routes(graph, PeerName(4)).place(PeerName(1)).parent == 2


def test_all_connections_count_for_gossip_and_only_live_ones_for_frames() -> None:
    graph = _graph([summary(1, 2, edge(3, established=False)), summary(2, 1), summary(3)])
    routes = Routes(graph, PeerName(1))
    assert dict(routes.unicast) == {2: 2}
    assert dict(routes.unicast_all) == {2: 2, 3: 3}
    assert routes.broadcast(PeerName(1)) == (2,)
    assert routes.broadcast_all(PeerName(1)) == (2, 3)


def test_routes_follow_changes() -> None:
    graph = _graph(_peers(3, {(1, 2), (2, 3)}))
    routes = Routes(graph, PeerName(1))
    assert routes.unicast[PeerName(3)] == 2
    for peer in _peers(3, {(1, 2), (2, 3), (1, 3)}):
        graph.put(peer)
    assert routes.unicast[PeerName(3)] == 3
    assert routes.broadcast(PeerName(2)) == ()


@given(shuffled_graphs())
def test_behind_our_children_is_who_hears_a_broadcast_through_them(network: tuple[int, Graph]) -> None:
    count, graph = network
    at = {PeerName(name): Routes(graph, PeerName(name)) for name in range(1, count + 1)}
    for source in at:
        for routes in at.values():
            behind = routes.behind(source)
            assert set(behind) == set(routes.broadcast(source))
            for child, peers in behind.items():
                below = at[child].behind(source).values()
                assert peers == frozenset({child}).union(*below)


def test_the_first_to_spread_is_nearest_to_the_source_and_then_lowest() -> None:
    routes = Routes(_graph(_peers(5, {(1, 2), (1, 3), (2, 4), (3, 5)})), PeerName(5))
    assert routes.first_to_spread(PeerName(1), frozenset(map(PeerName, (2, 3, 4)))) == 2
    assert routes.first_to_spread(PeerName(5), frozenset(map(PeerName, (1, 2)))) == 1
    assert routes.first_to_spread(PeerName(1), frozenset()) is None
    assert routes.first_to_spread(PeerName(9), frozenset({PeerName(1)})) is None


def test_unknown_peers_have_no_routes() -> None:
    routes = Routes(_graph(_peers(2, {(1, 2)})), PeerName(1))
    assert routes.broadcast(PeerName(9)) == ()
    assert routes.place(PeerName(9)).parent is None
    assert routes.behind(PeerName(9)) == {}
    assert not Routes(Graph(), PeerName(1)).unicast


def test_hundreds_of_peers() -> None:
    """A full mesh: the search stops as soon as nothing can follow, so that this is no matter of seconds."""
    count = 300
    graph = _graph(_peers(count, {(a, b) for a in range(1, count + 1) for b in range(a + 1, count + 1)}))
    routes = Routes(graph, PeerName(7))
    assert len(routes.unicast) == count - 1
    assert len(routes.broadcast(PeerName(7))) == count - 1
    assert not any(routes.broadcast(PeerName(name)) for name in range(1, count + 1) if name != 7)


@given(st.data())
def test_what_is_kept_equals_what_is_computed_from_scratch(data: st.DataObject) -> None:
    """Whatever happens to a graph, and whatever was asked in between."""
    graph = Graph()
    graph.put(summary(1))
    kept = Routes(graph, PeerName(1))
    known: dict[int, PeerSummary] = {1: summary(1)}
    for _ in range(data.draw(st.integers(1, 12))):
        name = data.draw(st.integers(1, 6))
        ends = data.draw(st.dictionaries(st.integers(1, 6), st.booleans(), max_size=4))
        known[name] = summary(name, *(edge(end, established=live) for end, live in ends.items()))
        graph.put(known[name])
        for end in ends:
            known.setdefault(end, summary(end))
        gone = known.keys() - set(graph.reach(PeerName(1)))
        if gone and data.draw(st.booleans()):
            graph.remove(map(PeerName, sorted(gone)))
            known = {name: peer for name, peer in known.items() if name not in gone}
        fresh_graph = _graph([known[name] for name in data.draw(st.permutations(sorted(known)))])
        fresh = Routes(fresh_graph, PeerName(1))
        assert kept.unicast == fresh.unicast
        assert kept.unicast_all == fresh.unicast_all
        for source in map(PeerName, range(1, 7)):
            assert kept.broadcast(source) == fresh.broadcast(source)
            assert kept.broadcast_all(source) == fresh.broadcast_all(source)
            assert kept.place(source).parent == fresh.place(source).parent
            assert kept.behind(source) == fresh.behind(source)
