from ipaddress import IPv4Network

from ipam.builders import NOW, A, B, C
from tulle.instant import Instant
from tulle.ipam.directory import Directory
from tulle.ipam.events import Done
from tulle.ipam.holdings import Holdings
from tulle.ipam.journal import Journal
from tulle.ipam.leaving import PATIENCE, Leaving, Left
from tulle.ipam.ring import Ring
from tulle.ipam.territory import Territory
from tulle.mesh.peername import PeerName

D = PeerName(C + 1)
TICKET = 1


class Desk:
    """A leaves; A, B, C and D own a quarter each."""

    def __init__(self, *reachable: PeerName) -> None:
        self.journal, self.directory = Journal(), Directory(A)
        self.directory.update(frozenset(reachable), {})
        self.land = Territory(A, IPv4Network("10.0.0.0/28"), Holdings(), self.journal)
        self.land.divide((A, B, C, D))
        self.told: list[PeerName] = []
        self.gave = 0
        self.leaving = Leaving(self.land, self.directory, self.journal, self.tell, self.give)

    def tell(self, peer: PeerName, now: Instant) -> None:
        self.told.append(peer)

    def give(self, now: Instant) -> None:
        self.gave += 1

    def start(self) -> None:
        self.leaving.start(TICKET, NOW)

    def hear(self, ring: Ring) -> None:
        before = self.land.ring
        self.land.merge(ring)
        self.leaving.merged(before, NOW)

    def show(self, peer: PeerName) -> None:
        """The peer shows that it knows what we know."""
        self.leaving.answered(peer, self.land.ring)

    def result(self) -> Left | None:
        results = [event.result for event in self.journal.collect() if isinstance(event, Done)]
        assert len(results) <= 1
        return results[0] if results else None  # type: ignore[return-value]


def test_all_must_show_that_they_know() -> None:
    desk = Desk(B, C, D)
    unaware = desk.land.ring
    desk.start()
    assert desk.land.ring.owners == {B, C, D}
    assert desk.told == [B, C, D]
    desk.leaving.answered(B, unaware)
    desk.show(C)
    desk.show(D)
    assert desk.result() is None
    desk.show(B)
    assert desk.result() == Left(B, confirmed=True)


def test_the_heir_s_word_is_enough_if_others_say_nothing() -> None:
    desk = Desk(B, C)
    desk.start()
    desk.show(B)
    assert desk.result() is None
    desk.leaving.tick(NOW.later(PATIENCE))
    assert desk.result() == Left(B, confirmed=True)


def test_whoever_gave_us_something_before_it_knew_has_that_passed_on() -> None:
    """C shows in one message that it knows, and that it gave us its share before (``two-leave-at-once``)."""
    desk = Desk(B, C)
    theirs = desk.land.ring.transfer(C, A)
    desk.start()
    desk.show(B)
    desk.land.merge(theirs)
    desk.show(C)
    assert desk.result() is None
    desk.hear(desk.land.ring.transfer(D, B))
    assert desk.land.ring.owners == {B}
    desk.show(B)
    desk.show(C)
    assert desk.result() == Left(B, confirmed=True)


def test_an_heir_that_says_nothing() -> None:
    desk = Desk(B)
    desk.start()
    assert desk.leaving.next_deadline() == NOW.mono + PATIENCE
    desk.leaving.tick(NOW.later(PATIENCE))
    assert desk.result() == Left(B, confirmed=False)
    desk.start()
    assert desk.told == [B, B]
    desk.show(B)
    assert desk.result() == Left(B, confirmed=True)


def test_nobody_can_be_reached() -> None:
    desk = Desk()
    desk.start()
    assert desk.result() == Left(None, confirmed=False)
    assert A in desk.land.ring.owners


def test_nothing_to_give() -> None:
    desk = Desk()
    desk.land.adopt(desk.land.ring.transfer(A, B))
    desk.start()
    assert desk.result() == Left(None, confirmed=True)
    assert desk.gave == 0


def test_what_comes_from_one_who_leaves_too_goes_to_another() -> None:
    desk = Desk(B, C, D)
    theirs = desk.land.ring.transfer(B, A)
    desk.start()
    desk.hear(theirs)
    assert desk.told == [B, C, D, B, C, D]
    assert desk.land.ring.owners == {B, C, D}
    desk.show(C)
    desk.show(D)
    assert desk.result() is None
    desk.show(B)
    assert desk.result() == Left(C, confirmed=True)


def test_what_the_heir_passed_on_is_its_business() -> None:
    desk = Desk(B, C, D)
    desk.start()
    desk.hear(desk.land.ring.transfer(B, C))
    assert desk.result() is None
    desk.leaving.tick(NOW.later(PATIENCE))
    assert desk.result() == Left(B, confirmed=True)


def test_two_who_leave_alone_come_to_an_end() -> None:
    desk = Desk(B)
    theirs = desk.land.ring.transfer(B, A)
    desk.start()
    desk.hear(theirs)
    assert desk.result() == Left(None, confirmed=False)


def test_who_stays_does_nothing() -> None:
    desk = Desk(B, C, D)
    desk.hear(desk.land.ring.transfer(B, A))
    assert desk.told == []
    assert desk.land.ring.owners == {A, C, D}
