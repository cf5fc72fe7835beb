"""Whom we tell, and whom we leave to others."""

from random import Random

import hypothesis.strategies as st
from hypothesis import given

from mesh.builders import edge, make_link, summary
from tulle.mesh import audience as module
from tulle.mesh.audience import Audience
from tulle.mesh.links import LinkTable
from tulle.mesh.peername import PeerName
from tulle.mesh.routes import Routes
from tulle.mesh.topology import Topology


def _audience(me: int, neighbours: dict[int, set[int]], foreign: frozenset[int] = frozenset()) -> Audience:
    """Peer ``me`` with links to all in ``neighbours``, which say that they have these connections."""
    topology, links = Topology(summary(me, version=0)), LinkTable()
    for number, (peer, others) in enumerate(sorted(neighbours.items()), 1):
        topology.merge([summary(peer, *sorted(others))])
        topology.connect(edge(peer))
        link = make_link(number, peer, tells_all=peer not in foreign)
        links.add(link)
        links.raise_up(link)
    return Audience(topology, Routes(topology.graph, PeerName(me)), links, Random(0))


def test_our_own_news_is_for_everybody() -> None:
    assert _audience(1, {2: {1}, 3: {1, 2}}).of(None) == {2, 3}


def test_what_the_teller_reaches_is_left_to_it() -> None:
    assert _audience(1, {2: {1, 3}, 3: {1, 2}, 4: {1}}).of(PeerName(2)) == {4}


def test_news_from_another_kind_is_for_all_of_ours() -> None:
    audience = _audience(1, {2: {1, 3, 4}, 3: {1, 2}, 4: {1, 2}}, foreign=frozenset((2,)))
    assert audience.of(PeerName(2)) == {3, 4}


def test_those_of_another_kind_are_chosen_at_random() -> None:
    peers = {peer: {1} for peer in range(2, 40)}
    audience = _audience(1, peers, foreign=frozenset(range(10, 40)))
    chosen = audience.of(None)
    assert set(range(2, 10)) < chosen
    assert len(chosen) < 25


@st.composite
def _networks(draw: st.DrawFn) -> dict[int, set[int]]:
    """Connections among peers 1 to 9, alike at both ends."""
    pairs = [(a, b) for a in range(1, 10) for b in range(a + 1, 10)]
    chosen = draw(st.sets(st.sampled_from(pairs)))
    return {name: {a + b - name for a, b in chosen if name in (a, b)} for name in range(1, 10)}


@given(_networks(), st.integers(1, 9))
def test_news_reaches_everybody_there_is_a_path_to(network: dict[int, set[int]], origin: int) -> None:
    at = {me: _audience(me, {other: network[other] for other in network[me]}) for me in network}
    copies = dict.fromkeys(network, 0)
    heard, waiting = {origin}, [(origin, None)]
    while waiting:
        here, teller = waiting.pop(0)
        for listener in at[here].of(teller if teller is None else PeerName(teller)):
            copies[listener] += 1
            if listener not in heard:
                heard.add(listener)
                waiting.append((listener, here))
    reachable, frontier = {origin}, {origin}
    while frontier:
        frontier = set().union(*(network[name] for name in frontier)) - reachable
        reachable |= frontier
    assert heard == reachable


def test_in_a_dense_network_few_tell_the_same_peer() -> None:
    everybody = set(range(1, 22))
    network = {name: everybody - {name} for name in everybody}
    network[21] -= {1}
    network[1] -= {21}
    tellers = 0
    for me in range(2, 21):
        audience = _audience(me, {other: network[other] for other in network[me]})
        tellers += 21 in audience.of(PeerName(1))
    assert tellers == module.ENOUGH_TELLERS


def test_what_a_new_neighbour_is_owed() -> None:
    audience = _audience(1, {2: {1, 3}, 3: {1, 2}, 4: {1}})
    assert audience.owes(PeerName(3), None)
    assert not audience.owes(PeerName(3), PeerName(2))
    assert audience.owes(PeerName(4), PeerName(2))
    assert audience.owes(PeerName(4), PeerName(99))


def test_beyond() -> None:
    audience = _audience(1, {2: {1, 3}})
    assert audience.beyond(PeerName(2), map(PeerName, (1, 2, 3, 4))) == {2, 4}
    assert audience.listed_by(PeerName(77)) == audience.listed_by(None) == set()
