"""Changes of descriptions: who has an earlier one ends up with the very same, or notices that it cannot."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.builders import edge, summary
from mesh.stage import Stage
from tulle.errors import BadMessage
from tulle.mesh.changes import apply_changes, begin, followed, write_changes
from tulle.mesh.descriptions import CHANNEL, Descriptions
from tulle.mesh.dialect import GossipMessage
from tulle.mesh.entries import checksum
from tulle.mesh.mesh import Mesh
from tulle.mesh.peername import PeerName
from tulle.mesh.summary import ConnectionSummary, PeerSummary

P = PeerName(2)
EDGES = st.dictionaries(
    st.integers(3, 12), st.tuples(st.booleans(), st.booleans(), st.sampled_from(["", "h", "[::1]:1"]))
)
LIVES = st.lists(EDGES, min_size=2, max_size=9)
"""The connections of a peer in one version after the other."""


def _said(edges: dict[int, tuple[bool, bool, str]], version: int) -> PeerSummary:
    return summary(P, *(edge(name, *rest) for name, rest in edges.items()), version=version)


def _alike(one: PeerSummary, other: PeerSummary) -> bool:
    ends = [frozenset(peer.connections) for peer in (one, other)]
    return ends[0] == ends[1] and replace(one, connections=()) == replace(other, connections=())


@given(LIVES, st.data())
def test_whoever_has_a_version_in_between_ends_up_with_the_same(
    lives: list[dict[int, tuple[bool, bool, str]]], data: st.DataObject
) -> None:
    """Over a relay, too, or notices that it does not: the relay was told the whole where it missed some."""
    all_said = [_said(edges, version) for version, edges in enumerate(lives)]
    last = len(all_said) - 1
    versions = st.integers(0, last)
    since, has = sorted((data.draw(versions), data.draw(versions)))
    writer, relay = Descriptions({}, P), {P: all_said[data.draw(st.integers(0, since))]}
    passing = Descriptions(relay)
    for said in all_said:
        told = passing.decode(writer.encode([said], {P: relay[P].version}))
        if said.version > relay[P].version and (said.version == last or data.draw(st.booleans())):
            relay[P] = told[0]
    for payload in (writer.encode([all_said[-1]], {P: since}), passing.encode([relay[P]], {P: since})):
        peers, missed = Descriptions({P: all_said[has]}).read(payload)
        assert _alike(peers[0], all_said[-1]) if peers else missed == [P]
    peers, missed = Descriptions({P: all_said[has]}).read(writer.encode([all_said[-1]], {P: since}))
    assert not missed, "whoever changes itself knows all that it said"


@given(LIVES, st.integers(0, 8), st.integers(0, 8))
def test_what_does_not_fit_is_noticed(
    lives: list[dict[int, tuple[bool, bool, str]]], wrong: int, since: int
) -> None:
    """Whoever has something else under this number is not led astray by changes."""
    all_said = [_said(edges, version) for version, edges in enumerate(lives)]
    writer = Descriptions({}, P)
    for said in all_said:
        payload = writer.encode([said], {P: since})
    odd = replace(all_said[min(since, len(lives) - 1)], connections=all_said[wrong % len(lives)].connections)
    peers, missed = Descriptions({P: odd}).read(payload)
    assert (
        missed == [P]
        if not peers
        else frozenset(peers[0].connections)
        in {
            frozenset(all_said[-1].connections),
            frozenset(odd.connections) if odd.version == all_said[-1].version else None,
        }
    )


@given(st.binary(max_size=120), st.integers(0, 1))
def test_hostile_changes_are_refused_or_do_not_fit(junk: bytes, form: int) -> None:
    history = begin(summary(2, 3, 4))
    try:
        after = apply_changes(history, summary(2, version=9), form, junk)
    except BadMessage:
        return
    assert after is None or after.checksum == checksum(after.peer.connections)


def test_changes_are_few_bytes() -> None:
    writer, before = Descriptions({}, P), summary(2, *range(3, 43))
    whole = writer.encode([before])
    after = replace(before, version=2, connections=(*before.connections, edge(60)))
    assert len(writer.encode([after], {P: 1})) < len(whole) / 5


@pytest.mark.parametrize("since", [0, 2, 3])
def test_there_are_no_changes_since_what_was_not_seen_or_is_the_same(since: int) -> None:
    history = followed(begin(summary(2, 3, version=1)), summary(2, 3, 4, version=2))
    assert write_changes(history, since) is None
    assert write_changes(history, 1) is not None


def test_a_history_longer_than_its_peer_is_forgotten() -> None:
    history = begin(summary(2, version=0))
    for version in range(1, 40):
        history = followed(history, summary(2, version + 2, version=version))
        assert len(history.touched) <= 17
    assert history.since > 0


@pytest.mark.parametrize(
    ("gone", "changed", "text"),
    [
        ([3, 3], [], "twice"),
        ([3], [3], "twice"),
        ([], [3, 3], "twice"),
        ([2], [], "itself"),
        ([0], [], "zero"),
    ],
)
def test_what_changes_must_not_say(gone: list[int], changed: list[int], text: str) -> None:
    entries = b"".join(name.to_bytes(6, "big") + bytes(8) for name in changed)
    body = bytes(12) + len(gone).to_bytes(2, "big") + b"".join(name.to_bytes(6, "big") for name in gone)
    with pytest.raises(BadMessage, match=text):
        apply_changes(begin(summary(2, 3)), summary(2, version=9), 0, body + entries)


def test_a_neighbour_is_told_the_whole_and_then_changes() -> None:
    stage = Stage()
    new, old = stage.meet(2), stage.meet(3, changes=False)
    stage.pass_time(3)
    stage.sent(new), stage.sent(old)
    stage.mesh.set_established(new, True, stage.now)
    stage.pass_time(3)
    assert _connections(stage, new, {}) == [], "of a reader that has nothing, the whole must be asked for"
    stage.mesh.set_established(new, False, stage.now)
    stage.pass_time(3)
    told = _connections(stage, old, {})
    assert [len(connections) for connections in told] == [2], "who reads no changes is told the whole"


def test_who_cannot_use_changes_asks_for_the_whole_and_gets_it() -> None:
    """Between two meshes: the reader has forgotten, which the writer cannot know."""
    stage, link = Stage(), None
    link = stage.meet(2)
    stage.tell(link, 2, summary(2, 1, 5, version=4), summary(5, 2, version=3))
    stage.pass_time(3)
    stage.sent(link)
    writer = Descriptions({}, PeerName(5))
    writer.encode([summary(5, 2, 6, version=7)])
    changes = writer.encode([summary(5, 2, 6, 7, version=8)], {PeerName(5): 7})
    stage.give(link, GossipMessage(CHANNEL, PeerName(2), changes))
    stage.pass_time(3)
    asked = [m.payload for m in stage.sent(link) if isinstance(m, GossipMessage) and m.channel == CHANNEL]
    assert len(asked) == 1
    helper = Stage()
    there = helper.meet(3)
    helper.tell(there, 3, summary(3, 1, 5), summary(5, 3, version=8))
    helper.pass_time(0.5)
    helper.sent(there)
    helper.give(there, GossipMessage(CHANNEL, PeerName(3), asked[0]))
    helper.pass_time(3)
    assert helper.told(there)[5].version == 8
    stage.give(link, GossipMessage(CHANNEL, PeerName(2), writer.encode([summary(5, 2, 6, 7, version=8)])))
    assert _peer(stage.mesh, 5).version == 8
    stage.pass_time(3)
    assert 5 not in stage.told(link)


def test_changes_of_ourselves_that_we_did_not_make_are_contradicted() -> None:
    stage = Stage()
    link = stage.meet(2)
    twin = Descriptions({}, PeerName(1))
    twin.encode([summary(1, 2, version=70, uid=5)])
    changes = twin.encode([summary(1, 2, 3, version=80, uid=5)], {PeerName(1): 70})
    stage.give(link, GossipMessage(CHANNEL, PeerName(2), changes))
    assert _peer(stage.mesh, 1).version > 80


def _peer(mesh: Mesh, name: int) -> PeerSummary:
    return mesh.peers()[PeerName(name)]


def _connections(
    stage: Stage, link: object, known: dict[PeerName, PeerSummary]
) -> list[tuple[ConnectionSummary, ...]]:
    """What is told about ourselves, to somebody who knows this."""
    messages = stage.sent(link)  # type: ignore[arg-type]
    payloads = [m.payload for m in messages if isinstance(m, GossipMessage) and m.channel == CHANNEL]
    told = [peer for payload in payloads for peer in Descriptions(known).decode(payload)]
    return [peer.connections for peer in told if peer.name == 1]
