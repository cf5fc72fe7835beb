"""Levels of bits, against the search that they stand for, written out."""

from hypothesis import given
from hypothesis import strategies as st

from tulle.datapath.spanning import Web
from tulle.mesh.peername import PeerName

COUNT = 9
NAMES = [PeerName(number) for number in range(1, COUNT + 1)]
Claims = dict[PeerName, frozenset[PeerName]]
claims_of_all = st.fixed_dictionaries({name: st.frozensets(st.sampled_from(NAMES)) for name in NAMES}).map(
    lambda claims: {name: others - {name} for name, others in claims.items()}
)
some = st.frozensets(st.sampled_from(NAMES))


def plain_search(
    edges: Claims, source: PeerName, start: frozenset[PeerName]
) -> tuple[dict[PeerName, PeerName], list[PeerName]]:
    """Who is reached through whom, and the order in which all are expanded."""
    parents, order, level = {source: source}, [source], [source]
    while level:
        for name in level:
            for other in sorted((start if name == source else edges[name]) - parents.keys()):
                parents[other] = name
        level = sorted(other for other in parents if parents[other] in level and other not in order)
        order += level
    return parents, order


def mutual(claims: Claims, live: frozenset[PeerName]) -> Claims:
    return {one: frozenset(two for two in claims[one] & live if one in claims[two]) for one in live}


@given(claims_of_all, some, st.sampled_from(NAMES), some)
def test_a_search_from_a_live_peer(
    claims: Claims, live: frozenset[PeerName], source: PeerName, candidates: frozenset[PeerName]
) -> None:
    live |= {source}
    web = Web(claims, live)
    edges = mutual(claims, live)
    parents, order = plain_search(edges, source, edges[source])
    levels = web.levels(source)
    assert web.first(levels, candidates) == next((name for name in order if name in candidates), None)
    for name in live - {source}:
        assert web.parent(levels, name) == parents.get(name)
    for name in live:
        assert web.children(levels, name) == [
            one for one in sorted(parents) if parents[one] == name and one != name
        ]


@given(claims_of_all, some, some)
def test_a_search_from_a_ghost(
    claims: Claims, live: frozenset[PeerName], neighbours: frozenset[PeerName]
) -> None:
    ghost = PeerName(COUNT + 1)
    web = Web(claims, live)
    start = web.among(neighbours)
    assert start == neighbours & live
    parents, _ = plain_search({**mutual(claims, live), ghost: start}, ghost, start)
    levels = web.levels_beyond(start)
    for name in live:
        reached_by = parents.get(name)
        assert web.parent(levels, name) == (None if reached_by == ghost else reached_by)


@given(claims_of_all, some, st.sampled_from(NAMES), some)
def test_the_sources_that_come_to_a_candidate_first(
    claims: Claims, live: frozenset[PeerName], me: PeerName, candidates: frozenset[PeerName]
) -> None:
    live |= {me}
    edges = mutual(claims, live)
    led = set()
    for source in live:
        _, order = plain_search(edges, source, edges[source])
        if next((name for name in order if name in candidates), None) == me:
            led.add(source)
    assert Web(claims, live).led_by(me, candidates) == led
