from ipaddress import IPv4Network

import pytest

from ipam.builders import NOW, A, B, C
from tulle.errors import UserError
from tulle.instant import Instant
from tulle.ipam.events import Done, Failed
from tulle.ipam.holdings import Holdings
from tulle.ipam.journal import Journal
from tulle.ipam.ring import Range
from tulle.ipam.takeover import LATE, SOON, TakenOver, Takeovers
from tulle.ipam.territory import Territory
from tulle.mesh.peername import PeerName

DEAD, NOBODY = PeerName(0xDEAD), PeerName(0x77)
TICKET = 1


class Office:
    """Takeovers at A; A, B, C and the dead peer own a quarter each."""

    def __init__(self, *reachable: PeerName) -> None:
        self.journal = Journal()
        self.land = Territory(A, IPv4Network("10.0.0.0/28"), Holdings(), self.journal)
        self.land.divide((A, B, C, DEAD))
        self.asked: list[PeerName] = []
        self.told = 0
        self.used: set[int] = set()
        self.takeovers = Takeovers(
            self.land, self.journal, self.ask, self.took, lambda peer: f"<{peer:x}>", lambda: self.used
        )
        self.takeovers.reachable_changed(frozenset(reachable), NOW)

    def ask(self, peer: PeerName, now: Instant) -> None:
        self.asked.append(peer)

    def took(self, now: Instant) -> None:
        self.told += 1

    def start(self, peer: PeerName = DEAD, force: bool = False) -> None:
        self.takeovers.start(TICKET, peer, force, NOW)

    def answer(self, *peers: PeerName) -> None:
        for peer in peers:
            self.takeovers.answered(peer, NOW)

    def tick(self, seconds: float) -> None:
        self.takeovers.tick(NOW.later(seconds))

    def result(self) -> object:
        events = [event for event in self.journal.collect() if isinstance(event, Done | Failed)]
        assert len(events) <= 1
        if not events:
            return None
        return events[0].result if isinstance(events[0], Done) else str(events[0].error)


def test_everybody_is_asked_and_then_the_ranges_change_hands() -> None:
    office = Office(B, C)
    office.start()
    assert office.asked == [B, C]
    office.answer(B)
    assert office.result() is None
    office.answer(C)
    result = office.result()
    assert isinstance(result, TakenOver)
    assert (result.peer, result.addresses, result.unasked) == (DEAD, 4, ())
    assert office.land.ring.owners == {A, B, C}
    assert office.told == 1
    assert office.takeovers.next_deadline() == float("inf")


def test_peers_without_ranges_are_asked_too_but_not_waited_for_long() -> None:
    office = Office(B, C, NOBODY)
    office.start()
    office.answer(B, C)
    assert office.result() is None
    assert office.takeovers.next_deadline() == NOW.mono + SOON
    office.tick(SOON)
    assert isinstance(office.result(), TakenOver)


def test_an_owner_that_does_not_answer_stops_it() -> None:
    office = Office(B, C)
    office.start()
    office.answer(B)
    office.tick(SOON)
    assert office.result() is None
    assert office.takeovers.next_deadline() == NOW.mono + LATE
    office.tick(LATE)
    assert f"cannot ask <{C:x}>" in str(office.result())
    assert DEAD in office.land.ring.owners


def test_an_owner_that_goes_away_meanwhile_stops_it() -> None:
    office = Office(B, C)
    office.start()
    office.answer(B)
    office.takeovers.reachable_changed(frozenset({B}), NOW)
    assert f"<{C:x}>" in str(office.result())


def test_the_dead_that_comes_back_meanwhile_stops_it() -> None:
    office = Office(B, C)
    office.start()
    office.takeovers.reachable_changed(frozenset({B, C, DEAD}), NOW)
    office.answer(B, C)
    assert "reachable now" in str(office.result())


@pytest.mark.parametrize(("reachable", "text"), [((B, C, DEAD), "reachable now"), ((B,), "--force")])
def test_what_speaks_against_it_is_said_at_once(reachable: tuple[PeerName, ...], text: str) -> None:
    office = Office(*reachable)
    office.start()
    assert text in str(office.result())
    assert office.asked == []


def test_force_overrides_but_still_asks_and_reports_who_was_missing() -> None:
    office = Office(B)
    office.start(force=True)
    assert office.asked == [B]
    office.tick(SOON)
    result = office.result()
    assert isinstance(result, TakenOver)
    assert result.unasked == (B, C)


def test_a_host_cannot_remove_itself() -> None:
    office = Office(B, C)
    office.start(A)
    assert "tulle reset" in str(office.result())


def test_a_peer_that_owns_nothing_gives_nothing() -> None:
    office = Office(B, C, DEAD)
    office.start(NOBODY)
    office.answer(B, C, DEAD)
    result = office.result()
    assert isinstance(result, TakenOver)
    assert result.addresses == 0
    assert office.told == 0


def test_a_cancelled_takeover_does_nothing() -> None:
    office = Office(B, C)
    office.start()
    office.takeovers.cancel(TICKET)
    office.answer(B, C)
    assert office.result() is None
    assert DEAD in office.land.ring.owners


def test_a_host_that_leaves_takes_nothing_over_any_more() -> None:
    office = Office(B, C)
    office.start()
    office.takeovers.close(UserError("gone"))
    assert str(office.result()) == "gone"
    office.answer(B, C)
    assert DEAD in office.land.ring.owners
    office.start()
    assert str(office.result()) == "gone"


def test_two_who_remove_the_same_peer_say_the_same() -> None:
    one, other = Office(B, C), Office(A, C)
    other.land.me = B
    for office in (one, other):
        office.start()
        office.answer(A, B, C)
    assert one.land.ring == other.land.ring


def test_by_force_the_asker_gets_it() -> None:
    office = Office(B, C)
    office.start(force=True)
    office.answer(B, C)
    assert sum(piece.size for piece in office.land.ring.owned_ranges(A)) == 8


def test_what_others_use_of_it_is_theirs_and_not_the_heirs() -> None:
    """Among them the host itself, and one that owns nothing; of two who use the same, the lower gets it."""
    office = Office(A, C, NOBODY)
    office.land.me = B
    (dead,) = office.land.ring.owned_ranges(DEAD)
    office.used = {dead.start, dead.start + 2}
    office.start()
    office.takeovers.in_use(NOBODY, (dead.start, dead.start + 1, dead.end))
    office.answer(A, C, NOBODY)
    assert [office.land.ring.owner(address) for address in range(*dead)] == [NOBODY, NOBODY, B, A]
    assert office.land.ring.owned_ranges(NOBODY) == [Range(dead.start, dead.start + 2)]
    office.land.ring.check()


def test_two_who_remove_the_same_peer_and_heard_the_same_of_its_addresses_say_the_same() -> None:
    one, other = Office(B, C, NOBODY), Office(A, C, NOBODY)
    other.land.me = B
    for office in (one, other):
        office.start()
        (dead,) = office.land.ring.owned_ranges(DEAD)
        office.takeovers.in_use(NOBODY, (dead.start + 2,))
        office.answer(A, B, C, NOBODY)
        assert office.land.ring.owner(dead.start + 2) == NOBODY
    assert one.land.ring == other.land.ring
