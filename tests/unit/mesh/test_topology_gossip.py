"""Who is told what of the topology, when, and that nobody is told twice."""

import pytest

from mesh.builders import edge, summary
from mesh.stage import Stage
from tulle.mesh import topology_gossip as module
from tulle.mesh.descriptions import Descriptions
from tulle.mesh.dialect import BroadcastMessage, GossipMessage, Heartbeat
from tulle.mesh.dialect.weave.topology import encode_topology
from tulle.mesh.events import LinkId
from tulle.mesh.peername import PeerName
from tulle.mesh.topology_gossip import FIRST_HOLD_SECONDS, SHORTEST_GAP_SECONDS


def _full(*peers: int, tells_all: bool = True) -> tuple[Stage, dict[int, LinkId]]:
    """A stage with these neighbours, which list each other and us, after everything was said."""
    stage = Stage()
    links = {peer: stage.meet(peer, tells_all=tells_all) for peer in peers}
    for peer, link in links.items():
        others = [other for other in (1, *peers) if other != peer]
        stage.tell(link, peer, summary(peer, *others, version=5))
    stage.pass_time(10)
    for link in links.values():
        stage.sent(link)
    return stage, links


def test_our_own_changes_are_told_to_all_after_a_moment() -> None:
    stage, links = _full(2, 3, 4)
    stage.mesh.set_established(links[2], True, stage.now)
    assert all(not stage.told(link) for link in links.values())
    stage.pass_time(FIRST_HOLD_SECONDS)
    for link in links.values():
        assert [known.established for known in stage.told(link)[1].connections] == [True, False, False]


def test_more_changes_make_one_message() -> None:
    stage, links = _full(2, 3)
    for peer in (2, 3, 2):
        stage.mesh.set_established(links[peer], True, stage.now)
        stage.pass_time(FIRST_HOLD_SECONDS / 2)
    stage.mesh.set_established(links[3], False, stage.now)
    stage.pass_time(1)
    messages = [message for message in stage.sent(links[2]) if isinstance(message, GossipMessage)]
    assert len(messages) == 1


def test_a_busy_time_makes_pauses_longer() -> None:
    stage, links = _full(2)
    told = []
    for step in range(100):
        stage.mesh.set_established(links[2], step % 2 == 0, stage.now)
        stage.pass_time(0.05)
        if stage.told(links[2]):
            told.append(stage.mono)
    assert 5 <= len(told) <= 8
    assert told[2] - told[1] >= SHORTEST_GAP_SECONDS


def test_news_goes_only_where_its_sender_does_not_reach() -> None:
    stage, links = _full(2, 3)
    outsider = stage.meet(4)
    stage.pass_time(5)
    stage.sent(outsider)
    stage.tell(links[2], 2, summary(9, 2, version=1))
    stage.pass_time(0.5)
    assert 9 not in stage.told(links[2])
    assert 9 not in stage.told(links[3])
    assert 9 in stage.told(outsider)


def test_news_from_another_kind_goes_to_all_of_ours() -> None:
    stage, links = _full(2, 3)
    foreign = stage.meet(4, tells_all=False)
    stage.pass_time(5)
    stage.sent(foreign)
    stage.tell(foreign, 4, summary(4, 1, 2, 3, version=7))
    stage.pass_time(0.5)
    assert stage.told(links[2])[4].version == 7
    assert stage.told(links[3])[4].version == 7
    assert 4 not in stage.told(foreign)


def test_nobody_is_told_what_it_told_us() -> None:
    stage, links = _full(2, 3, 4)
    outsiders = [stage.meet(peer) for peer in (5, 6)]
    stage.pass_time(5)
    news = summary(9, 2, version=1)
    stage.tell(links[2], 2, news)
    stage.tell(outsiders[0], 5, news)
    stage.pass_time(0.4)
    assert 9 not in stage.told(outsiders[0])
    assert 9 in stage.told(outsiders[1])
    stage.tell(links[3], 3, news)
    stage.pass_time(0.4)
    assert not stage.told(outsiders[1])


def test_outdated_news_is_answered_with_better_unless_the_peer_itself_will() -> None:
    stage, links = _full(2, 3)
    loner = stage.meet(4)
    stage.pass_time(10)
    stage.sent(loner)
    stage.tell(links[2], 2, summary(2, 1, 3, 9, version=6), summary(9, 2, version=8))
    stage.pass_time(10)
    assert 9 in stage.told(loner)
    stage.tell(loner, 4, summary(9, version=3))
    stage.tell(links[2], 2, summary(3, version=1))
    stage.pass_time(0.5)
    assert stage.told(loner)[9].version == 8
    assert 3 not in stage.told(links[2])


def test_an_older_message_that_crossed_ours_is_not_answered() -> None:
    stage, links = _full(2, 3)
    loner = stage.meet(4)
    stage.pass_time(10)
    stage.tell(links[2], 2, summary(2, 1, 3, 9, version=6), summary(9, 2, version=8))
    stage.pass_time(0.5)
    assert 9 in stage.told(loner)
    stage.tell(loner, 4, summary(9, version=3))
    stage.pass_time(1)
    assert 9 not in stage.told(loner)


def test_an_earlier_run_is_corrected_whoever_reaches_the_peer() -> None:
    stage, links = _full(2, 3)
    stage.tell(links[2], 2, summary(3, 1, 2, version=5, uid=1))
    stage.pass_time(5)
    assert stage.told(links[2])[3].uid == 1003


def test_what_is_missing_is_asked_for() -> None:
    stage, links = _full(2)
    stage.tell(links[2], 2, summary(2, 1, 9, version=6))
    stage.pass_time(2)
    assert stage.told(links[2])[9].uid == 0
    stage.tell(links[2], 2, summary(9, 2, version=3))
    stage.pass_time(60)
    assert 9 not in stage.told(links[2])


def test_questions_are_answered() -> None:
    stage, links = _full(2)
    asker = stage.meet(4)
    stage.pass_time(5)
    stage.sent(asker)
    stage.tell(links[2], 2, summary(9, 2, version=3))
    stage.pass_time(0.4)
    assert stage.told(asker)[9].version == 3
    stage.tell(asker, 4, summary(9, version=0, uid=0))
    stage.pass_time(0.4)
    assert stage.told(asker)[9].version == 3


def test_what_a_lost_link_may_have_lost_is_told_when_it_returns() -> None:
    stage, links = _full(2, 3)
    loner = stage.meet(4)
    stage.tell(loner, 4, summary(4, 1, 3, version=2))
    stage.pass_time(20)
    stage.sent(loner)
    stage.tell(links[2], 2, summary(2, 1, 3, 9, version=6), summary(9, 2, version=3))
    stage.pass_time(1)
    assert 9 in stage.told(loner)
    stage.mesh.closed(loner, "reset", stage.now)
    stage.tell(links[3], 3, summary(3, 1, 2, 4, version=6))
    stage.pass_time(0.1)
    again = stage.meet(4)
    stage.pass_time(2)
    assert set(stage.told(again)) >= {1, 2, 9}


def test_we_stand_in_for_a_neighbour_that_lost_a_link() -> None:
    stage, links = _full(2, 3, 4)
    stage.tell(links[2], 2, summary(2, 1, 3, 4, 9, version=6), summary(9, 2, version=3))
    stage.pass_time(2)
    assert 9 not in stage.told(links[3])
    stage.tell(links[2], 2, summary(2, 1, 4, 9, version=7))
    stage.pass_time(2)
    assert 9 in stage.told(links[3])
    assert 9 not in stage.told(links[4])
    stage.mesh.closed(links[2], "reset", stage.now)
    stage.pass_time(2)
    assert 9 in stage.told(links[4])


def test_newcomers_are_told_everything_but_their_own_neighbours() -> None:
    stage, links = _full(2, 3)
    stage.tell(links[2], 2, summary(2, 1, 3, 9, version=6), summary(9, 2, version=3))
    stage.pass_time(5)
    newcomer = stage.meet(7)
    stage.tell(newcomer, 7, summary(7, 1, 3, version=2))
    stage.pass_time(5)
    assert set(stage.told(newcomer)) == {1, 2, 9}


def test_newcomers_of_another_kind_are_told_everything_at_once() -> None:
    stage, _ = _full(2, 3)
    newcomer = stage.meet(7, tells_all=False)
    assert set(stage.told(newcomer)) == {1, 2, 3, 7}


def test_known_peers_are_not_introduced() -> None:
    stage, links = _full(2, 3)
    stage.tell(links[2], 2, summary(2, 1, 3, 4, version=6), summary(4, 2, uid=1004, version=1))
    stage.pass_time(15)
    for link in links.values():
        stage.sent(link)
    known = stage.meet(4)
    stage.pass_time(5)
    assert set(stage.told(known)) == {1}


def test_a_restarted_peer_is_told_what_others_believe_of_it() -> None:
    stage, links = _full(2, 3)
    stage.mesh.closed(links[2], "reset", stage.now)
    reborn = stage.meet(2, uid=77)
    stage.tell(reborn, 2, summary(2, 1, uid=77, version=1))
    stage.pass_time(5)
    assert stage.told(reborn)[2].uid == 1002


def test_peers_that_go_while_news_of_them_waits_are_not_told() -> None:
    stage, links = _full(2)
    outsider = stage.meet(4)
    stage.pass_time(10)
    stage.sent(outsider)
    for version in range(1, 9):
        stage.tell(links[2], 2, summary(8, 2, version=version))
        stage.pass_time(0.3)
    stage.tell(links[2], 2, summary(9, version=1))
    stage.mesh.closed(links[2], "reset", stage.now)
    stage.pass_time(3)
    assert 9 not in stage.told(outsider)
    assert not stage.mesh.known(PeerName(9))


def test_questions_about_strangers_are_not_answered() -> None:
    stage, links = _full(2)
    stage.pass_time(10)
    stage.sent(links[2])
    stage.tell(links[2], 2, summary(2, 1, 9, version=6), summary(9, version=0, uid=0))
    stage.pass_time(0.5)
    assert 9 not in stage.told(links[2])


def test_outdated_news_on_a_connection_that_is_not_the_link_is_left_alone() -> None:
    stage = Stage()
    winner, rival = stage.accept(), stage.accept()
    assert winner is not None
    assert rival is not None
    stage.greet(winner, 2, conn_id=stage.our_conn_id(winner) ^ 1)
    stage.greet(rival, 2, conn_id=stage.our_conn_id(rival) ^ 2)
    stage.tell(winner, 2, summary(2, 1, version=9))
    stage.tell(rival, 2, summary(2, 1, version=3))
    stage.pass_time(1)
    assert not stage.sent(rival)
    assert stage.mesh.peers()[PeerName(2)].version == 9


def test_broadcast_topology_counts_as_gossip() -> None:
    stage, links = _full(2)
    payload = encode_topology([summary(9, 2, version=3)])
    stage.give(links[2], BroadcastMessage("topology", PeerName(2), payload))
    assert stage.mesh.known(PeerName(9))


def test_the_older_self_is_contradicted_once_and_then_patiently() -> None:
    stage, links = _full(2)
    answers = []
    for step in range(200):
        version = stage.mesh.peers()[PeerName(1)].version
        stage.tell(links[2], 2, summary(1, 2, uid=99, version=version))
        stage.pass_time(0.5)
        if 1 in stage.told(links[2]):
            answers.append(step * 0.5)
    assert answers[0] == 0.0
    assert len(answers) <= 14


@pytest.mark.parametrize("held", [True, False])
def test_messages_about_a_peer_do_not_overtake_its_description(held: bool) -> None:
    """A name or an address of a peer that the receiver does not know would be dropped there."""
    stage, links = _full(2)
    outsider = stage.meet(4)
    stage.pass_time(5)
    stage.sent(outsider)
    stage.tell(links[2], 2, summary(2, 1, 9, version=6), summary(9, 2, version=1))
    if not held:
        stage.pass_time(5)
        assert 9 in stage.told(outsider)
    stage.give(links[2], BroadcastMessage("colours", PeerName(9), b"blue"))
    messages = stage.sent(outsider)
    assert isinstance(messages[-1], BroadcastMessage)
    topology = [message for message in messages if isinstance(message, GossipMessage)]
    assert bool(topology) is held
    assert all(Descriptions({}).decode(message.payload)[0].name == 9 for message in topology)


def test_a_large_topology_goes_in_several_messages() -> None:
    stage, links = _full(2)
    many = [
        summary(name, *(edge(other) for other in range(100, 700) if other != name), version=2)
        for name in range(100, 150)
    ]
    for start in range(0, 50, 10):
        stage.tell(links[2], 2, summary(2, 1, 100, version=6), *many[start : start + 10])
    newcomer = stage.meet(7, tells_all=False)
    sizes = [len(m.payload) for m in stage.sent(newcomer) if isinstance(m, GossipMessage)]
    assert len(sizes) > 1
    assert max(sizes) < 1_000_000


def test_the_budget_puts_off_what_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BURST_BYTES", 10_000)
    monkeypatch.setattr(module, "BYTES_PER_SECOND", 200)
    stage, links = _full(2)
    outsider = stage.meet(4)
    stage.pass_time(10)
    stage.sent(outsider)
    size = 0
    for version in range(2, 102):
        edges = [edge(other, address=f"10.0.0.1:{version}") for other in range(100, 130)]
        stage.tell(links[2], 2, summary(2, 1, 100, version=6), summary(100, *edges[1:], version=version))
        stage.give(outsider, Heartbeat())
        stage.pass_time(1)
        size += sum(len(m.payload) for m in stage.sent(outsider) if isinstance(m, GossipMessage))
    assert 20_000 < size < 45_000


def test_nothing_waits_longer_than_a_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BURST_BYTES", 1)
    monkeypatch.setattr(module, "BYTES_PER_SECOND", 0.001)
    stage, links = _full(2)
    stage.mesh.set_established(links[2], True, stage.now)
    stage.pass_time(module.LONGEST_HOLD_SECONDS)
    assert stage.told(links[2])[1].connections[0].established
