"""From a TCP connection to the one link to a peer."""

from ipaddress import ip_network

import pytest

from mesh.builders import summary
from mesh.stage import Stage
from tulle.errors import BadMessage
from tulle.mesh.connection import FOREIGN_TRIAL_SECONDS, RIVAL_SECONDS, TRIAL_SECONDS
from tulle.mesh.dialect import Control, Enquiry, Farewell, Features, GossipMessage, Heartbeat
from tulle.mesh.events import CarrierControl, CloseLink, Dial, LinkDown, LinkId, LinkUp, MeshEvent
from tulle.mesh.peername import PeerName
from tulle.mesh.troubles import About
from tulle.mesh.views import LinkState, TargetState

TARGET = ("10.0.0.2", 6783)


def _of(kind: type, events: list[MeshEvent]) -> list[MeshEvent]:
    return [event for event in events if isinstance(event, kind)]


def _dial(stage: Stage, *texts: str) -> LinkId:
    stage.mesh.connect(texts or ("10.0.0.2",), False, stage.now)
    (dial,) = _of(Dial, stage.pass_time(0.1))
    assert isinstance(dial, Dial)
    return stage.dialled(dial.target)


def test_link_up_says_all_a_carrier_needs() -> None:
    stage = Stage(carriers=("fastdp", "sleeve"), trusted_subnets=(ip_network("10.0.0.0/8"),))
    link = _dial(stage)
    stage.sessions[link].session_key = b"k" * 32
    stage.greet(
        link, 2, conn_id=5, carriers=("sleeve", "fastdp"), trusted_subnets=(ip_network("10.0.0.0/8"),)
    )
    (up,) = _of(LinkUp, stage.mesh.collect())
    assert up == LinkUp(
        link=link,
        peer=PeerName(2),
        remote_ip="10.0.0.2",
        local_ip="10.0.0.1",
        outbound=True,
        conn_uid=stage.our_conn_id(link) ^ 5,
        carriers=("fastdp", "sleeve"),
        session_key=b"k" * 32,
        both_trusted=True,
        native=True,
        remote_port=6783,
    )


def test_the_lower_uid_survives_whoever_came_first() -> None:
    for order in ((1, 2), (2, 1)):
        stage = Stage()
        links = [stage.accept(), stage.accept()]
        for link, uid in zip(links, order, strict=True):
            assert link is not None
            stage.greet(link, 2, conn_id=stage.our_conn_id(link) ^ uid)
        events = stage.mesh.collect()
        survivor = links[order.index(1)]
        assert [view.link for view in stage.mesh.links() if view.state is LinkState.PENDING] == [survivor]
        ups = [event.link for event in events if isinstance(event, LinkUp)]
        downs = [event.link for event in events if isinstance(event, LinkDown)]
        assert ups[-1] == survivor
        assert downs == ups[:-1]


def test_a_replaced_link_goes_down_before_the_new_one_comes_up() -> None:
    stage = Stage()
    first, second = stage.accept(), stage.accept()
    assert first is not None
    assert second is not None
    stage.greet(first, 2, conn_id=stage.our_conn_id(first) ^ 9)
    stage.mesh.collect()
    stage.greet(second, 2, conn_id=stage.our_conn_id(second) ^ 3)
    kinds = [type(event) for event in stage.mesh.collect()]
    assert kinds.index(CloseLink) < kinds.index(LinkDown) < kinds.index(LinkUp)


def test_equal_uids_end_both() -> None:
    stage = Stage()
    for link in (stage.accept(), stage.accept()):
        assert link is not None
        stage.greet(link, 2, conn_id=stage.our_conn_id(link) ^ 7)
    assert len(_of(CloseLink, stage.mesh.collect())) == 2
    assert not stage.mesh.links()


def test_the_dialling_end_closes_a_losing_connection() -> None:
    stage = Stage()
    winner = stage.meet(2)
    link = _dial(stage, "10.0.0.3")
    stage.greet(link, 2, conn_id=stage.our_conn_id(link) ^ (1 << 64) - 1)
    assert CloseLink(link, "there is another connection to the same peer") in stage.mesh.collect()
    assert [view.link for view in stage.mesh.links()] == [winner]
    (view,) = stage.mesh.target_views()
    assert (view.state, view.reason, view.peer) == (TargetState.PENDING, None, 2)


def _rivals() -> tuple[Stage, LinkId, LinkId]:
    """A link, and an inbound connection of the same peer that lost against it."""
    stage = Stage()
    winner, loser = stage.accept(), stage.accept()
    assert winner is not None
    assert loser is not None
    stage.greet(winner, 2, conn_id=stage.our_conn_id(winner) ^ 1)
    stage.greet(loser, 2, conn_id=stage.our_conn_id(loser) ^ 2)
    stage.mesh.collect()
    return stage, winner, loser


def test_the_accepting_end_leaves_it_to_the_other_to_close() -> None:
    stage, winner, loser = _rivals()
    assert {view.link: view.state for view in stage.mesh.links()}[loser] is LinkState.RIVAL
    assert Heartbeat() in stage.sent(winner)
    stage.mesh.closed(loser, "closed by the peer", stage.now)
    stage.pass_time(20)
    assert [view.link for view in stage.mesh.links()] == [winner]


def test_a_rival_that_stays_replaces_a_silent_link() -> None:
    stage, winner, loser = _rivals()
    events = stage.pass_time(RIVAL_SECONDS)
    assert CloseLink(winner, "there is another connection to the same peer") in events
    assert [event.link for event in events if isinstance(event, LinkUp)] == [loser]


def test_a_rival_does_not_replace_a_link_that_speaks() -> None:
    stage, winner, loser = _rivals()
    stage.pass_time(1)
    stage.give(winner, Heartbeat())
    events = stage.pass_time(RIVAL_SECONDS)
    assert [event.link for event in events if isinstance(event, CloseLink)] == [loser]


def test_a_rival_takes_over_when_the_link_ends() -> None:
    stage, winner, loser = _rivals()
    stage.mesh.closed(winner, "connection reset", stage.now)
    kinds = [type(event) for event in stage.mesh.collect() if isinstance(event, LinkUp | LinkDown)]
    assert kinds == [LinkDown, LinkUp]
    assert [view.link for view in stage.mesh.links()] == [loser]


def test_gossip_of_a_rival_is_heard_and_its_control_is_not() -> None:
    stage, _, loser = _rivals()
    stage.tell(loser, 2, summary(2, 1, version=3))
    stage.give(loser, Control(0, 0, b""))
    assert stage.mesh.peers()[PeerName(2)].version == 3
    assert not stage.sent(loser)


def _twins(tells_all: bool = True) -> tuple[Stage, LinkId, LinkId]:
    """A link, and a connection of another process under the same name."""
    stage = Stage()
    first = stage.meet(2, tells_all=tells_all)
    second = stage.meet(2, uid=99, tells_all=tells_all)
    stage.mesh.collect()
    return stage, first, second


def test_a_restarted_peer_replaces_its_earlier_run_when_that_is_gone() -> None:
    stage, first, second = _twins()
    stage.mesh.closed(first, "connection reset", stage.now)
    assert [view.link for view in stage.mesh.links()] == [second]
    assert not stage.mesh.troubles(About.NAMES, stage.now)


def test_a_restarted_peer_replaces_its_earlier_run_when_that_is_silent() -> None:
    for tells_all, patience in ((True, TRIAL_SECONDS), (False, FOREIGN_TRIAL_SECONDS)):
        stage, first, second = _twins(tells_all)
        assert (Enquiry() if tells_all else Heartbeat()) in stage.sent(first)
        stage.pass_time(patience - 0.1)
        assert {view.link for view in stage.mesh.links()} == {first, second}
        stage.pass_time(0.1)
        assert [view.link for view in stage.mesh.links()] == [second]
        assert not stage.mesh.troubles(About.NAMES, stage.now)


@pytest.mark.parametrize("tells_all", [True, False])
def test_the_second_of_two_living_hosts_with_one_name_is_refused_and_told(tells_all: bool) -> None:
    stage, first, second = _twins(tells_all)
    stage.give(first, Heartbeat())
    (close,) = _of(CloseLink, stage.mesh.collect())
    assert isinstance(close, CloseLink)
    assert close.link == second
    assert "have one name" in close.reason
    assert "--name" in close.reason
    assert bool(close.last_words) is tells_all
    assert (Farewell(close.reason) in stage.sessions[second].sent) is tells_all
    assert stage.mesh.troubles(About.NAMES, stage.now) == [close.reason]
    stage.pass_time(700)
    assert not stage.mesh.troubles(About.NAMES, stage.now)


def test_what_is_said_on_trial_is_heard_once_the_trial_is_won() -> None:
    stage, first, second = _twins()
    stage.tell(second, 2, summary(2, 1, uid=99, version=3))
    stage.give(second, Control(0, 0, b""))
    assert stage.mesh.peers()[PeerName(2)].version == 0
    stage.mesh.closed(first, "connection reset", stage.now)
    assert stage.mesh.peers()[PeerName(2)].version == 3
    assert _of(CarrierControl, stage.mesh.collect())


def test_who_says_too_much_on_trial_is_closed() -> None:
    stage, first, second = _twins()
    stage.give(second, *[GossipMessage("c", PeerName(2), bytes(1 << 20))] * 5)
    assert [event.link for event in _of(CloseLink, stage.mesh.collect())] == [second]
    assert [view.link for view in stage.mesh.links()] == [first]


def test_a_dialled_twin_is_shown_with_the_reason_and_tried_again() -> None:
    stage = Stage()
    first = stage.meet(2)
    link = _dial(stage, "10.0.0.7")
    stage.greet(link, 2, uid=99)
    stage.give(first, Heartbeat())
    (view,) = stage.mesh.target_views()
    assert "have one name" in (view.reason or "")
    assert not view.never
    assert _of(Dial, stage.pass_time(10))


def test_an_enquiry_is_answered_at_once() -> None:
    stage = Stage()
    link = stage.meet(2)
    stage.sent(link)
    stage.give(link, Enquiry())
    assert Heartbeat() in stage.sent(link)


def test_a_farewell_closes_and_shows_its_reason() -> None:
    stage = Stage()
    link = _dial(stage)
    stage.greet(link, 2)
    stage.sessions[link].sent.clear()
    stage.give(link, Farewell("no room\x1b[31m " + "x" * 5000))
    (close,) = _of(CloseLink, stage.mesh.collect())
    assert isinstance(close, CloseLink)
    assert not close.last_words
    (view,) = stage.mesh.target_views()
    assert (view.reason or "").startswith("refused by the peer: no room?[31m xx")
    assert len(view.reason or "") < 600


def test_a_connection_to_ourselves_ends_at_both_ends_and_for_ever() -> None:
    stage = Stage()
    ours = _dial(stage)
    accepted = stage.accept()
    assert accepted is not None
    stage.greet(accepted, 1, conn_id=stage.our_conn_id(ours))
    assert {event.link for event in _of(CloseLink, stage.mesh.collect())} == {ours, accepted}
    (view,) = stage.mesh.target_views()
    assert view.never
    assert "this host itself" in (view.reason or "")
    assert not _of(Dial, stage.pass_time(1000))
    assert not stage.mesh.troubles(About.NAMES, stage.now)


def test_a_stranger_with_our_name_is_never_dialled_again() -> None:
    stage = Stage()
    link = _dial(stage)
    stage.greet(link, 1, uid=5)
    (close,) = _of(CloseLink, stage.mesh.collect())
    assert isinstance(close, CloseLink)
    assert "same name" in close.reason
    assert not _of(Dial, stage.pass_time(1000))
    (view,) = stage.mesh.target_views()
    assert view.never
    assert "same name" in (view.reason or "")


def test_no_carriers_in_common_is_retried() -> None:
    stage = Stage()
    link = _dial(stage)
    stage.greet(link, 2, carriers=("pigeon",))
    (view,) = stage.mesh.target_views()
    assert "no carriers in common" in (view.reason or "")
    assert _of(Dial, stage.pass_time(100))


def test_bad_bytes_close_and_show_the_reason() -> None:
    stage = Stage()
    link = _dial(stage)

    def refuse(data: bytes) -> list[object]:
        raise BadMessage("the other end is not a mesh peer")

    stage.sessions[link].receive = refuse  # type: ignore[method-assign,assignment]
    stage.mesh.received(link, b"GET /", stage.now)
    assert CloseLink(link, "the other end is not a mesh peer") in stage.mesh.collect()
    assert stage.mesh.target_views()[0].reason == "the other end is not a mesh peer"
    stage.mesh.received(link, b"more", stage.now)
    stage.mesh.closed(link, "late", stage.now)
    assert stage.mesh.pull(link, stage.now) == b""


def test_bad_features_close() -> None:
    stage = Stage()
    link = stage.accept()
    assert link is not None
    stage.give(link, Features({}))
    assert _of(CloseLink, stage.mesh.collect())


def test_nothing_after_a_closing_message_counts() -> None:
    stage = Stage()
    link = stage.meet(2)
    stage.mesh.collect()
    bad = Control(9, 0, b"")
    stage.give(link, bad, GossipMessage("topology", PeerName(2), b"rubbish"))
    assert len(_of(CloseLink, stage.mesh.collect())) == 1


@pytest.mark.parametrize("known", [False, True])
def test_discovered_addresses_must_lead_to_known_peers(known: bool) -> None:
    stage = Stage()
    neighbour = stage.meet(3)
    stage.tell(neighbour, 3, summary(3, 1, 2, version=2))
    (dial,) = _of(Dial, stage.pass_time(2))
    assert dial == Dial(TARGET)
    link = stage.dialled(TARGET)
    stage.greet(link, 2 if known else 8)
    closes = _of(CloseLink, stage.mesh.collect())
    assert bool(closes) is not known


def test_a_handshake_that_stalls_ends() -> None:
    stage = Stage()
    link = stage.accept()
    events = stage.pass_time(10)
    assert [event.link for event in events if isinstance(event, CloseLink)] == [link]


def test_a_silent_link_ends_after_a_minute_and_heartbeats_go_out() -> None:
    stage = Stage()
    link = stage.meet(2)
    events = stage.pass_time(59)
    assert Heartbeat() in stage.sent(link)
    assert not _of(CloseLink, events)
    (close,) = _of(CloseLink, stage.pass_time(1))
    assert close == CloseLink(link, "nothing was heard for 60 s")


def test_the_limit_on_links_holds() -> None:
    stage = Stage(conn_limit=2)
    handshakes = [stage.accept((f"10.0.0.{peer}", 4)) for peer in (2, 3, 4)]
    for peer, link in zip((2, 3, 4), handshakes, strict=True):
        assert link is not None
        stage.greet(link, peer)
    (close,) = _of(CloseLink, stage.mesh.collect())
    assert isinstance(close, CloseLink)
    assert "--conn-limit 2" in close.reason
    assert Farewell(close.reason) in stage.sessions[close.link].sent


def test_terminations_are_counted() -> None:
    stage = Stage()
    stage.mesh.closed(stage.meet(2), "reset", stage.now)
    link = stage.accept()
    assert link is not None
    stage.mesh.closed(link, "reset", stage.now)
    assert stage.mesh.terminations == 1


def test_a_dial_that_is_not_wanted_any_more_is_closed() -> None:
    stage = Stage()
    link = stage.dialled(TARGET)
    assert _of(CloseLink, stage.mesh.collect()) == [CloseLink(link, "this target is not wanted any more")]
