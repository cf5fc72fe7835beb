"""Two conversations of the original's kind, joined by a path in memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.datapath.carrier import CarrierState
from tulle.datapath.sleeve.conversation import Fails, Setup, Tell, Utterance, Works
from tulle.datapath.sleeve.orders import AimPath, Arrival, Count, Endpoint, PathId, SendMessage
from tulle.datapath.sleeve.weave import (
    ANSWERS_PER_SECOND,
    CONNECTION_ESTABLISHED,
    FRAGMENTATION_RECEIVED,
    PMTU_VERIFIED,
    REVIEW,
    WeaveConversation,
    heartbeat,
)
from tulle.datapath.sleeve.weave_packet import datagram_size
from tulle.datapath.tables import ShortId
from tulle.instant import Instant

UID = 0x0123456789ABCDEF
PATH = PathId(3)
HERE, THERE = Endpoint("10.0.0.1", 6783), Endpoint("10.0.0.2", 6783)
ZERO = Instant(1000.0, 0.0)


def conversation(leads: bool, encrypted: bool = False) -> WeaveConversation:
    candidates = (THERE,) if leads else ()
    return WeaveConversation(Setup(PATH, UID, leads, encrypted, candidates, ShortId(9), 1376, 6783, 0))


class Wire:
    """Both ends: one dialled, the other did not. ``takes``: IP packets with DF; ``local``: of the devices."""

    def __init__(
        self, encrypted: bool = False, local: int = 1500, takes: int = 1500, fragments: bool = True
    ) -> None:
        self.ends = {HERE: conversation(True, encrypted), THERE: conversation(False, encrypted)}
        self.addresses = {HERE: HERE, THERE: THERE}
        self.encrypted = encrypted
        self.local, self.takes, self.fragments = local, takes, fragments
        self.deaf: set[Endpoint] = set()
        self.heard: dict[Endpoint, list[Utterance]] = {HERE: [], THERE: []}
        self.now = ZERO
        for end in self.ends.values():
            end.start(self.now)
        self.settle()

    @property
    def dialler(self) -> WeaveConversation:
        return self.ends[HERE]

    def settle(self) -> None:
        while self.carry(HERE) + self.carry(THERE):
            pass

    def carry(self, name: Endpoint) -> int:
        end = self.ends[name]
        utterances = end.collect()
        other = self.ends[THERE if name == HERE else HERE]
        for utterance in utterances:
            self.heard[name].append(utterance)
            if isinstance(utterance, Tell):
                other.control(utterance.tag, utterance.payload, self.now)
            elif isinstance(utterance, SendMessage):
                self.send(utterance, name, other)
        return len(utterances)

    def send(self, order: SendMessage, name: Endpoint, other: WeaveConversation) -> None:
        packet = datagram_size(len(order.message) - 14, self.encrypted) + 28
        if order.df and packet > self.local:
            self.ends[name].refused(self.local, self.now)
        elif name not in self.deaf and (packet <= self.takes or (not order.df and self.fragments)):
            other.arrived(Arrival(PATH, order.message, self.addresses[name], packet - 28), self.now)

    def run(self, seconds: float) -> None:
        end = self.now.mono + seconds
        while (due := min(one.next_deadline() for one in self.ends.values())) <= end:
            self.now = self.now.later(max(0.0, due - self.now.mono))
            for one in self.ends.values():
                one.tick(self.now)
            self.settle()
        self.now = self.now.later(end - self.now.mono)

    def last_aim(self, name: Endpoint) -> AimPath:
        return [heard for heard in self.heard[name] if isinstance(heard, AimPath)][-1]


@pytest.mark.parametrize(("encrypted", "mtu"), [(False, 1438), (True, 1414)])
def test_both_ends_come_to_work(encrypted: bool, mtu: int) -> None:
    wire = Wire(encrypted)
    wire.run(3)
    for name, end in wire.ends.items():
        assert end.status().state == CarrierState.ESTABLISHED
        assert end.status().mtu == mtu
        assert end.status().encrypted is encrypted
        assert [type(item) for item in wire.heard[name] if isinstance(item, Works | Fails)] == [Works]
    aim = wire.last_aim(HERE)
    assert aim == AimPath(PATH, ShortId(9), THERE, 1472, 0, fragments=True)
    assert wire.last_aim(THERE).endpoint == HERE


def test_who_accepted_says_nothing_before_it_has_heard() -> None:
    end = conversation(leads=False)
    end.start(ZERO)
    end.tick(ZERO.later(100))
    assert end.collect() == []
    assert end.next_deadline() == float("inf")


def test_heartbeats_are_frequent_until_confirmed() -> None:
    wire = Wire()
    wire.deaf = {THERE}
    wire.run(5)
    assert len(beats(wire, HERE)) <= 3  # the other end has said over TCP that it heard the first
    end = conversation(leads=True)
    end.start(ZERO)
    for turn in range(8):
        end.tick(ZERO.later(turn * 0.5))
    assert [item.message for item in end.collect() if isinstance(item, SendMessage)] == [heartbeat(UID)] * 8


def beats(wire: Wire, name: Endpoint) -> list[SendMessage]:
    return [item for item in wire.heard[name] if isinstance(item, SendMessage) and len(item.message) == 22]


def test_heartbeats_are_rare_afterwards() -> None:
    wire = Wire()
    wire.run(101)
    assert 10 <= len(beats(wire, HERE)) <= 13


def test_each_end_says_once_that_it_has_heard() -> None:
    wire = Wire()
    wire.run(100)
    for said in wire.heard.values():
        assert said.count(Tell(CONNECTION_ESTABLISHED, b"")) == 1


def test_heartbeats_of_another_connection_do_not_count() -> None:
    end = conversation(leads=False)
    end.arrived(Arrival(PATH, heartbeat(UID + 1), HERE, 42), ZERO)
    assert end.collect() == []


def test_silence_is_noticed_and_its_end_too() -> None:
    wire = Wire()
    wire.run(5)
    wire.deaf = {THERE}
    wire.run(61)
    assert wire.dialler.status().state == CarrierState.LOST
    assert "60 seconds" in wire.dialler.status().reason
    assert wire.last_aim(HERE).short_id is None
    wire.deaf = set()
    wire.run(11)
    assert wire.dialler.status().state == CarrierState.ESTABLISHED
    assert wire.last_aim(HERE).short_id == 9


def test_a_path_smaller_than_the_kernel_knows() -> None:
    wire = Wire(takes=1300)
    wire.run(10)
    assert wire.dialler.status().mtu == 1300 - 62
    assert wire.last_aim(HERE).size == 1272


def test_a_path_that_shrinks_without_a_word() -> None:
    wire = Wire()
    wire.run(10)
    wire.takes = 800
    wire.run(4.7)
    assert (wire.dialler.status().mtu or 0) <= 800 - 62
    wire.run(10)
    assert wire.dialler.status().mtu == 800 - 62


def test_a_path_that_passes_heartbeats_one_way_only() -> None:
    wire = Wire()
    wire.run(10)
    wire.deaf = {HERE}
    wire.run(7.5)
    assert wire.dialler.status().state == CarrierState.LOST
    assert "acknowledge" in wire.dialler.status().reason
    assert wire.last_aim(HERE).short_id is None
    wire.deaf = set()
    wire.run(5)
    assert wire.dialler.status().state == CarrierState.ESTABLISHED
    wire.run(5)
    assert wire.dialler.status().mtu == 1438


def test_a_doubt_finds_out_sooner() -> None:
    wire = Wire()
    wire.run(10)
    wire.deaf = {HERE}
    wire.dialler.doubt(wire.now)
    wire.settle()
    wire.run(5.2)
    assert wire.dialler.status().state == CarrierState.LOST


def test_a_path_that_grows() -> None:
    wire = Wire(local=1300, takes=1300)
    wire.run(10)
    wire.local = wire.takes = 9000
    wire.run(REVIEW + 10)
    assert wire.dialler.status().mtu == 9000 - 62


def test_fragments_that_do_not_pass() -> None:
    wire = Wire(fragments=False)
    wire.run(10)
    assert not wire.last_aim(HERE).fragments
    wire.fragments = True
    wire.run(REVIEW)
    assert wire.last_aim(HERE).fragments
    wire.fragments = False
    wire.run(REVIEW + 10)
    assert not wire.last_aim(HERE).fragments


def test_a_kernel_that_refuses_nothing() -> None:
    wire = Wire(local=100_000)
    wire.run(10)
    assert wire.dialler.status().mtu == 1438
    wire = Wire(local=100_000, takes=100_000)
    wire.run(10)
    assert wire.dialler.status().mtu == 59986


def test_an_end_that_moves_is_followed_and_its_path_tested_anew() -> None:
    wire = Wire()
    wire.run(5)
    moved = Endpoint("192.0.2.9", 40000)
    wire.addresses[HERE] = moved
    wire.run(11)
    assert wire.last_aim(THERE).endpoint == moved
    assert wire.last_aim(THERE).fragments
    assert wire.ends[THERE].status().mtu == 1438


def test_without_a_key_tests_from_strangers_are_not_answered() -> None:
    end = conversation(leads=True)
    end.start(ZERO)
    end.arrived(Arrival(PATH, bytes(1000), Endpoint("192.0.2.1", 1), 1020), ZERO)
    assert not [item for item in end.collect() if isinstance(item, Tell)]
    end.arrived(Arrival(PATH, bytes(1000), THERE, 1020), ZERO)
    end.arrived(Arrival(PATH, bytes(60001), THERE, 60021), ZERO)
    assert [item for item in end.collect() if isinstance(item, Tell)] == [
        Tell(PMTU_VERIFIED, (1000 - 14).to_bytes(2, "big")),
        Tell(FRAGMENTATION_RECEIVED, b""),
    ]


def test_a_flood_of_tests_is_answered_at_a_bounded_pace() -> None:
    end = conversation(leads=True)
    for _ in range(10_000):
        end.arrived(Arrival(PATH, bytes(100), THERE, 120), ZERO)
    assert len([item for item in end.collect() if isinstance(item, Tell)]) == ANSWERS_PER_SECOND


def test_another_short_id_aims_anew() -> None:
    wire = Wire()
    wire.run(1)
    wire.dialler.short_id_changed(ShortId(77), wire.now)
    wire.settle()
    assert wire.last_aim(HERE).short_id == 77
    wire.dialler.short_id_changed(None, wire.now)
    wire.settle()
    assert wire.last_aim(HERE).short_id is None
    assert wire.dialler.status().state == CarrierState.LOST
    assert "short id" in wire.dialler.status().reason


def test_loss_is_said_when_enough_was_counted() -> None:
    wire = Wire(encrypted=True)
    wire.dialler.counted(Count(10, 9, 10, 0), wire.now)
    assert wire.dialler.status().loss is None
    wire.dialler.counted(Count(1000, 900, 1000, 0), wire.now)
    assert wire.dialler.status().loss == pytest.approx(0.1)
    plain = Wire()
    plain.dialler.counted(Count(1000, 900, 900, 0), plain.now)
    assert plain.dialler.status().loss is None


def test_an_address_that_becomes_known_later() -> None:
    end = WeaveConversation(Setup(PATH, UID, True, False, (), ShortId(9), 1376, 6783, 0))
    end.start(ZERO)
    assert end.collect() == []
    end.candidates((THERE,), ZERO)
    assert SendMessage(PATH, THERE, heartbeat(UID)) in end.collect()


def test_why_it_does_not_work() -> None:
    end = conversation(leads=True)
    end.start(ZERO)
    assert "firewall" in end.status().reason
    end.arrived(Arrival(PATH, heartbeat(UID), THERE, 42), ZERO)
    assert "ours do not" in end.status().reason
    end.counted(Count(3, 0, 0, 5), ZERO)
    assert "none that belongs" in end.status().reason
    assert end.status().state == CarrierState.TRYING


@given(
    st.lists(
        st.tuples(st.integers(0, 255), st.binary(max_size=4), st.binary(max_size=70), st.floats(0, 400)),
        max_size=30,
    )
)
def test_nothing_that_the_other_end_says_does_harm(said: list[tuple[int, bytes, bytes, float]]) -> None:
    end, now = conversation(leads=True), ZERO
    end.start(now)
    for tag, payload, message, pause in said:
        end.control(tag, payload, now)
        end.arrived(Arrival(PATH, message, THERE, len(message)), now)
        now = now.later(pause)
        end.tick(now)
        assert end.next_deadline() > now.mono
        assert all(aim.size >= 552 for aim in end.collect() if isinstance(aim, AimPath))
