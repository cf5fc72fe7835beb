"""A host whose addresses change: stale links are replaced while they stand; addresses found are dialled."""

from mesh.builders import config, edge, summary
from mesh.stage import Stage
from tulle.mesh.connection import DOUBT_SECONDS
from tulle.mesh.dialect import Enquiry, Features, Heartbeat
from tulle.mesh.events import Address, CloseLink, Dial, LinkDown, LinkId, LinkUp, MeshEvent
from tulle.mesh.greeting import features
from tulle.mesh.peername import PeerName

TARGET = ("10.0.0.2", 6783)
MET: Address = ("192.168.1.6", 6783)
PEER = PeerName(2)


def dials(events: list[MeshEvent]) -> list[Address]:
    return [event.target for event in events if isinstance(event, Dial)]


def linked(stage: Stage) -> None:
    """The operator named the peer, and there is a link to it (from 10.0.0.1)."""
    stage.mesh.connect(["10.0.0.2"], False, stage.now)
    stage.pass_time(0)
    stage.greet(stage.dialled(TARGET), 2)
    stage.pass_time(1)


def ups(events: list[MeshEvent]) -> list[type[MeshEvent]]:
    return [type(event) for event in events if isinstance(event, LinkUp | LinkDown | CloseLink)]


def test_a_link_from_an_address_that_is_gone_is_dialled_anew_and_kept_meanwhile() -> None:
    stage = Stage()
    linked(stage)
    stage.mesh.moved({"172.16.0.9"}, stage.now)
    events = stage.pass_time(0.5)
    assert dials(events) == [TARGET]
    assert ups(events) == []


def test_the_new_link_takes_the_place_of_the_stale_one_whatever_their_numbers() -> None:
    for conn_id in (0, 1 << 63, (1 << 64) - 1):
        stage = Stage()
        linked(stage)
        stage.mesh.moved({"172.16.0.9"}, stage.now)
        stage.pass_time(0.5)
        stage.greet(stage.dialled(TARGET), 2, conn_id)
        assert ups(stage.mesh.collect()) == [CloseLink, LinkDown, LinkUp]


def test_a_host_that_keeps_its_address_keeps_its_links() -> None:
    stage = Stage()
    linked(stage)
    stage.mesh.moved({"10.0.0.1", "172.16.0.9"}, stage.now)
    assert dials(stage.pass_time(20)) == []
    assert len(stage.mesh.links()) == 1


def test_links_over_ipv6_are_not_judged_by_addresses_of_ipv4() -> None:
    stage = Stage()
    link = LinkId(77)
    assert stage.mesh.accepted(link, ("fd00::2", 40000), ("fd00::1", 6783), stage.now)
    stage.mesh.moved({"10.0.0.1"}, stage.now)
    assert [event for event in stage.mesh.collect() if isinstance(event, CloseLink)] == []


def test_an_address_that_comes_back_saves_its_links() -> None:
    stage = Stage()
    linked(stage)
    stage.mesh.moved({"172.16.0.9"}, stage.now)
    stage.pass_time(0.5)
    stage.mesh.moved({"10.0.0.1"}, stage.now)
    stage.mesh.dial_failed(TARGET, "no route", stage.now)
    assert dials(stage.pass_time(30)) == []


def test_a_peer_that_dialled_us_is_dialled_when_we_move() -> None:
    stage = Stage()
    stage.meet(2)
    stage.pass_time(1)
    stage.mesh.moved({"172.16.0.9"}, stage.now)
    assert dials(stage.pass_time(2)) == [TARGET]


def test_a_handshake_from_an_address_that_is_gone_ends() -> None:
    stage = Stage()
    link = stage.accept()
    assert link is not None
    stage.mesh.moved({"172.16.0.9"}, stage.now)
    assert [event.link for event in stage.mesh.collect() if isinstance(event, CloseLink)] == [link]


def test_after_a_move_failed_targets_are_tried_at_once() -> None:
    stage = Stage()
    stage.mesh.connect(["10.0.0.2"], False, stage.now)
    for _ in range(12):
        stage.pass_time(400)
        stage.mesh.dial_failed(TARGET, "no route", stage.now)
    assert dials(stage.pass_time(30)) == []
    stage.mesh.moved({"172.16.0.9"}, stage.now)
    assert dials(stage.pass_time(0.5)) == [TARGET]


def with_rival() -> tuple[Stage, LinkId, LinkId]:
    """An old link, and a connection of the same peer, from elsewhere, with a worse number."""
    stage = Stage()
    old = stage.accept()
    assert old is not None
    stage.greet(old, 2, stage.our_conn_id(old) ^ 1)
    stage.pass_time(5)
    stage.mesh.collect()
    new = stage.accept(("172.16.0.9", 40000))
    assert new is not None
    stage.greet(new, 2, stage.our_conn_id(new) ^ 2)
    assert ups(stage.mesh.collect()) == []
    return stage, old, new


def test_the_other_end_believes_the_new_connection_once_it_speaks() -> None:
    stage, _, new = with_rival()
    stage.give(new, Heartbeat())
    assert ups(stage.mesh.collect()) == [CloseLink, LinkDown, LinkUp]
    assert [view.link for view in stage.mesh.links()] == [new]


def test_a_link_that_lives_does_not_give_way_to_a_rival_that_speaks() -> None:
    stage, old, new = with_rival()
    stage.give(old, Heartbeat())
    stage.give(new, Heartbeat())
    assert ups(stage.mesh.collect()) == []


# Links of which one end is gone


def test_a_peer_that_no_frames_reach_and_that_does_not_answer_is_given_up_soon() -> None:
    stage = Stage()
    link = stage.meet(2)
    stage.mesh.set_established(link, True, stage.now)
    stage.pass_time(1)
    stage.sent(link)
    stage.mesh.set_established(link, False, stage.now)
    assert Enquiry() in stage.sent(link)
    events = stage.pass_time(DOUBT_SECONDS)
    assert [event.reason for event in events if isinstance(event, CloseLink)] == ["nothing was heard for 7 s"]


def test_a_peer_that_answers_keeps_its_link_though_no_frames_reach_it() -> None:
    stage = Stage()
    link = stage.meet(2)
    stage.mesh.set_established(link, True, stage.now)
    stage.mesh.set_established(link, False, stage.now)
    stage.pass_time(DOUBT_SECONDS / 2)
    stage.give(link, Heartbeat())
    stage.pass_time(30)
    assert [view.link for view in stage.mesh.links()] == [link]


def test_a_peer_of_another_kind_has_its_minute() -> None:
    stage = Stage()
    link = stage.meet(2, tells_all=False)
    stage.mesh.set_established(link, True, stage.now)
    stage.mesh.set_established(link, False, stage.now)
    assert Enquiry() not in stage.sent(link)
    stage.pass_time(30)
    assert [view.link for view in stage.mesh.links()] == [link]


# Addresses at which a peer was met


def test_an_address_that_a_peer_was_met_at_is_dialled() -> None:
    stage = Stage()
    stage.mesh.found(PEER, MET, stage.now)
    assert dials(stage.pass_time(1)) == [MET]
    assert stage.mesh.target_views()[0].configured is False


def test_it_is_dialled_ever_more_patiently() -> None:
    stage = Stage()
    stage.mesh.found(PEER, MET, stage.now)
    count = 0
    for _ in range(3600):
        for address in dials(stage.pass_time(1)):
            stage.mesh.dial_failed(address, "refused", stage.now)
            count += 1
    assert 10 < count < 3600 / 15


def test_it_is_not_dialled_when_there_is_a_link() -> None:
    stage = Stage()
    linked(stage)
    stage.mesh.found(PEER, MET, stage.now)
    assert dials(stage.pass_time(20)) == []


def test_it_is_not_dialled_when_the_peer_has_left_it() -> None:
    stage = Stage()
    stage.mesh.found(PEER, MET, stage.now)
    stage.mesh.found(PEER, None, stage.now)
    assert dials(stage.pass_time(60)) == []


def test_without_discovery_nobody_is_dialled_that_the_operator_did_not_name() -> None:
    stage = Stage(discovery=False)
    stage.mesh.found(PEER, MET, stage.now)
    assert dials(stage.pass_time(60)) == []


# Peers that are reached without a connection


def in_vain(stage: Stage, seconds: int) -> int:
    """How often an address is dialled at which nobody answers."""
    count = 0
    for _ in range(seconds):
        for address in dials(stage.pass_time(1)):
            stage.mesh.dial_failed(address, "no answer", stage.now)
            count += 1
    return count


def test_who_is_reached_without_a_connection_is_dialled_now_and_then_only() -> None:
    stage = Stage()
    stage.mesh.found(PEER, MET, stage.now)
    stage.mesh.reached({PEER}, stage.now)
    assert 1 <= in_vain(stage, 1200) <= 6


def test_when_that_ends_dialling_becomes_urgent_again() -> None:
    stage = Stage()
    stage.mesh.found(PEER, MET, stage.now)
    stage.mesh.reached({PEER}, stage.now)
    in_vain(stage, 20)
    stage.mesh.reached(set(), stage.now)
    assert dials(stage.pass_time(1)) == [MET]
    stage.mesh.dial_failed(MET, "no answer", stage.now)
    assert in_vain(stage, 60) >= 2


def test_targets_of_the_operator_are_dialled_as_ever() -> None:
    stage = Stage()
    stage.mesh.connect(["10.0.0.2"], False, stage.now)
    stage.mesh.reached({PEER}, stage.now)
    assert in_vain(stage, 120) >= 5


# What both ends see of the addresses of their connection


def test_both_ends_tell_what_they_see() -> None:
    stage = Stage()
    link = stage.accept(("10.0.0.2", 40000))
    assert link is not None
    told = stage.sessions[link].features
    assert (told["From"], told["Sees"]) == ("10.0.0.1", "10.0.0.2")


def test_a_link_through_a_nat_is_known_as_such() -> None:
    stage = Stage()
    for peer, own_ip in ((2, "10.0.0.2"), (3, "192.168.1.3")):
        link = stage.accept((f"10.0.0.{peer}", 40000))
        assert link is not None
        said = features(config(peer), peer, 0, "10.0.0.1") | {"From": own_ip, "Sees": "10.0.0.1"}
        stage.give(link, Features(said))
    ups = [event for event in stage.mesh.collect() if isinstance(event, LinkUp)]
    assert {event.peer: event.translated for event in ups} == {2: False, 3: True}


# Addresses where somebody else is


def test_a_dial_says_whom_it_hopes_to_find() -> None:
    stage = Stage()
    stage.mesh.found(PEER, MET, stage.now)
    stage.pass_time(1)
    assert stage.sessions[stage.dialled(MET)].features["Seeks"] == "00:00:00:00:00:02"


def test_at_an_address_that_the_operator_named_anybody_is_welcome() -> None:
    stage = Stage()
    stage.mesh.connect(["10.0.0.2"], False, stage.now)
    stage.pass_time(0)
    assert "Seeks" not in stage.sessions[stage.dialled(TARGET)].features


def other_than_sought(stage: Stage) -> LinkId:
    """Peer 3 answers where peer 2 was met."""
    stage.mesh.found(PEER, MET, stage.now)
    stage.pass_time(1)
    link = stage.dialled(MET)
    stage.greet(link, 3, stage.our_conn_id(link))
    return link


def test_another_peer_that_has_a_link_already_keeps_it() -> None:
    stage = Stage()
    old = stage.meet(3, conn_id=7)
    stage.pass_time(1)
    link = other_than_sought(stage)
    events = stage.mesh.collect()
    assert [event.link for event in events if isinstance(event, CloseLink)] == [link]
    assert [view.link for view in stage.mesh.links()] == [old]
    assert dials(stage.pass_time(30)) == []


def test_another_peer_without_a_link_is_as_good() -> None:
    stage = Stage()
    stage.tell(stage.meet(4), 4, summary(4, 1, edge(3)), summary(3, 1))
    link = other_than_sought(stage)
    assert link in {view.link for view in stage.mesh.links()}


def test_who_is_dialled_in_place_of_another_keeps_its_link_as_well() -> None:
    stage = Stage()
    old = stage.meet(2, conn_id=7)
    stage.pass_time(1)
    mistaken = stage.accept(("10.0.0.2", 40001))
    assert mistaken is not None
    said = features(config(2), 2, stage.our_conn_id(mistaken), "10.0.0.1") | {"Seeks": "00:00:00:00:00:09"}
    stage.give(mistaken, Features(said))
    assert [view.link for view in stage.mesh.links()] == [old]
