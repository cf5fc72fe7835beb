"""What is known of peers merges to the same everywhere, and stays within bounds."""

from functools import reduce
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given

from mesh.builders import edge, summary
from tulle.mesh import topology as module
from tulle.mesh.peername import PeerName
from tulle.mesh.summary import PeerSummary
from tulle.mesh.topology import MAX_VERSION, Topology, is_placeholder, supersedes


def _described(name: int, uid: int, version: int, has_short_id: bool) -> PeerSummary:
    """A peer's word: the same numbers never go with two contents."""
    others = [other for other in range(2, 7) if other != name and (version >> other % 3) & 1]
    short_id = (name * 7 + uid) % 16 if has_short_id else None
    return summary(name, *others, version=version, uid=uid, short_id=short_id)


descriptions = st.builds(
    _described, st.integers(2, 6), st.integers(1, 3), st.integers(0, 7), has_short_id=st.booleans()
)
updates = st.lists(descriptions, max_size=8, unique_by=lambda peer: peer.name)


def _after(*rounds: list[PeerSummary]) -> Topology:
    topology = Topology(summary(1, version=0))
    for update in rounds:
        topology.merge(update)
    return topology


def _state(topology: Topology) -> object:
    """All but the placeholders: one that only an outdated description listed stays until it is collected."""
    described = {name: peer for name, peer in topology.peers.items() if not is_placeholder(peer)}
    return described, dict(topology.short_ids.owners), topology._connections


@given(updates, updates)
def test_merge_commutes(one: list[PeerSummary], other: list[PeerSummary]) -> None:
    assert _state(_after(one, other)) == _state(_after(other, one))


@given(updates, updates, updates)
def test_merge_associates(one: list[PeerSummary], two: list[PeerSummary], three: list[PeerSummary]) -> None:
    passed_on = list(_after(two, three).peers.values())
    passed_on = [peer for peer in passed_on if peer.name != 1 and not is_placeholder(peer)]
    assert _state(_after(one, two, three)) == _state(_after(one, passed_on))


@given(updates, updates)
def test_merge_is_idempotent(one: list[PeerSummary], other: list[PeerSummary]) -> None:
    topology = _after(one, other)
    before = _state(topology)
    result = topology.merge(one)
    assert _state(topology) == before
    assert not result.fresh


@given(st.lists(updates, max_size=5))
def test_descriptions_only_get_newer(rounds: list[list[PeerSummary]]) -> None:
    topology = Topology(summary(1, version=0))
    for update in rounds:
        before = dict(topology.peers)
        result = topology.merge(update)
        changed = {name for name, peer in topology.peers.items() if before.get(name, peer) != peer}
        assert changed <= result.fresh
        for name in changed:
            assert supersedes(topology.peers[name], before[name])
        for theirs in update:
            assert (theirs.name in result.outdated) == supersedes(topology.peers[theirs.name], theirs)


@given(st.lists(updates, min_size=1, max_size=4))
def test_graph_follows_the_descriptions(rounds: list[list[PeerSummary]]) -> None:
    grown, anew = _after(*rounds), Topology(summary(1, version=0))
    anew.merge(peer for peer in grown.peers.values() if peer.name != 1 and not is_placeholder(peer))
    assert all(grown.graph.reach(name) == anew.graph.reach(name) for name in anew.peers)
    assert grown.undescribed == {peer.name for peer in grown.peers.values() if is_placeholder(peer)}


@given(st.lists(descriptions, min_size=2, max_size=6))
def test_supersedes_is_a_total_preorder(peers: list[PeerSummary]) -> None:
    best = reduce(lambda a, b: b if supersedes(b, a) else a, peers)
    assert not any(supersedes(peer, best) for peer in peers)
    assert not any(supersedes(a, b) and supersedes(b, a) for a, b in pairwise(peers))


def test_same_number_with_a_short_id_completes_one_without() -> None:
    topology = _after([summary(2, version=3)])
    assert topology.merge([summary(2, version=3, short_id=9)]).fresh == {2}
    assert not topology.merge([summary(2, version=3)]).fresh
    assert topology.short_ids.owners == {9: 2}


def test_listed_peers_are_placeholders_until_described() -> None:
    topology = _after([summary(2, 3)])
    assert is_placeholder(topology.peers[PeerName(3)])
    assert topology.undescribed == {3}
    topology.merge([summary(3)])
    assert not topology.undescribed


def test_an_older_incarnation_of_us_makes_us_jump_beyond() -> None:
    topology = Topology(summary(1, version=2, uid=5))
    assert topology.merge([summary(1, 9, version=40, uid=4)]).contested
    assert topology.me.version == 41
    assert topology.me.uid == 5
    assert not topology.me.connections


def test_our_own_word_back_is_no_news() -> None:
    topology = Topology(summary(1, version=2, uid=5))
    assert not topology.merge([summary(1, version=2, uid=5)]).contested
    assert not topology.merge([summary(1, version=1, uid=9)]).contested
    assert topology.merge([summary(1, version=3, uid=5)]).contested
    assert topology.me.version == 4


def test_equal_version_of_another_uid_is_contested() -> None:
    topology = Topology(summary(1, version=2, uid=5))
    assert topology.merge([summary(1, version=2, uid=4)]).contested
    assert topology.me.version == 3


def test_nobody_can_push_our_version_over_the_edge() -> None:
    topology = Topology(summary(1, version=2, uid=5))
    assert not topology.merge([summary(1, version=MAX_VERSION, uid=4)]).contested
    topology.merge([summary(1, version=MAX_VERSION - 1, uid=4)])
    topology.connect(edge(2))
    topology.disconnect(edge(2).name)
    assert topology.me.version == MAX_VERSION


def test_own_changes_bump_the_version() -> None:
    topology = Topology(summary(1, version=0))
    topology.connect(edge(2, established=False))
    topology.connect(edge(2, established=False, address="10.0.0.7:1"))
    assert [known.address for known in topology.me.connections] == ["10.0.0.7:1"]
    assert topology.establish(edge(2).name, True)
    assert not topology.establish(edge(2).name, True)
    topology.set_short_id(8)
    topology.disconnect(edge(2).name)
    assert topology.me.version == 5
    assert topology.me.short_id == 8
    assert not topology.me.connections


def test_introduce_only_fills_gaps() -> None:
    topology = _after([summary(2, 3)])
    assert topology.introduce(summary(3, version=0))
    assert not topology.introduce(summary(3, version=0, uid=77))
    assert not topology.introduce(summary(2, version=0))
    assert topology.introduce(summary(4, version=0))


def test_garbage_is_what_no_path_leads_to() -> None:
    topology = _after([summary(2, 1, short_id=4), summary(3, 4, short_id=5)])
    topology.connect(edge(2))
    assert topology.collect_garbage() == (3, 4)
    assert set(topology.peers) == {1, 2}
    assert topology.short_ids.owners == {4: 2}
    assert topology.collect_garbage() == ()


def test_peers_come_back_after_garbage_collection() -> None:
    topology = _after([summary(3, 4)])
    topology.collect_garbage()
    topology.merge([summary(5, 3), summary(3, 5)])
    topology.connect(edge(5))
    assert topology.collect_garbage() == ()
    assert topology.graph.reach(topology.me.name) == {1, 3, 5}


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PEERS", 5)
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 6)


@pytest.mark.usefixtures("_small")
def test_a_hostile_peer_cannot_make_it_grow() -> None:
    topology = Topology(summary(1, version=0))
    result = topology.merge([summary(2, *range(10, 20)), *(summary(name) for name in range(20, 40))])
    assert result.refused == 17
    assert len(topology.peers) == 5
    assert not topology.introduce(summary(50))


@pytest.mark.usefixtures("_small")
def test_connections_are_limited_too() -> None:
    topology = Topology(summary(1, version=0))
    for version in range(1, 4):
        topology.merge([summary(name, *{2, 3, 4, 5} - {name}, version=version) for name in (2, 3, 4, 5)])
    assert sum(len(peer.connections) for peer in topology.peers.values()) <= 6
