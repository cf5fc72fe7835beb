"""Two ends of a native path find each other, and notice what becomes of the network between them."""

from itertools import pairwise

import pytest

from datapath.sleeve.wire import LINK, PORT, Datagram, Wire
from tulle.datapath.carrier import CarrierState, Established, Lost
from tulle.datapath.sleeve.messages import Answer, Ask
from tulle.datapath.sleeve.orders import Arrival, Endpoint
from tulle.datapath.tables import ShortId

ELSEWHERE = Endpoint("203.0.113.9", 41000)


def linked(**options: bytes) -> Wire:
    wire = Wire()
    wire.link(**options)
    wire.run(1)
    return wire


def aims(wire: Wire) -> list[Endpoint | None]:
    """Where frames go, from each end."""
    found = [end.aim for end in wire.ends]
    return [aim.endpoint if aim is not None and aim.short_id is not None else None for aim in found]


def until(wire: Wire, done: object, limit: float, flow: int = 5) -> None:
    """Let time pass until ``done`` is true."""
    assert callable(done)
    end = wire.now.mono + limit
    while not done():
        assert wire.now.mono < end, "it took too long"
        wire.run(0.05, flow)


def test_both_ends_find_each_other_though_only_one_knows_where() -> None:
    wire = linked()
    for side, end in enumerate(wire.ends):
        assert end.news == [Established(LINK, 1376)]
        assert end.aim is not None
        assert (end.aim.short_id, end.aim.endpoint) == (ShortId(12 - side), wire.ends[1 - side].at)
        assert end.carrier.status(LINK).rtt == pytest.approx(0.02, abs=0.001)


def test_a_dialler_that_is_too_early_asks_again_at_once() -> None:
    wire = Wire()
    wire.blocked = {0}
    wire.link()
    wire.run(0.05)
    wire.blocked.clear()
    wire.run(0.3)
    assert None not in aims(wire)


def test_a_path_that_stands_by_is_asked_seldom_but_oftener_than_a_nat_forgets() -> None:
    wire = linked()
    for end in wire.ends:
        end.carrier.stand_by(LINK, True, wire.now)
    wire.run(30)
    before = wire.datagrams
    gaps: list[float] = []
    wire.tap = lambda datagram: gaps.append(datagram.arrives)
    wire.run(60)
    assert wire.datagrams - before < 60 * 2
    assert max(later - earlier for earlier, later in pairwise(gaps)) < 20


def test_a_path_that_is_cut_is_lost_soon_and_found_again() -> None:
    wire = linked()
    wire.run(5, flow=5)
    wire.blocked = {0, 1}
    until(wire, lambda: aims(wire) == [None, None], 2.1)
    assert all(isinstance(end.news[-1], Lost) for end in wire.ends)
    assert "a firewall between may block it" in wire.ends[0].carrier.status(LINK).reason
    wire.blocked.clear()
    until(wire, lambda: None not in aims(wire), 1.5)


def test_an_idle_path_that_is_cut_is_lost_too() -> None:
    wire = linked()
    wire.run(20)
    wire.blocked = {0, 1}
    until(wire, lambda: aims(wire) == [None, None], 2.1, flow=0)


def test_a_path_that_stands_by_is_asked_at_once_when_the_other_way_falls_silent() -> None:
    wire = linked()
    for end in wire.ends:
        end.carrier.stand_by(LINK, True, wire.now)
    wire.run(30)
    wire.blocked = {0, 1}
    for end in wire.ends:
        end.carrier.doubt(LINK, wire.now)
    until(wire, lambda: aims(wire) == [None, None], 1.2, flow=0)


def test_a_way_that_works_in_one_direction_only_is_no_way() -> None:
    wire = linked()
    wire.blocked = {0}
    until(wire, lambda: aims(wire) == [None, None], 3)
    wire.run(1)
    statuses = [end.carrier.status(LINK) for end in wire.ends]
    assert [status.state for status in statuses] == [CarrierState.LOST] * 2
    assert "are lost on the way" in statuses[0].reason
    assert "no answer" in statuses[1].reason


def test_the_size_that_passes_is_found_for_each_direction_by_itself() -> None:
    wire = linked()
    wire.most = {0: 1007, 1: 672}
    wire.run(8, flow=5)
    assert [end.aim.size for end in wire.ends if end.aim is not None] == [1007, 672]
    assert [end.carrier.status(LINK).path_mtu for end in wire.ends] == [1035, 700]


def test_a_path_that_shrinks_and_grows_under_way() -> None:
    wire = linked()
    end = wire.ends[0]
    wire.run(3, flow=5)
    for most, limit in ((1372, 4.5), (1452, 20), (672, 4.5), (8972, 20)):
        wire.most[0] = most
        until(wire, lambda most=most: end.aim is not None and end.aim.size == most, limit)
    assert end.news == [Established(LINK, 1376)]


def test_loss_makes_groups_small_and_its_end_makes_them_large() -> None:
    wire = linked()
    wire.loss = 0.01
    wire.run(10, flow=300)
    assert [end.aim.group for end in wire.ends if end.aim is not None] == [8, 8]
    assert wire.ends[0].carrier.status(LINK).loss == pytest.approx(0.01, abs=0.006)
    wire.loss = 0.0
    wire.run(10, flow=300)
    assert [end.aim.group for end in wire.ends if end.aim is not None] == [0, 0]


def test_much_loss_and_disorder_do_not_part_the_ends() -> None:
    wire = linked()
    wire.loss, wire.jitter = 0.1, 0.2
    wire.run(120, flow=5)
    assert [end.news for end in wire.ends] == [[Established(LINK, 1376)]] * 2


def test_a_nat_that_chooses_another_mapping_is_followed_at_once() -> None:
    wire = linked()
    wire.mapping = ELSEWHERE
    until(wire, lambda: aims(wire)[1] == ELSEWHERE, 1.2)
    wire.run(1)
    assert wire.ends[0].news == wire.ends[1].news == [Established(LINK, 1376)]
    assert wire.ends[0].carrier.sightings() == {2: ELSEWHERE}


def test_the_end_that_leads_follows_one_that_moves() -> None:
    wire = linked()
    wire.ends[1].at = ELSEWHERE
    until(wire, lambda: aims(wire)[0] == ELSEWHERE, 1.2)
    assert wire.ends[0].news == wire.ends[1].news == [Established(LINK, 1376)]


def test_an_address_that_does_not_answer_gets_no_frames() -> None:
    """A copy of an authentic question, sent on from elsewhere, proves nothing."""
    wire = linked()
    copies: list[Datagram] = []
    wire.tap = copies.append
    wire.run(1)
    for datagram in copies:
        datagram.source = ELSEWHERE
        wire.arrive(datagram)
    wire.run(10)
    assert ELSEWHERE not in aims(wire)


def test_garbage_and_answers_to_nothing_are_ignored() -> None:
    wire = linked()
    end = wire.ends[0]
    (path,) = end.open
    told = Answer(7_000_000, ELSEWHERE, 1, 2).encode()
    for message in (b"", b"\x01", b"\x02" * 39, bytes(500), b"\xff" * 60, told):
        end.carrier.arrived(Arrival(path, message, ELSEWHERE, 100), wire.now)
    wire.run(1)
    assert aims(wire)[0] == wire.ends[1].at
    assert end.carrier.sightings() == {2: Endpoint("10.0.0.1", PORT)}


def test_a_flood_of_questions_gets_a_bounded_number_of_answers() -> None:
    wire = linked()
    end = wire.ends[0]
    (path,) = end.open
    before = wire.datagrams
    for number in range(2000):
        source = Endpoint("198.51.100.1", number)
        end.carrier.arrived(Arrival(path, Ask(number, True).encode(), source, 100), wire.now)
    wire.settle()
    assert wire.datagrams - before <= 220
    wire.run(2)
    assert aims(wire)[0] == wire.ends[1].at


def test_a_peer_without_a_short_id_cannot_be_sent_frames_until_it_has_one() -> None:
    wire = linked()
    end = wire.ends[0]
    end.carrier.short_id_changed(LINK, None, wire.now)
    wire.settle()
    assert aims(wire)[0] is None
    assert end.carrier.status(LINK).state is CarrierState.UNUSABLE
    end.carrier.short_id_changed(LINK, ShortId(99), wire.now)
    wire.settle()
    assert end.aim is not None
    assert end.aim.short_id == 99
    assert isinstance(end.news[-1], Established)


def test_a_path_that_nobody_answers_on_is_tried_for_ever_but_calmly() -> None:
    wire = Wire()
    wire.blocked = {0, 1}
    wire.link()
    wire.run(120)
    before = wire.datagrams
    wire.run(60)
    assert 20 <= wire.datagrams - before <= 60
    wire.blocked.clear()
    until(wire, lambda: None not in aims(wire), 3)
