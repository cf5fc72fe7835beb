"""What links do to the topology that we tell."""

import pytest

from mesh.builders import summary
from mesh.stage import Stage
from tulle.mesh import shortids, topology
from tulle.mesh.events import Dial, Log, PeersGone, ShortIdChanged, TopologyChanged
from tulle.mesh.peername import PeerName

ME = PeerName(1)


def test_a_link_is_listed_with_the_address_it_has() -> None:
    stage = Stage()
    inbound = stage.meet(2)
    stage.mesh.connect(["10.0.0.3"], False, stage.now)
    stage.pass_time(0)
    outbound = stage.dialled(("10.0.0.3", 6783))
    stage.greet(outbound, 3)
    listed = {known.name: known for known in stage.mesh.peers()[ME].connections}
    assert (listed[PeerName(2)].address, listed[PeerName(2)].outbound) == ("10.0.0.2:40000", False)
    assert (listed[PeerName(3)].address, listed[PeerName(3)].outbound) == ("10.0.0.3:6783", True)
    assert stage.mesh.peers()[ME].version == 2
    stage.mesh.closed(inbound, "reset", stage.now)
    assert [known.name for known in stage.mesh.peers()[ME].connections] == [3]


def test_the_handshake_alone_makes_a_peer_known() -> None:
    stage = Stage()
    stage.meet(2)
    known = stage.mesh.peers()[PeerName(2)]
    assert (known.nickname, known.uid, known.version, known.short_id) == ("h2", 1002, 0, 2)
    assert stage.mesh.short_ids[2] == 2


def test_established_is_told_and_routes_need_both_ends() -> None:
    stage = Stage()
    link = stage.meet(2)
    stage.mesh.set_established(link, True, stage.now)
    assert not stage.mesh.routes.unicast
    stage.tell(link, 2, summary(2, 1, version=1))
    assert dict(stage.mesh.routes.unicast) == {2: 2}
    stage.mesh.set_established(link, False, stage.now)
    assert not stage.mesh.routes.unicast
    assert dict(stage.mesh.routes.unicast_all) == {2: 2}


def test_changes_are_announced_together() -> None:
    stage = Stage()
    stage.meet(2)
    stage.meet(3)
    assert stage.mesh.collect().count(TopologyChanged()) == 1
    assert TopologyChanged() in stage.pass_time(0.1)
    assert TopologyChanged() not in stage.pass_time(10)


def test_a_lost_peer_is_forgotten_after_a_second() -> None:
    stage = Stage()
    link = stage.meet(2)
    stage.tell(link, 2, summary(2, 1, 3, version=1), summary(3, 2))
    stage.pass_time(2)
    stage.mesh.closed(link, "reset", stage.now)
    assert PeersGone((PeerName(2), PeerName(3))) in stage.pass_time(1)
    assert not stage.mesh.known(PeerName(2))


def test_a_link_that_comes_back_at_once_costs_nobody_anything() -> None:
    stage = Stage()
    link = stage.meet(2)
    stage.tell(link, 2, summary(2, 1, version=1))
    stage.mesh.closed(link, "reset", stage.now)
    stage.pass_time(0.5)
    stage.meet(2)
    assert not [event for event in stage.pass_time(5) if isinstance(event, PeersGone)]
    assert stage.mesh.known(PeerName(2))


def test_a_taken_short_id_is_given_up_and_told() -> None:
    stage = Stage(name=PeerName(9), short_id=77)
    link = stage.meet(2, short_id=None)
    stage.tell(link, 2, summary(2, 9, short_id=77, version=1))
    changed = [event for event in stage.mesh.collect() if isinstance(event, ShortIdChanged)]
    assert changed[0].short_id != 77
    stage.pass_time(1)
    assert stage.told(link)[9].short_id == changed[0].short_id
    assert stage.mesh.short_ids[77] == 2


def test_voices_in_our_name_are_reported() -> None:
    stage = Stage()
    link = stage.meet(2)
    stage.tell(link, 2, summary(1, 2, uid=5, version=50))
    assert any(isinstance(event, Log) and "our name" in event.text for event in stage.mesh.collect())
    assert stage.mesh.peers()[ME].version == 51


def test_a_flood_of_peers_is_refused_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topology, "MAX_PEERS", 10)
    stage = Stage()
    link = stage.meet(2)
    stage.tell(link, 2, *(summary(name, 2) for name in range(3, 40)))
    assert len(stage.mesh.peers()) == 10
    assert any(isinstance(event, Log) and "more peers" in event.text for event in stage.mesh.collect())


def test_a_short_id_that_becomes_free_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortids, "SHORT_IDS", 2)
    stage = Stage(name=PeerName(9), short_id=0)
    two, three = stage.meet(2, short_id=None), stage.meet(3, short_id=None)
    stage.tell(three, 3, summary(3, 9, version=1, short_id=1))
    stage.tell(two, 2, summary(2, 9, version=1, short_id=0))
    stage.pass_time(5)
    assert stage.mesh.peers()[PeerName(9)].short_id == 0
    stage.mesh.closed(three, "reset", stage.now)
    assert ShortIdChanged(1) in stage.pass_time(2)
    assert stage.told(two)[9].short_id == 1


def test_news_makes_new_targets() -> None:
    stage = Stage()
    link = stage.meet(2)
    stage.tell(link, 2, summary(2, 1, 3, version=1))
    assert [event for event in stage.pass_time(0.2) if isinstance(event, Dial)]
