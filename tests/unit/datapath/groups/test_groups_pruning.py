"""Pruned trees bring a group's frames to all who listen, over as few hosts as there can be."""

from collections import Counter
from collections.abc import Iterable, Mapping

import hypothesis.strategies as st
import pytest
from hypothesis import given

from datapath.groups.interests import group, named
from datapath.network import Network
from tulle.datapath.groups import pruning
from tulle.datapath.groups.pruning import GroupTables, Twig, branch_of, prune
from tulle.datapath.groups.record import Interest
from tulle.datapath.tables import ShortId
from tulle.mesh.peername import PeerName

GROUP = group("239.1.1.1")
LISTENS, SILENT, ALL = Interest(1, named("239.1.1.1")), Interest(1), Interest(1, everything=True)
LINE = [(1, 2), (2, 3), (3, 4)]


def everyone(network: Network, listeners: Iterable[int]) -> dict[int, Interest]:
    listening = set(listeners)
    return {number: LISTENS if number in listening else SILENT for number in network.nodes}


def pruned(network: Network, number: int, interests: Mapping[int, Interest]) -> GroupTables:
    picture = network.picture(number)
    live = {*picture.routes.unicast, picture.me}
    forwarding = network.nodes[number].forwarding
    return prune(
        forwarding.tables,
        {one: name for name, one in picture.short_ids.items() if name in live},
        picture.routes,
        forwarding.ghosts(),
        {PeerName(name): interest for name, interest in interests.items()},
    )


def multicast(network: Network, source: int, interests: Mapping[int, Interest]) -> Counter[int]:
    """How often each host's tunnel takes a frame for the group."""
    every = {number: pruned(network, number, interests) for number in network.nodes}
    taken: Counter[int] = Counter()
    waiting = [source]
    while waiting:
        at = waiting.pop()
        tree = network.nodes[at].tables.trees.get(ShortId(source))
        for child, _ in tree.children if tree else ():
            branch = every[at].branches.get(Twig(ShortId(source), child))
            if branch is None or (branch, GROUP) in every[at].listening:
                taken[child] += 1
                waiting.append(child)
    return taken


@st.composite
def crowds(draw: st.DrawFn) -> tuple[Network, int, set[int]]:
    """A connected network, a source and listeners."""
    count = draw(st.integers(2, 9))
    links = {(draw(st.integers(1, number - 1)), number) for number in range(2, count + 1)}
    pairs = [(a, b) for a in range(1, count + 1) for b in range(a + 1, count + 1)]
    links |= draw(st.sets(st.sampled_from(pairs), max_size=6))
    hosts = st.integers(1, count)
    return Network(links), draw(hosts), draw(st.sets(hosts))


@given(crowds())
def test_listeners_get_one_copy_and_a_host_without_any_behind_it_none(
    crowd: tuple[Network, int, set[int]],
) -> None:
    network, source, listeners = crowd
    taken = multicast(network, source, everyone(network, listeners))
    assert all(taken[number] == 1 for number in listeners - {source})
    assert set(taken.values()) <= {1}
    needed: set[int] = set()
    for listener in listeners - {source}:
        at: int | None = listener
        while at is not None and at != source:
            needed.add(at)
            at = network.picture(at).routes.place(PeerName(source)).parent
    assert set(taken) == needed


def test_in_a_line_relays_carry_what_those_behind_them_want() -> None:
    network = Network(LINE)
    assert multicast(network, 1, everyone(network, [3])) == {2: 1, 3: 1}
    assert multicast(network, 4, everyone(network, [1])) == {3: 1, 2: 1, 1: 1}
    assert multicast(network, 2, everyone(network, [1])) == {1: 1}
    assert multicast(network, 1, everyone(network, [])) == {}


def test_who_has_not_spoken_and_who_wants_everything_gets_everything() -> None:
    network = Network(LINE)
    interests = everyone(network, [])
    del interests[4]
    assert multicast(network, 1, interests) == {2: 1, 3: 1, 4: 1}
    assert multicast(network, 1, everyone(network, []) | {2: ALL}) == {2: 1}


@given(crowds(), st.data())
def test_ghosts_get_everything(crowd: tuple[Network, int, set[int]], data: st.DataObject) -> None:
    network, source, listeners = crowd
    interests = everyone(network, listeners)
    dead = data.draw(st.sampled_from(sorted(network.nodes)))
    reached_before = network.broadcast(source)
    network.kill(dead)
    del interests[dead]
    reached = network.broadcast(source)
    taken = multicast(network, source, interests)
    assert {number for number in reached if number in listeners} <= set(taken)
    if dead in reached and dead in reached_before:
        assert taken[dead] == 1


def test_nothing_is_pruned_while_an_earlier_life_s_acquaintances_are_not_met() -> None:
    network = Network(LINE)
    network.revive(2)
    assert pruned(network, 2, everyone(network, [])) == GroupTables()


def test_sources_behind_the_same_peers_share_a_branch() -> None:
    network = Network([(1, 3), (2, 3), (3, 4), (4, 5)])
    found = pruned(network, 3, everyone(network, [5]))
    shared = branch_of(frozenset({PeerName(5), PeerName(4)}))
    for source in (1, 2, 3):
        assert found.branches[Twig(ShortId(source), ShortId(4))] == shared
    assert found.listening == {(shared, GROUP)}


def test_what_the_kernel_cannot_hold_is_not_pruned(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network([(1, 2), (1, 3)])
    monkeypatch.setattr(pruning, "MAX_LISTENING", 1)
    found = pruned(network, 1, everyone(network, [2, 3]))
    assert len(set(found.branches.values())) == len(found.listening) == 1
    monkeypatch.setattr(pruning, "MAX_BRANCHES", 0)
    assert pruned(network, 1, everyone(network, [2, 3])).branches == {}
