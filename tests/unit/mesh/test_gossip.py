"""How state and messages of channels travel."""

import pytest

from mesh.builders import edge, summary
from mesh.stage import RecordingChannel, Stage
from tulle.errors import BadMessage
from tulle.mesh import gossip as module
from tulle.mesh.channel import Broadcast, Gossip, Unicast
from tulle.mesh.dialect import BroadcastMessage, GossipMessage, Message, UnicastMessage
from tulle.mesh.events import CloseLink, LinkId, Log
from tulle.mesh.peername import PeerName

COLOURS = "colours"


def _star(*peers: int) -> tuple[Stage, RecordingChannel, dict[int, LinkId]]:
    """A stage with these neighbours, which know nobody but us, after everything was said."""
    channel = RecordingChannel(COLOURS)
    stage = Stage(channels=(channel,))
    links = {peer: stage.meet(peer) for peer in peers}
    for peer, link in links.items():
        stage.tell(link, peer, summary(peer, 1, version=5))
    stage.pass_time(10)
    for link in links.values():
        stage.sent(link)
    return stage, channel, links


def _colours(stage: Stage, link: LinkId) -> list[Message]:
    messages = stage.sent(link)
    return [message for message in messages if getattr(message, "channel", None) == COLOURS]


def test_new_gossip_goes_on_in_our_name_and_old_does_not() -> None:
    stage, _, links = _star(2, 3)
    stage.give(links[2], GossipMessage(COLOURS, PeerName(2), b"blue"))
    assert _colours(stage, links[3]) == [GossipMessage(COLOURS, PeerName(1), b"blue")]
    assert not _colours(stage, links[2])
    stage.give(links[2], GossipMessage(COLOURS, PeerName(2), b"blue"))
    assert not _colours(stage, links[3])


def test_broadcasts_keep_their_source_and_follow_its_tree() -> None:
    stage, _, links = _star(2, 3, 4)
    stage.tell(links[2], 2, summary(2, 1, 4, version=6), summary(4, 1, 2, version=6))
    stage.pass_time(5)
    stage.give(links[2], BroadcastMessage(COLOURS, PeerName(2), b"blue"))
    assert _colours(stage, links[3]) == [BroadcastMessage(COLOURS, PeerName(2), b"blue")]
    assert not _colours(stage, links[4])
    assert not _colours(stage, links[2])


def test_a_broadcast_that_is_no_news_goes_on_all_the_same() -> None:
    stage, channel, links = _star(2, 3)
    channel.state.add(b"blue")
    stage.give(links[2], BroadcastMessage(COLOURS, PeerName(2), b"blue"))
    assert _colours(stage, links[3])


def test_our_own_broadcast_coming_back_is_ignored() -> None:
    stage, channel, links = _star(2, 3)
    stage.give(links[2], BroadcastMessage(COLOURS, PeerName(1), b"blue"))
    assert not channel.state
    assert not _colours(stage, links[3])


def test_unicasts_are_delivered_or_passed_on_unread() -> None:
    stage, channel, links = _star(2, 3)
    mine = UnicastMessage(COLOURS, PeerName(2), PeerName(1), b"for you")
    other = UnicastMessage(COLOURS, PeerName(2), PeerName(3), b"for him")
    stage.give(links[2], mine, other)
    assert channel.unicasts == [(2, b"for you")]
    assert _colours(stage, links[3]) == [other]


def test_unicasts_without_a_way_are_dropped() -> None:
    stage, _, links = _star(2, 3)
    stage.tell(links[2], 2, summary(2, 1, 9, version=6))
    nowhere = UnicastMessage(COLOURS, PeerName(2), PeerName(99), b"")
    back = UnicastMessage(COLOURS, PeerName(2), PeerName(9), b"")
    stage.give(links[2], nowhere, back)
    assert not _colours(stage, links[2])
    assert not _colours(stage, links[3])


def test_what_channels_want_said() -> None:
    stage, channel, links = _star(2, 3)
    channel.state |= {b"blue", b"red"}
    channel.outbox += [Broadcast(frozenset((b"blue",))), Unicast(PeerName(3), b"hello")]
    stage.mesh.collect()
    assert not channel.outbox
    assert _colours(stage, links[2]) == [BroadcastMessage(COLOURS, PeerName(1), b"blue")]
    assert _colours(stage, links[3])[0] == UnicastMessage(COLOURS, PeerName(1), PeerName(3), b"hello")
    channel.outbox.append(Gossip(frozenset((b"red",))))
    stage.mesh.collect()
    assert _colours(stage, links[2]) == [GossipMessage(COLOURS, PeerName(1), b"red")]


def test_waiting_news_is_sent_once_and_in_its_newest_form() -> None:
    stage, channel, links = _star(2)
    for _ in range(50):
        channel.outbox.append(Broadcast(frozenset((b"blue", b"red"))))
        stage.mesh.collect()
    channel.state |= {b"blue", b"red"}
    assert len(_colours(stage, links[2])) == 2


def test_a_new_neighbour_gets_everything_and_a_known_one_nothing() -> None:
    stage, channel, links = _star(2)
    channel.state |= {b"blue", b"red"}
    stage.tell(links[2], 2, summary(2, 1, 5, version=6), summary(5, 2, version=1))
    newcomer, known = stage.meet(7), stage.meet(5)
    stage.pass_time(1)
    assert [m.payload for m in _colours(stage, newcomer)] == [b"blue", b"red"]  # type: ignore[union-attr]
    assert not _colours(stage, known)


def test_complete_states_are_sent_now_and_then() -> None:
    stage, channel, links = _star(2)
    channel.state.add(b"blue")
    times = 0
    for _ in range(10):
        stage.pass_time(30)
        stage.give(links[2], GossipMessage(COLOURS, PeerName(2), b"blue"))
        times += len(_colours(stage, links[2]))
    assert 9 <= times <= 12


def test_large_states_go_to_one_neighbour_at_a_time() -> None:
    stage, channel, links = _star(2, 3, 4, 5)
    channel.state.add(bytes(module.PERIOD_BYTES))
    stage.mesh.pull(stage.meet(9), stage.now)
    stage.pass_time(1)
    counts = []
    for _ in range(6):
        for peer, link in links.items():
            stage.give(link, GossipMessage(COLOURS, PeerName(peer), bytes(module.PERIOD_BYTES)))
        stage.pass_time(30)
        counts.append(sum(bool(_colours(stage, link)) for link in links.values()))
    assert max(counts[1:]) == 1


def test_unknown_channels_are_passed_on() -> None:
    stage, _, links = _star(2, 3)
    stage.give(links[2], GossipMessage("tastes", PeerName(2), b"sweet"))
    stage.give(links[2], GossipMessage("tastes", PeerName(2), b"sweet"))
    stage.give(links[2], BroadcastMessage("tastes", PeerName(2), b"sour"))
    stage.give(links[2], UnicastMessage("tastes", PeerName(2), PeerName(3), b"salty"))
    stage.give(links[2], UnicastMessage("tastes", PeerName(2), PeerName(1), b"bitter"))
    assert stage.sent(links[3]) == [
        UnicastMessage("tastes", PeerName(2), PeerName(3), b"salty"),
        GossipMessage("tastes", PeerName(1), b"sweet"),
        BroadcastMessage("tastes", PeerName(2), b"sour"),
    ]


def test_unknown_channels_are_not_remembered_without_end() -> None:
    stage, _, links = _star(2, 3)
    for number in range(200):
        stage.give(links[2], GossipMessage(f"channel {number}", PeerName(2), b"x"))
    stage.give(links[2], GossipMessage("y" * 1000, PeerName(2), b"x"))
    stage.give(links[2], BroadcastMessage("one more", PeerName(2), b"x"))
    stage.give(links[2], UnicastMessage("one more", PeerName(2), PeerName(1), b"x"))
    assert len(stage.sent(links[3])) == module.MAX_SURROGATES


@pytest.mark.parametrize("kind", ["gossip", "broadcast", "unicast"])
def test_bad_messages_of_a_neighbour_end_its_link(kind: str) -> None:
    stage, channel, links = _star(2, 3)
    channel.error = BadMessage("that is no colour")
    message: Message = GossipMessage(COLOURS, PeerName(2), b"")
    if kind == "broadcast":
        message = BroadcastMessage(COLOURS, PeerName(2), b"")
    elif kind == "unicast":
        message = UnicastMessage(COLOURS, PeerName(2), PeerName(1), b"")
    stage.give(links[2], message)
    assert CloseLink(links[2], "that is no colour") in stage.mesh.collect()
    assert not _colours(stage, links[3])


@pytest.mark.parametrize("kind", ["broadcast", "unicast"])
def test_bad_messages_from_further_away_are_not_the_neighbours_fault(kind: str) -> None:
    stage, channel, links = _star(2, 3)
    channel.error = BadMessage("that is no colour")
    message: Message = BroadcastMessage(COLOURS, PeerName(9), b"")
    if kind == "unicast":
        message = UnicastMessage(COLOURS, PeerName(9), PeerName(1), b"")
    stage.give(links[2], message)
    events = stage.mesh.collect()
    assert not any(isinstance(event, CloseLink) for event in events)
    assert any(isinstance(event, Log) and "no colour" in event.text for event in events)
    assert not _colours(stage, links[3])


def test_too_many_unicasts_are_dropped_not_hoarded() -> None:
    stage, _, links = _star(2, 3)
    for _ in range(20):
        stage.give(links[2], UnicastMessage(COLOURS, PeerName(2), PeerName(3), bytes(1024 * 1024)))
    assert len(_colours(stage, links[3])) == 3


def test_states_too_large_for_a_message_are_not_sent() -> None:
    stage, channel, links = _star(2)
    channel.state.add(bytes(module.MAX_PAYLOAD + 1))
    channel.outbox.append(Broadcast(frozenset(channel.state)))
    stage.mesh.collect()
    assert not _colours(stage, links[2])
    assert any(isinstance(event, Log) and event.level == "error" for event in stage.mesh.collect())


def test_two_channels_of_one_name_are_a_mistake() -> None:
    stage, _, _ = _star()
    with pytest.raises(ValueError, match="colours already"):
        stage.mesh.add_channel(RecordingChannel(COLOURS))


def test_gossip_weighs_by_way() -> None:
    """With many neighbours only some are chosen; never the sender."""
    stage, _, links = _star(*range(2, 22))
    stage.give(links[2], GossipMessage(COLOURS, PeerName(2), b"blue"))
    reached = [peer for peer, link in links.items() if _colours(stage, link)]
    assert len(reached) == 8
    assert 2 not in reached


def test_an_edge_without_a_link_gets_nothing() -> None:
    """Routes may be ahead of links by a moment; that must not hurt."""
    stage, channel, links = _star(2)
    stage.mesh.closed(links[2], "reset", stage.now)
    channel.outbox += [Broadcast(frozenset((b"x",))), Gossip(frozenset((b"x",))), Unicast(PeerName(2), b"")]
    stage.mesh.collect()
    assert stage.mesh.pull(links[2], stage.now) == b""
    assert edge(2).name not in stage.mesh.routes.unicast_all
