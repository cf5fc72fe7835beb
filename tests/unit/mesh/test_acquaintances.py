"""Peers to go to after a restart."""

import math

from mesh.builders import summary
from mesh.stage import Stage
from tulle.mesh.acquaintances import LOOK_SECONDS, MAX_REMEMBERED, SAVE_SECONDS, TRY_SECONDS, Acquaintances
from tulle.mesh.connector import REFUSED
from tulle.mesh.events import Acquainted, CloseLink, Dial, LinkUp
from tulle.mesh.peername import PeerName

ONE, TWO = PeerName(1), PeerName(2)
HERE, THERE = ("10.0.0.1", 6783), ("10.0.0.2", 6783)


def test_several_meetings_make_one_record() -> None:
    known = Acquaintances({})
    assert known.next_deadline() == math.inf
    known.met(ONE, HERE, 10.0)
    known.met(TWO, THERE, 11.0)
    assert known.next_deadline() == 10.0 + SAVE_SECONDS
    assert not known.due(9.9 + SAVE_SECONDS)
    assert known.due(10.0 + SAVE_SECONDS)
    assert known.known == {ONE: HERE, TWO: THERE}
    known.met(ONE, HERE, 20.0)
    assert known.next_deadline() == math.inf


def test_the_number_is_bounded_and_those_met_last_stay() -> None:
    known = Acquaintances({})
    for number in range(1, 1000):
        known.met(PeerName(number), HERE, 0.0)
    assert list(known.known) == list(range(1000 - MAX_REMEMBERED, 1000))


def test_who_is_forgotten_is_not_tried_and_the_disk_hears_of_it_at_once() -> None:
    known = Acquaintances({ONE: HERE, TWO: THERE})
    known.forget([HERE], ())
    assert known.to_try(nobody, 0.0) == {TWO: THERE}
    assert known.due(0.0)
    known.forget((), [TWO])
    assert not known.known
    assert known.due(0.0)
    known.forget([HERE], [TWO])
    assert not known.due(1e9)


def test_who_does_not_answer_is_left_alone_after_a_while_but_not_forgotten() -> None:
    known = Acquaintances({ONE: HERE})
    assert known.to_try(nobody, 100.0) == {ONE: HERE}
    assert known.remembers(ONE)
    assert known.vouch(ONE, HERE)
    assert not known.vouch(ONE, THERE)
    assert known.trial_ends(100.0) == 100.0 + TRY_SECONDS
    assert not known.to_try(nobody, 100.0 + TRY_SECONDS)
    assert known.trial_ends(100.0 + TRY_SECONDS) == math.inf
    assert known.known == {ONE: HERE}


def test_who_is_missed_is_looked_for_and_after_an_hour_no_longer() -> None:
    known = Acquaintances({})
    known.met(ONE, HERE, 0.0)
    assert not known.to_try(lambda peer: True, 10.0)
    assert known.to_try(nobody, 20.0) == {ONE: HERE}
    assert not known.remembers(ONE)
    assert known.vouch(ONE, HERE)
    assert known.to_try(nobody, 10.0 + LOOK_SECONDS)
    assert not known.to_try(nobody, 20.0 + LOOK_SECONDS)
    known.met(ONE, HERE, 5000.0)
    assert known.to_try(nobody, 6000.0) == {ONE: HERE}


def test_nobody_looks_where_nobody_listens() -> None:
    known = Acquaintances({TWO: THERE})
    known.met(ONE, HERE, 0.0)
    assert known.to_try(nobody, 1.0) == {ONE: HERE, TWO: THERE}
    known.nobody_home(ONE, 2.0)
    known.nobody_home(TWO, 2.0)
    assert known.to_try(nobody, 2.0) == {TWO: THERE}
    assert not known.to_try(lambda peer: peer == ONE, 100.0)
    assert known.to_try(nobody, 200.0) == {ONE: HERE}


def nobody(peer: PeerName) -> bool:
    return False


def test_a_refused_dial_ends_the_search() -> None:
    stage = Stage()
    link = stage.meet(2)
    stage.mesh.closed(link, "reset", stage.now)
    dials = [event.target for event in stage.pass_time(30) if isinstance(event, Dial)]
    assert dials == [THERE]
    stage.mesh.dial_failed(THERE, REFUSED, stage.now)
    assert not [event for event in stage.pass_time(300) if isinstance(event, Dial)]
    assert stage.mesh.target_views() == []


def _met(stage: Stage) -> list[Acquainted]:
    return [event for event in stage.pass_time(10) if isinstance(event, Acquainted)]


def test_a_mesh_remembers_whom_it_met_and_where_they_listen() -> None:
    stage = Stage()
    stage.meet(2)
    assert _met(stage) == [Acquainted({TWO: THERE})]
    stage.mesh.forget(["10.0.0.2"], stage.now)
    assert _met(stage) == [Acquainted({})]


def test_a_mesh_remembers_the_port_that_it_dialled() -> None:
    stage = Stage()
    stage.mesh.connect(["10.0.0.2:7000"], False, stage.now)
    stage.pass_time(0.1)
    link = stage.dialled(("10.0.0.2", 7000))
    stage.greet(link, 2)
    assert _met(stage) == [Acquainted({TWO: ("10.0.0.2", 7000)})]
    stage.mesh.closed(link, "reset", stage.now)
    stage.mesh.connect([], True, stage.now)
    stage.meet(2)
    assert _met(stage) == []


def test_a_restarted_mesh_goes_to_them_at_once_and_takes_nobody_else_there() -> None:
    for peer in (2, 8):
        stage = Stage(name=5, acquaintances={TWO: THERE})
        stage.mesh.connect([], True, stage.now)
        assert [event for event in stage.pass_time(0.2) if isinstance(event, Dial)] == [Dial(THERE)]
        stage.greet(stage.dialled(THERE), peer)
        events = stage.mesh.collect()
        assert any(isinstance(event, LinkUp) for event in events) is (peer == 2)
        assert any(isinstance(event, CloseLink) for event in events) is (peer != 2)


def test_after_a_minute_without_an_answer_they_are_not_shown_any_more() -> None:
    stage = Stage(acquaintances={TWO: THERE})
    stage.mesh.connect([], True, stage.now)
    stage.pass_time(1)
    stage.mesh.dial_failed(THERE, "connection refused", stage.now)
    assert len(stage.mesh.target_views()) == 1
    for _ in range(20):
        stage.pass_time(5)
        stage.mesh.dial_failed(THERE, "connection refused", stage.now)
    assert stage.mesh.target_views() == []
    assert not [event for event in stage.pass_time(1000) if isinstance(event, Dial)]


def test_without_discovery_nobody_is_remembered() -> None:
    stage = Stage(discovery=False, acquaintances={TWO: THERE})
    stage.mesh.connect([], True, stage.now)
    link = stage.meet(3)
    stage.tell(link, 3, summary(3, version=1))
    events = stage.pass_time(20)
    assert not [event for event in events if isinstance(event, Dial | Acquainted)]


def test_a_removed_peer_is_not_remembered() -> None:
    stage = Stage()
    stage.mesh.closed(stage.meet(2), "reset", stage.now)
    _met(stage)
    stage.mesh.forget_peer(TWO)
    assert _met(stage) == [Acquainted({})]
