"""Lanes: who earns one, when it is used, and that it ends without losing frames of the other end."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.datapath.carrier import SendFrame
from tulle.datapath.lanes import (
    BUSY,
    GRACE,
    IDLE,
    LEASE,
    MAX_LANES,
    REFUSED,
    TRIAL,
    Answer,
    LaneEvent,
    Lanes,
    Make,
    Remove,
    Use,
)
from tulle.datapath.tables import Hop, ShortId, Tables
from tulle.datapath.tapframe import ControlFrame, Way, decode
from tulle.instant import Instant

ME, PEER = ShortId(1), ShortId(2)
HOP = Hop("10.0.0.2", "10.0.0.1")
LOOK = 2.0
DIRECT = Tables(ME, {PEER: HOP}, {PEER: HOP})
RELAYED = Tables(ME, {PEER: HOP}, {PEER: Hop("10.0.0.3", "10.0.0.1")})


@dataclass
class World:
    """One host's lanes, its kernel, and the other end, which has a lane when ``there``."""

    tables: Tables = DIRECT
    there: bool = True
    rate: float = 0.0
    now: Instant = field(default_factory=lambda: Instant(1000.0, 0.0))
    octets: float = 0.0
    next_look: float = 0.0
    lanes: Lanes = field(default_factory=lambda: Lanes(1376, 99))
    done: list[LaneEvent] = field(default_factory=list)
    leased_until: float = 0.0
    device: bool = False

    def run(self, seconds: float) -> list[LaneEvent]:
        """Let time pass; what was done but asking."""
        end = self.now.mono + seconds
        self.done = []
        while (due := min(self.lanes.next_deadline(), max(self.next_look, self.now.mono))) <= end:
            self.octets += self.rate * (due - self.now.mono)
            self.now = Instant(max(due, self.now.mono), 0.0)
            self.lanes.tick(self.now)
            if self.next_look <= self.now.mono:
                self.next_look = self.now.mono + LOOK
                self.lanes.look(self.tables, {PEER: int(self.octets)}, self.now)
            self.settle()
        self.now = Instant(end, 0.0)
        return self.done

    def settle(self) -> None:
        while events := self.lanes.collect():
            for event in events:
                self.do(event)

    def do(self, event: LaneEvent) -> None:
        if isinstance(event, SendFrame):
            assert self.device
            self.echo(decode(event.data))
            return
        self.done.append(event)
        if isinstance(event, Make):
            self.device = True
            self.lanes.made(event.peer, self.now)
        elif isinstance(event, Use):
            self.leased_until = self.now.mono + event.seconds
        elif isinstance(event, Remove):
            assert self.leased_until <= self.now.mono
            self.device = False

    def echo(self, frame: ControlFrame) -> None:
        assert (frame.way, len(frame.payload) + 14) == (Way.LANE, 1390)
        if self.there:
            payload = frame.payload[:4] + b"\x02" + frame.payload[5:]
            answer = ControlFrame(frame.src, frame.dst, frame.ethertype, payload, way=Way.LANE)
            self.lanes.frame(answer.encode(), self.now)

    @property
    def used(self) -> bool:
        return self.lanes.in_use() == (PEER,)


def busy(**options: object) -> World:
    world = World(rate=2 * BUSY, **options)  # type: ignore[arg-type]
    world.run(5)
    return world


def test_a_busy_neighbour_gets_a_lane() -> None:
    world = World(rate=2 * BUSY)
    assert world.run(5) == [Make(PEER, ME, HOP), Use(PEER, LEASE)]
    assert world.used


def test_little_traffic_earns_none() -> None:
    world = World(rate=BUSY / 2)
    assert world.run(60) == []


def test_a_peer_behind_a_relay_gets_none() -> None:
    assert World(rate=2 * BUSY, tables=RELAYED).run(60) == []


def test_a_lease_is_renewed_in_time() -> None:
    world = busy()
    for _ in range(100):
        world.run(1)
        assert world.leased_until > world.now.mono + 10


def test_a_lane_that_fails_is_left_within_two_seconds_and_used_again_when_it_is_back() -> None:
    world = busy()
    world.there = False
    assert world.run(2.1)[-1] == Use(PEER, 0)
    assert not world.used
    world.there = True
    assert world.run(1) == [Use(PEER, LEASE)]


def test_quiet_ends_it_in_two_steps() -> None:
    world = busy()
    world.rate = 0
    assert all(event == Use(PEER, LEASE) for event in world.run(IDLE - 5))
    assert world.run(10)[-2:] == [Use(PEER, 0), Answer(PEER, answering=False)]
    assert world.run(GRACE - 8) == []
    assert world.device
    assert world.run(10) == [Remove(PEER)]
    assert not world.device


def test_a_trickle_keeps_it() -> None:
    world = busy()
    world.rate = BUSY / 5
    world.run(10 * IDLE)
    assert world.used


def test_a_neighbour_without_lanes_is_left_alone_for_long() -> None:
    world = World(rate=2 * BUSY, there=False)
    assert world.run(TRIAL + 5) == [Make(PEER, ME, HOP), Answer(PEER, answering=False)]
    assert world.run(GRACE) == [Remove(PEER)]
    assert world.run(REFUSED - GRACE - 10) == []
    assert world.run(20)[0] == Make(PEER, ME, HOP)


@pytest.mark.parametrize(
    "after",
    [
        RELAYED,
        Tables(ME),
        Tables(ShortId(7), DIRECT.direct, DIRECT.routes),
        Tables(ME, {PEER: Hop("10.0.0.9", "10.0.0.1")}, {PEER: Hop("10.0.0.9", "10.0.0.1")}),
    ],
    ids=["a relay is better", "gone", "another id of ours", "another address"],
)
def test_what_a_lane_rests_on_must_stay(after: Tables) -> None:
    world = busy()
    world.tables = after
    assert world.run(2)[:2] == [Use(PEER, 0), Answer(PEER, answering=False)]
    assert Remove(PEER) in world.run(GRACE + 2)


def test_a_lane_is_made_anew_after_such_a_change() -> None:
    world = busy()
    world.tables = Tables(ShortId(7), DIRECT.direct, DIRECT.routes)
    assert Make(PEER, ShortId(7), HOP) in world.run(GRACE + 5)
    world.run(2)
    assert world.used


def test_an_adopted_lane_goes_on() -> None:
    world = World(rate=2 * BUSY, device=True)
    world.lanes.adopt(PEER, ME, HOP, world.now)
    assert world.run(5) == [Use(PEER, LEASE)]


def test_an_adopted_lane_without_traffic_ends() -> None:
    world = World(device=True)
    world.lanes.adopt(PEER, ME, HOP, world.now)
    assert world.run(IDLE + GRACE + 5)[-1] == Remove(PEER)


def test_a_device_that_cannot_be_made_is_not_asked_for_again_at_once() -> None:
    lanes = Lanes(1376, 99)
    made = []
    for second in range(120):
        lanes.look(DIRECT, {PEER: second * 3 * BUSY}, Instant(second, 0))
        for event in lanes.collect():
            made.append(event)
            lanes.failed(PEER, Instant(second, 0))
    assert made == [Make(PEER, ME, HOP)]
    assert lanes.next_deadline() == float("inf")


def test_there_is_a_limit() -> None:
    lanes = Lanes(1376, 99)
    peers = [ShortId(number) for number in range(2, MAX_LANES + 20)]
    hops = {peer: Hop(f"10.0.0.{peer}", "10.0.0.1") for peer in peers}
    tables = Tables(ME, hops, hops)
    for second in range(3):
        lanes.look(tables, dict.fromkeys(peers, second * 3 * BUSY), Instant(second, 0))
    assert len(lanes.collect()) == MAX_LANES


@given(st.lists(st.binary(max_size=60)))
def test_garbage_out_of_a_lane_is_ignored(frames: list[bytes]) -> None:
    world = busy()
    for data in frames:
        world.lanes.frame(data, world.now)
        world.lanes.frame(ControlFrame(ME, PEER, 0x88B5, data, way=Way.LANE).encode(), world.now)
    assert world.used
