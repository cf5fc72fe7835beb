"""The kernel carrier, against another carrier or a Weave Net peer played by the test."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.datapath import heartbeat
from tulle.datapath.carrier import (
    Answered,
    CarrierEvent,
    CarrierState,
    Established,
    Lost,
    Neighbour,
    SendControl,
    SendFrame,
    Silent,
)
from tulle.datapath.echo import SMALL, Echo
from tulle.datapath.tables import ShortId
from tulle.datapath.tapframe import ECHO_ETHERTYPE, ControlFrame, Way, decode
from tulle.datapath.vxlan import ACKNOWLEDGE, VxlanCarrier
from tulle.instant import Instant
from tulle.mesh.events import LinkId
from tulle.mesh.peername import PeerName

MTU = 1376
FULL = MTU + 14
ME, OTHER = ShortId(1), ShortId(2)
LINK = LinkId(11)
NATIVE = Neighbour(LINK, PeerName(2), OTHER, "10.0.0.2", "10.0.0.1", 77, native=True, secret=False)
WEAVE = replace(NATIVE, native=False)


class World:
    """A carrier, and the other host: its kernel, and the daemon if it has one."""

    def __init__(self, neighbour: Neighbour = NATIVE) -> None:
        self.now = Instant(1000.0, 0.0)
        self.carrier = VxlanCarrier(ME, MTU, 6784, watch_uid=99)
        self.neighbour = neighbour
        self.events: list[CarrierEvent] = []
        self.largest = FULL
        self.kernel_answers = True
        self.sent: list[ControlFrame] = []

    def up(self) -> None:
        self.carrier.link_up(self.neighbour, self.now)
        self.settle()

    def settle(self) -> None:
        """Carry out what the carrier wants; the other kernel answers at once."""
        while events := self.carrier.collect():
            for event in events:
                if isinstance(event, SendFrame):
                    self.carry(decode(event.data))
                else:
                    self.events.append(event)

    def carry(self, frame: ControlFrame) -> None:
        self.sent.append(frame)
        size = len(frame.payload) + 14
        if frame.ethertype == ECHO_ETHERTYPE and self.kernel_answers and size <= self.largest:
            payload = frame.payload[:4] + b"\x02" + frame.payload[5:]
            self.arrive(ControlFrame(frame.src, frame.dst, ECHO_ETHERTYPE, payload, "10.0.0.2"))

    def arrive(self, frame: ControlFrame) -> None:
        self.carrier.frame(frame.encode(), self.now)

    def heartbeat(self, uid: int = 77, size: int = FULL) -> None:
        payload = heartbeat.encode(uid, size)
        self.arrive(ControlFrame(ME, OTHER, heartbeat_type(), payload, "10.0.0.2"))
        self.settle()

    def run(self, seconds: float) -> None:
        """Let time pass, with a tick whenever one is due."""
        end = self.now.mono + seconds
        while (due := self.carrier.next_deadline()) <= end:
            self.now = Instant(max(due, self.now.mono), 0.0)
            self.carrier.tick(self.now)
            self.settle()
        self.now = Instant(end, 0.0)

    def news(self) -> list[CarrierEvent]:
        events, self.events = self.events, []
        return events

    @property
    def state(self) -> CarrierState:
        return self.carrier.status(LINK).state


def heartbeat_type() -> int:
    return 0


def world(neighbour: Neighbour = NATIVE) -> World:
    made = World(neighbour)
    made.up()
    return made


# Our own peers


def test_a_native_peer_is_established_by_its_kernel_alone() -> None:
    w = world()
    w.run(0.1)
    assert w.news() == [Established(LINK, MTU)]
    status = w.carrier.status(LINK)
    assert status.state is CarrierState.ESTABLISHED
    assert (status.mtu, status.encrypted, status.reason) == (MTU, False, "")
    assert status.rtt == 0


def test_probes_have_full_size_and_name_the_peer() -> None:
    w = world()
    w.run(8)
    echoes = [frame for frame in w.sent if frame.ethertype == ECHO_ETHERTYPE]
    assert all((frame.dst, frame.src, frame.way) == (OTHER, ME, Way.DIRECT) for frame in echoes)
    assert len([frame for frame in echoes if len(frame.payload) + 14 == FULL]) >= 10
    assert len(echoes) <= 14


def test_answers_that_took_another_way_prove_nothing() -> None:
    w = world()
    w.kernel_answers = False
    w.run(10)
    w.news()
    for question in [frame for frame in w.sent if frame.ethertype == ECHO_ETHERTYPE][-4:]:
        payload = question.payload[:4] + b"\x02" + question.payload[5:]
        w.arrive(ControlFrame(ME, OTHER, ECHO_ETHERTYPE, payload, "10.0.0.3"))
    assert w.news() == []
    assert w.state is not CarrierState.ESTABLISHED


def test_a_dead_path_is_noticed_within_two_seconds_and_its_return_too() -> None:
    w = world()
    w.run(10)
    w.news()
    w.kernel_answers = False
    w.run(2)
    silent, lost = w.news()
    assert silent == Silent(LINK)
    assert isinstance(lost, Lost)
    assert "6784" in lost.reason
    assert w.state is CarrierState.LOST
    w.run(300)
    assert w.news() == []
    w.kernel_answers = True
    w.run(1)
    assert w.news() == [Established(LINK, MTU)]


def test_a_path_that_is_too_narrow_is_told_from_a_dead_one() -> None:
    w = World()
    w.largest = FULL - 1
    w.up()
    w.run(5)
    assert w.news() == []
    assert w.carrier.lacks(LINK) == MTU + 50
    assert w.state is CarrierState.TRYING
    assert "full size (1376 bytes)" in w.carrier.status(LINK).reason
    w.largest = FULL
    w.run(1)
    assert w.state is CarrierState.ESTABLISHED


def test_one_way_is_told_too() -> None:
    w = World()
    w.kernel_answers = False
    w.up()
    w.run(1)
    assert "no answer" in w.carrier.status(LINK).reason
    w.heartbeat()
    assert "ours do not" in w.carrier.status(LINK).reason


def test_a_stopped_daemon_does_not_lose_its_paths() -> None:
    w = world()
    w.run(10)
    w.news()
    w.now = w.now.later(50)
    w.carrier.tick(w.now)
    w.settle()
    w.run(10)
    assert w.news() == []


def test_heartbeats_go_to_native_peers_as_well_and_are_acknowledged() -> None:
    w = world()
    w.heartbeat()
    w.heartbeat()
    assert w.news().count(SendControl(LINK, ACKNOWLEDGE, b"")) == 1
    assert any(frame.ethertype == 0 for frame in w.sent)


# Weave Net's peers


def test_a_weave_peer_is_established_by_its_acknowledgement() -> None:
    w = world(WEAVE)
    w.run(2)
    assert w.news() == []
    assert not any(frame.ethertype == ECHO_ETHERTYPE for frame in w.sent)
    assert len(w.sent) == 5
    assert all(heartbeat.is_valid(frame.payload, 77) for frame in w.sent)
    w.carrier.control(LINK, ACKNOWLEDGE, b"", w.now)
    w.settle()
    assert w.news() == [Established(LINK, MTU)]
    w.sent.clear()
    w.run(30)
    assert len(w.sent) == 3


def test_its_heartbeats_are_acknowledged_once() -> None:
    w = world(WEAVE)
    for _ in range(3):
        w.heartbeat()
    assert w.news() == [SendControl(LINK, ACKNOWLEDGE, b"")]


def test_a_foreign_or_shortened_heartbeat_is_not() -> None:
    w = world(WEAVE)
    w.heartbeat(uid=78)
    w.arrive(ControlFrame(ME, OTHER, 0, heartbeat.encode(77, FULL)[:-1]))
    w.arrive(ControlFrame(ME, ShortId(3), 0, heartbeat.encode(77, FULL)))
    w.arrive(ControlFrame(ShortId(9), OTHER, 0, heartbeat.encode(77, FULL)))
    w.settle()
    assert w.news() == []


def test_a_minute_of_silence_loses_a_weave_peer_and_a_heartbeat_brings_it_back() -> None:
    w = world(WEAVE)
    w.carrier.control(LINK, ACKNOWLEDGE, b"", w.now)
    w.heartbeat()
    w.run(59)
    w.news()
    w.run(2)
    (lost,) = w.news()
    assert isinstance(lost, Lost)
    w.run(100)
    w.heartbeat()
    assert w.news() == [Established(LINK, MTU), SendControl(LINK, ACKNOWLEDGE, b"")][::-1]


def test_unknown_control_messages_are_ignored() -> None:
    w = world(WEAVE)
    w.carrier.control(LINK, 1, bytes(64), w.now)
    w.carrier.control(LinkId(5), ACKNOWLEDGE, b"", w.now)
    w.settle()
    assert w.news() == []


# What cannot be used at all


@pytest.mark.parametrize(
    ("neighbour", "word"),
    [
        (replace(NATIVE, secret=True), "encrypted"),
        (replace(NATIVE, remote_ip="fd00::2"), "IPv6"),
        (replace(NATIVE, short_id=None), "short id"),
    ],
)
def test_obstacles_are_named_and_nothing_is_sent(neighbour: Neighbour, word: str) -> None:
    w = world(neighbour)
    w.run(30)
    status = w.carrier.status(LINK)
    assert status.state is CarrierState.UNUSABLE
    assert word in status.reason
    assert w.sent == []
    assert w.news() == []


def test_through_a_nat_nothing_is_expected_but_all_is_tried() -> None:
    w = World(replace(NATIVE, translated=True))
    w.kernel_answers = False
    w.up()
    w.run(10)
    status = w.carrier.status(LINK)
    assert status.state is CarrierState.UNUSABLE
    assert "NAT" in status.reason
    w.kernel_answers = True
    w.run(3)
    assert w.state is CarrierState.ESTABLISHED
    w.kernel_answers = False
    w.run(10)
    assert w.state is CarrierState.LOST
    assert "NAT" not in w.carrier.status(LINK).reason


def test_a_peer_gets_its_short_id_later() -> None:
    w = world(replace(NATIVE, short_id=None))
    w.carrier.short_id_changed(LINK, OTHER, w.now)
    w.run(1)
    assert w.news() == [Established(LINK, MTU)]


def test_changed_ids_do_not_interrupt() -> None:
    w = world()
    w.run(5)
    w.news()
    w.carrier.short_id_changed(LINK, ShortId(200), w.now)
    w.carrier.own_short_id(ShortId(201), w.now)
    w.sent.clear()
    w.run(5)
    assert {(frame.dst, frame.src) for frame in w.sent} == {(200, 201)}
    assert w.news() == []


def test_losing_the_short_id_loses_the_path() -> None:
    w = world()
    w.run(5)
    w.news()
    w.carrier.short_id_changed(LINK, None, w.now)
    w.settle()
    (lost,) = w.news()
    assert isinstance(lost, Lost)


# Links that come and go


def test_a_new_link_to_the_same_peer_takes_over() -> None:
    w = world()
    newer = replace(NATIVE, link=LinkId(12), conn_uid=78)
    w.carrier.link_up(newer, w.now)
    w.carrier.link_down(LINK, w.now)
    w.run(1)
    assert Established(LinkId(12), MTU) in w.news()
    w.carrier.link_down(LinkId(12), w.now)
    assert w.carrier.next_deadline() == float("inf")
    with pytest.raises(KeyError):
        w.carrier.status(LINK)


def test_an_answer_for_an_earlier_link_does_not_count() -> None:
    w = World()
    w.kernel_answers = False
    w.up()
    for sequence in range(10):
        payload = Echo(76, sequence, SMALL).encode()
        w.arrive(ControlFrame(ME, OTHER, ECHO_ETHERTYPE, payload[:4] + b"\x02" + payload[5:]))
    w.settle()
    assert w.news() == []


# Watching ghosts


def test_watched_peers_are_asked_and_their_answers_told() -> None:
    w = World()
    w.carrier.watch({ShortId(5): False, ShortId(6): True}, w.now)
    w.run(4.5)
    assert w.news() == [Answered(ShortId(5)), Answered(ShortId(6))] * 3
    assert {(frame.dst, frame.way) for frame in w.sent} == {(5, Way.DIRECT), (6, Way.ROUTED)}
    assert {len(frame.payload) + 14 for frame in w.sent} == {SMALL}
    w.carrier.watch({}, w.now)
    assert w.carrier.next_deadline() == float("inf")
    w.arrive(ControlFrame(ME, ShortId(5), ECHO_ETHERTYPE, b"tule\x02" + bytes(19)))
    w.settle()
    assert w.news() == []


def test_many_paths_are_served_in_few_turns() -> None:
    carrier = VxlanCarrier(ME, MTU, 6784, watch_uid=99)
    starts = itertools.count()
    for number in range(2, 202):
        neighbour = replace(NATIVE, link=LinkId(number), short_id=ShortId(number))
        carrier.link_up(neighbour, Instant(next(starts) * 0.0025, 0))
    turns = 0
    while (due := carrier.next_deadline()) < 10:
        carrier.tick(Instant(due, 0))
        turns += 1
    assert turns < 10 / 0.02


@given(st.lists(st.binary(max_size=80)))
def test_garbage_from_the_tap_is_ignored(frames: list[bytes]) -> None:
    w = world()
    for data in frames:
        w.carrier.frame(data, w.now)
        w.carrier.frame(ControlFrame(ME, OTHER, ECHO_ETHERTYPE, data).encode(), w.now)
        w.carrier.frame(ControlFrame(ME, OTHER, 0, data).encode(), w.now)
    w.settle()
    assert not any(isinstance(event, Lost) for event in w.news())
