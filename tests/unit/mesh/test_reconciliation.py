"""Digests of channels: little is said where nothing differs, and what is missing still arrives."""

import pytest

from mesh.builders import at
from mesh.stage import RecordingChannel, Stage
from tulle.instant import Instant
from tulle.mesh.channel import NO_KEYS, Keys
from tulle.mesh.dialect import GossipMessage, Message
from tulle.mesh.events import CloseLink, LinkId
from tulle.mesh.gossip import LULL_SECONDS, PERIOD_SECONDS
from tulle.mesh.peername import PeerName
from tulle.mesh.reconciliation import CHANNEL

PEER = PeerName(2)


class Coloured(RecordingChannel):
    """A channel that can be compared; a digest is the number of colours, a fine one all of them."""

    def digest(self, fine: bool, now: Instant) -> bytes:
        return b",".join(sorted(self.state)) if fine else b"%d" % len(self.state)

    def compare(self, theirs: bytes, fine: bool, sender: PeerName, now: Instant) -> Keys | None:
        if fine:
            return frozenset(self.state - set(theirs.split(b",")))
        return NO_KEYS if theirs == self.digest(False, now) else None


def _stage(tells_all: bool = True) -> tuple[Stage, Coloured, LinkId]:
    channel = Coloured()
    stage = Stage(channels=(channel,))
    link = stage.meet(2, tells_all=tells_all)
    stage.pass_time(10)
    channel.state |= {b"red", b"blue"}
    stage.sent(link)
    return stage, channel, link


def _gossip(messages: list[Message]) -> list[tuple[str, bytes]]:
    return [
        (message.channel, message.payload)
        for message in messages
        if isinstance(message, GossipMessage) and message.channel in ("colours", CHANNEL)
    ]


def _digest(digest: bytes, fine: bool = False) -> GossipMessage:
    return GossipMessage(CHANNEL, PEER, bytes((fine, 7)) + b"colours" + digest)


def test_our_kind_is_sent_digests_and_others_everything() -> None:
    stage, _, link = _stage()
    stage.pass_time(1.5 * PERIOD_SECONDS)
    assert _gossip(stage.sent(link))[0] == (CHANNEL, b"\0\x07colours2")
    stage, _, link = _stage(tells_all=False)
    stage.pass_time(1.5 * PERIOD_SECONDS)
    assert ("colours", b"red") in _gossip(stage.sent(link))


def test_a_difference_is_narrowed_down_and_then_told() -> None:
    stage, _, link = _stage()
    stage.give(link, _digest(b"1"))
    assert _gossip(stage.sent(link)) == [(CHANNEL, b"\1\x07coloursblue,red")]
    stage.give(link, _digest(b"red", fine=True))
    assert _gossip(stage.sent(link)) == [("colours", b"blue")]


def test_what_is_the_same_is_not_answered() -> None:
    stage, _, link = _stage()
    stage.give(link, _digest(b"2"), _digest(b"blue,red", fine=True))
    assert not _gossip(stage.sent(link))


def test_differences_are_not_answered_again_at_once() -> None:
    stage, _, link = _stage()
    stage.give(link, _digest(b"1"))
    stage.sent(link)
    stage.give(link, _digest(b"1"))
    assert not _gossip(stage.sent(link))


def test_while_news_arrives_a_difference_says_little() -> None:
    stage, _, link = _stage()
    stage.give(link, GossipMessage("colours", PEER, b"green"))
    stage.sent(link)
    stage.give(link, _digest(b"1"))
    assert not _gossip(stage.sent(link))


def test_channels_that_cannot_be_compared_are_not_asked_to() -> None:
    stage = Stage(channels=(RecordingChannel(),))
    link = stage.meet(2)
    stage.give(link, _digest(b"1"), GossipMessage(CHANNEL, PEER, b"\0\x07unknown"))
    assert stage.mesh.pull(link, at(stage.mono)) is not None
    assert not [event for event in stage.mesh.collect() if isinstance(event, CloseLink)]


@pytest.mark.parametrize("payload", [b"", b"\0", b"\2\0", b"\0\x05abc", b"\0\x01\xff"])
def test_what_is_no_digest_ends_the_link(payload: bytes) -> None:
    stage, _, link = _stage()
    stage.give(link, GossipMessage(CHANNEL, PEER, payload))
    assert [event for event in stage.mesh.collect() if isinstance(event, CloseLink)]


def test_soon_after_the_topology_has_changed_those_of_our_kind_compare() -> None:
    """A broadcast may have missed somebody meanwhile."""
    stage, _, link = _stage()
    stage.meet(3)
    stage.pass_time(LULL_SECONDS / 2)
    assert not _gossip(stage.sent(link))
    stage.pass_time(LULL_SECONDS)
    assert _gossip(stage.sent(link)) == [(CHANNEL, b"\0\x07colours2")]
    stage.pass_time(5)
    assert not _gossip(stage.sent(link))
