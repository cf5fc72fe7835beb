"""Who has to go so that a host which nobody knows gets in."""

import hypothesis.strategies as st
from hypothesis import given

from mesh.builders import edge, make_link, summary
from mesh.stage import Stage
from tulle.mesh.events import CloseLink
from tulle.mesh.graph import Graph
from tulle.mesh.links import LinkTable
from tulle.mesh.peername import PeerName
from tulle.mesh.room import dispensable
from tulle.mesh.topology import Topology

EDGES = st.sets(st.tuples(st.integers(1, 6), st.integers(1, 6)).filter(lambda pair: pair[0] != pair[1]))


def _graph(edges: set[tuple[int, int]]) -> Graph:
    graph = Graph()
    for name in range(1, 7):
        graph.put(summary(name, *sorted(b for a, b in edges if a == name)))
    return graph


@given(EDGES)
def test_a_detour_is_what_remains_without_the_connection_itself(edges: set[tuple[int, int]]) -> None:
    mutual = {(a, b) for a, b in edges if (b, a) in edges}
    for a in range(1, 7):
        for b in range(1, 7):
            if a != b:
                rest = _graph(mutual - {(a, b), (b, a)})
                found = _graph(edges).has_detour(PeerName(a), PeerName(b))
                assert found is (PeerName(b) in rest.reach(PeerName(a)))


def _ring_of_three_and_a_loner() -> tuple[Topology, LinkTable]:
    """We (1) are connected to 2, 3 and 4; so are 2 and 3 to each other, and 3 to 5."""
    topology = Topology(summary(1, 2, 3, 4))
    topology.merge([summary(2, 1, 3), summary(3, 1, 2, 5), summary(4, 1), summary(5, 3)])
    links = LinkTable()
    for number in (2, 3, 4):
        link = make_link(number, number)
        links.add(link)
        links.raise_up(link)
    return topology, links


def test_the_best_connected_neighbour_with_another_way_goes() -> None:
    topology, links = _ring_of_three_and_a_loner()
    spare = dispensable(topology, links, PeerName(9))
    assert spare is links.up[PeerName(3)]


def test_nobody_goes_for_a_peer_that_has_another_way() -> None:
    topology, links = _ring_of_three_and_a_loner()
    assert dispensable(topology, links, PeerName(5)) is None


def test_nobody_goes_who_has_no_other_way() -> None:
    topology, links = _ring_of_three_and_a_loner()
    topology.merge([summary(2, 1, version=2), summary(3, 1, edge(2), version=2)])
    assert dispensable(topology, links, PeerName(9)) is None


def test_at_the_limit_a_stranger_takes_the_place_of_a_neighbour_that_others_reach() -> None:
    stage = Stage(conn_limit=2)
    two, three = stage.meet(2), stage.meet(3)
    stage.tell(two, 2, summary(2, 1, 3, version=3))
    stage.tell(three, 3, summary(3, 1, 2, version=3))
    stage.meet(9)
    closed = [event.link for event in stage.mesh.collect() if isinstance(event, CloseLink)]
    assert closed == [three]
    assert {view.peer for view in stage.mesh.links()} == {2, 9}
