"""Which addresses are dialled, when, and what is shown of them."""

import pytest

from mesh.builders import edge, summary
from mesh.stage import Stage
from tulle.errors import UserError
from tulle.mesh.events import Address, Dial, MeshEvent, Resolve
from tulle.mesh.peername import PeerName
from tulle.mesh.pursuit import DIAL_SECONDS
from tulle.mesh.views import TargetState

TARGET = ("10.0.0.2", 6783)


def _dials(events: list[MeshEvent]) -> list[Address]:
    return [event.target for event in events if isinstance(event, Dial)]


def _connect(stage: Stage, *texts: str, replace: bool = False) -> list[Address]:
    stage.mesh.connect(texts, replace, stage.now)
    return _dials(stage.pass_time(0))


def test_targets_are_dialled_at_once_with_our_port_by_default() -> None:
    stage = Stage(port=7000)
    dials = _connect(stage, "10.0.0.2", "10.0.0.3:99", "[fd00::1]:5")
    assert sorted(dials) == [("10.0.0.2", 7000), ("10.0.0.3", 99), ("fd00::1", 5)]
    assert stage.mesh.targets() == ["10.0.0.2", "10.0.0.3:99", "[fd00::1]:5"]


def test_bad_targets_change_nothing() -> None:
    stage = Stage()
    _connect(stage, "10.0.0.2")
    with pytest.raises(UserError):
        stage.mesh.connect(["10.0.0.3", "not a host"], True, stage.now)
    assert stage.mesh.targets() == ["10.0.0.2"]


def test_refused_dials_are_repeated_soon_then_patiently() -> None:
    stage = Stage()
    moments = []
    _connect(stage, "10.0.0.2")
    for _ in range(8):
        stage.mesh.dial_failed(TARGET, "connection refused", stage.now)
        while not _dials(stage.pass_time(0.01)):
            pass
        moments.append(stage.mono)
    assert moments[0] < 0.5
    assert moments[2] < 3.5
    assert moments[7] - moments[6] > 3


def test_states_and_reasons() -> None:
    stage = Stage()
    _connect(stage, "10.0.0.2")

    def state() -> tuple[TargetState, str | None, bool]:
        (view,) = stage.mesh.target_views()
        return view.state, view.reason, view.retry_at is not None

    assert state() == (TargetState.CONNECTING, None, False)
    stage.mesh.dial_failed(TARGET, "connection refused", stage.now)
    assert state() == (TargetState.FAILED, "connection refused", True)
    stage.pass_time(0.5)
    assert state() == (TargetState.RETRYING, "connection refused", False)
    link = stage.dialled(TARGET)
    assert state() == (TargetState.RETRYING, "connection refused", False)
    stage.greet(link, 2)
    assert state() == (TargetState.PENDING, None, False)
    stage.mesh.set_established(link, True, stage.now)
    assert state() == (TargetState.ESTABLISHED, None, False)
    stage.mesh.closed(link, "connection reset", stage.now)
    assert state() == (TargetState.FAILED, "connection reset", True)


def test_a_dial_nobody_reports_on_fails_in_the_end() -> None:
    stage = Stage()
    _connect(stage, "10.0.0.2")
    stage.pass_time(DIAL_SECONDS)
    (view,) = stage.mesh.target_views()
    assert view.reason == "no answer"
    stage.mesh.dial_failed(TARGET, "late", stage.now)
    assert stage.mesh.target_views()[0].reason == "no answer"


def test_forget_and_replace() -> None:
    stage = Stage()
    _connect(stage, "10.0.0.2", "10.0.0.3")
    stage.mesh.dial_failed(TARGET, "refused", stage.now)
    stage.mesh.forget(["10.0.0.2", "never heard of"], stage.now)
    assert stage.mesh.targets() == ["10.0.0.3"]
    assert _connect(stage, "10.0.0.4", replace=True) == [("10.0.0.4", 6783)]
    assert stage.mesh.targets() == ["10.0.0.4"]
    stage.mesh.dial_failed(("10.0.0.3", 6783), "refused", stage.now)
    assert not _dials(stage.pass_time(100)[1:])


def test_forgetting_leaves_open_links_alone() -> None:
    stage = Stage()
    _connect(stage, "10.0.0.2")
    link = stage.dialled(TARGET)
    stage.greet(link, 2)
    stage.mesh.forget(["10.0.0.2"], stage.now)
    stage.pass_time(1)
    assert stage.mesh.links()
    stage.mesh.closed(link, "reset", stage.now)
    assert not _dials(stage.pass_time(100))
    assert not stage.mesh.target_views()


def test_asking_again_forgives() -> None:
    stage = Stage()
    _connect(stage, "10.0.0.2")
    stage.greet(stage.dialled(TARGET), 1)
    assert not _dials(stage.pass_time(1000))
    assert _connect(stage, "10.0.0.2") == [TARGET]


def test_an_inbound_connection_replaces_a_dial_to_an_open_port() -> None:
    stage = Stage()
    link = stage.meet(2)
    assert _connect(stage, "10.0.0.2") == []
    stage.mesh.set_established(link, True, stage.now)
    (view,) = stage.mesh.target_views()
    assert (view.state, view.peer) == (TargetState.ESTABLISHED, 2)
    assert _connect(stage, "10.0.0.2:7777") == [("10.0.0.2", 7777)]
    stage.mesh.closed(link, "reset", stage.now)
    assert _dials(stage.pass_time(1)) == [TARGET]


def test_host_names_are_looked_up_and_again_while_there_is_no_link() -> None:
    stage = Stage()
    stage.mesh.connect(["host-b"], False, stage.now)
    assert Resolve("host-b") in stage.pass_time(0)
    (view,) = stage.mesh.target_views()
    assert (view.target, view.address, view.state) == ("host-b", None, TargetState.CONNECTING)
    stage.mesh.resolved("host-b", (), stage.now)
    (view,) = stage.mesh.target_views()
    assert view.state is TargetState.FAILED
    assert "host-b" in (view.reason or "")
    assert Resolve("host-b") in stage.pass_time(31)
    stage.mesh.resolved("host-b", ("10.0.0.2",), stage.now)
    assert _dials(stage.pass_time(0)) == [TARGET]
    assert stage.mesh.target_views()[0].target == "host-b"
    link = stage.dialled(TARGET)
    stage.greet(link, 2)
    assert Resolve("host-b") not in stage.pass_time(55)


def test_a_host_that_moved_is_found_at_its_new_address() -> None:
    stage = Stage()
    stage.mesh.connect(["host-b"], False, stage.now)
    stage.pass_time(0)
    stage.mesh.resolved("host-b", ("10.0.0.2",), stage.now)
    stage.pass_time(0)
    stage.mesh.dial_failed(TARGET, "unreachable", stage.now)
    stage.mesh.resolved("host-b", ("10.0.0.7",), stage.now)
    assert _dials(stage.pass_time(0)) == [("10.0.0.7", 6783)]
    assert [view.address for view in stage.mesh.target_views()] == [("10.0.0.7", 6783)]


def test_discovered_peers_are_dialled_at_once_from_the_lower_name() -> None:
    stage = Stage()
    neighbour = stage.meet(3)
    stage.tell(neighbour, 3, summary(3, 1, 4, version=2))
    assert _dials(stage.pass_time(0.1)) == [("10.0.0.4", 6783)]


def test_and_after_a_second_from_the_higher() -> None:
    stage = Stage(name=PeerName(9))
    neighbour = stage.meet(3)
    stage.tell(neighbour, 3, summary(3, 9, 4, version=2))
    assert not _dials(stage.pass_time(0.9))
    assert stage.mesh.target_views()[0].state is TargetState.WAITING
    assert _dials(stage.pass_time(0.3)) == [("10.0.0.4", 6783)]


def test_no_discovery_means_none() -> None:
    stage = Stage(discovery=False)
    neighbour = stage.meet(3)
    stage.tell(neighbour, 3, summary(3, 1, 4, version=2))
    assert not _dials(stage.pass_time(10))


def test_addresses_that_nobody_speaks_of_any_more_are_dropped() -> None:
    stage = Stage()
    neighbour = stage.meet(3)
    stage.tell(neighbour, 3, summary(3, 1, 4, version=2))
    stage.pass_time(0.1)
    stage.mesh.dial_failed(("10.0.0.4", 6783), "refused", stage.now)
    assert len(stage.mesh.target_views()) == 1
    stage.tell(neighbour, 3, summary(3, 1, version=3))
    stage.pass_time(2)
    assert not stage.mesh.target_views()


def test_dials_are_paced() -> None:
    stage = Stage()
    addresses = [f"10.0.1.{number}" for number in range(60)]
    assert len(_connect(stage, *addresses)) == 10
    assert len(_dials(stage.pass_time(1))) == 20


def test_no_more_dials_than_the_limit_allows() -> None:
    stage = Stage(conn_limit=3)
    stage.meet(9)
    assert len(_connect(stage, *(f"10.0.1.{number}" for number in range(9)))) == 2
    assert not _dials(stage.pass_time(10))


def test_gossip_of_our_own_inbound_links_is_no_target() -> None:
    stage = Stage()
    neighbour = stage.meet(3)
    stage.tell(neighbour, 3, summary(3, edge(1, outbound=False), version=2))
    assert not _dials(stage.pass_time(10))
