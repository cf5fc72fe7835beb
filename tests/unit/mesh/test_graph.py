"""Connections as bits."""

import pytest

from mesh.builders import edge, names, summary
from tulle.mesh.graph import Graph, bits
from tulle.mesh.peername import PeerName


def _mutual(graph: Graph, name: int) -> set[int]:
    bit = graph.bit(PeerName(name))
    assert bit is not None
    return {graph.names[other] for other in bits(graph.mutual[bit])}


def test_bits() -> None:
    assert list(bits(0b1010_0001)) == [0, 5, 7]
    assert list(bits(0)) == []


def test_mutual_needs_both_ends_established() -> None:
    graph = Graph()
    graph.put(summary(1, 2, edge(3, established=False)))
    assert _mutual(graph, 1) == set()
    graph.put(summary(2, 1))
    graph.put(summary(3, 1))
    assert _mutual(graph, 1) == {2}
    assert _mutual(graph, 2) == {1}
    graph.put(summary(1, 2, 3))
    assert _mutual(graph, 3) == {1}
    graph.put(summary(1))
    assert _mutual(graph, 2) == _mutual(graph, 3) == set()


def test_reach_follows_connections_of_any_state() -> None:
    graph = Graph()
    graph.put(summary(1, edge(2, established=False)))
    graph.put(summary(2, 3))
    graph.put(summary(4, 1))
    assert graph.reach(PeerName(1)) == {1, 2, 3}
    assert graph.reach(PeerName(3)) == {3}


def test_a_connection_to_oneself_does_not_count() -> None:
    graph = Graph()
    graph.put(summary(1, 1))
    assert _mutual(graph, 1) == set()


def test_bits_of_removed_peers_are_used_again_without_traces() -> None:
    graph = Graph()
    graph.put(summary(1, 2))
    graph.put(summary(2, 1, 3))
    graph.put(summary(1))
    graph.remove(names([2, 3]))
    assert graph.bit(PeerName(2)) is None
    graph.put(summary(1, 5))
    graph.put(summary(5, 6))
    assert len(graph.names) == 3
    assert graph.reach(PeerName(1)) == {1, 5, 6}
    assert _mutual(graph, 1) == set()


def test_generation_grows_with_changes_only() -> None:
    graph = Graph()
    graph.put(summary(1, 2))
    generation = graph.generation
    graph.put(summary(1, 2, version=9))
    assert graph.generation == generation
    graph.put(summary(1))
    assert graph.generation > generation


def test_removing_an_unknown_peer_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        Graph().remove(names([1]))
