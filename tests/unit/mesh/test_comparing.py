"""Digests of the topology: equal for those who know the same, answered when something is missing."""

from dataclasses import replace

from mesh.builders import summary
from mesh.stage import Stage
from tulle.mesh.comparing import CHANNEL, PAUSE_SECONDS, Comparing, digest
from tulle.mesh.dialect import GossipMessage
from tulle.mesh.peername import PeerName
from tulle.mesh.topology import placeholder

TWO = PeerName(2)


def test_the_order_does_not_matter_nor_who_was_only_mentioned() -> None:
    one, two = summary(1, 2), summary(2, 1)
    assert digest([one, two]) == digest([two, one, placeholder(PeerName(3))])


def test_every_part_of_what_makes_a_description_newer_counts() -> None:
    one = summary(1)
    others = [replace(one, version=one.version + 1), replace(one, uid=one.uid + 1), replace(one, short_id=77)]
    assert len({digest([peer]) for peer in (one, *others)}) == 4
    assert digest([one]) != digest([one, summary(2)])
    assert digest([replace(one, short_id=None)]) != digest([replace(one, short_id=0)])


def test_a_difference_in_calm_is_answered_but_not_again_at_once() -> None:
    comparing = Comparing()
    assert comparing.differs(TWO, True, 100.0)
    assert not comparing.differs(TWO, True, 100.1)
    assert comparing.differs(PeerName(3), True, 100.1)
    assert comparing.differs(TWO, True, 100.0 + PAUSE_SECONDS)


def test_when_the_topology_has_changed_all_are_answered_again() -> None:
    comparing = Comparing()
    assert comparing.differs(TWO, True, 100.0)
    comparing.resume()
    assert comparing.differs(TWO, True, 100.1)


def test_while_there_is_news_only_who_differs_twice_is_answered() -> None:
    comparing = Comparing()
    assert not comparing.differs(TWO, False, 100.0)
    assert comparing.differs(TWO, False, 130.0)
    assert not comparing.differs(TWO, False, 160.0)
    comparing.same(TWO)
    assert not comparing.differs(TWO, False, 190.0)


def test_those_of_our_kind_are_sent_digests_and_others_complete_descriptions() -> None:
    stage = Stage()
    alike, other = stage.meet(2), stage.meet(3, tells_all=False)
    stage.pass_time(10)
    stage.sent(alike)
    stage.sent(other)
    stage.pass_time(40)
    assert {1, 2, 3} <= set(stage.told(other))
    (message, *_) = (one for one in stage.sent(alike) if isinstance(one, GossipMessage))
    assert message.channel == CHANNEL
    assert message.payload == digest(stage.mesh.peers().values())


def test_whoever_lacks_something_is_told_everything() -> None:
    stage = Stage()
    link = stage.meet(2)
    stage.pass_time(10)
    stage.sent(link)
    stage.give(link, GossipMessage(CHANNEL, TWO, digest(stage.mesh.peers().values())))
    assert not stage.told(link)
    stage.give(link, GossipMessage(CHANNEL, TWO, digest([summary(2)])))
    assert set(stage.told(link)) == {1, 2}


def test_nobody_else_can_make_us_tell_everything() -> None:
    stage = Stage()
    link = stage.meet(2, tells_all=False)
    stage.pass_time(10)
    stage.sent(link)
    stage.give(link, GossipMessage(CHANNEL, TWO, b"anything"))
    assert not stage.told(link)
