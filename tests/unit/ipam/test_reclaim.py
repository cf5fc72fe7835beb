from ipaddress import IPv4Interface, IPv4Network
from random import Random

from ipam.builders import NOW, A, B
from tulle.instant import Instant
from tulle.ipam.asking import PATIENCE, Asking
from tulle.ipam.directory import Directory
from tulle.ipam.events import Log
from tulle.ipam.holdings import Holdings
from tulle.ipam.journal import Journal
from tulle.ipam.reclaim import BATCH, RETRY_DENIED, Reclaiming, lost_range
from tulle.ipam.ring import Range
from tulle.ipam.territory import Territory
from tulle.mesh.peername import PeerName

UNIVERSE = IPv4Network("10.0.0.0/24")
START = int(UNIVERSE.network_address)


class Lost:
    """A uses some addresses of a range that is B's."""

    def __init__(self, used: int) -> None:
        self.asked: list[int] = []
        self.journal = Journal()
        self.land = Territory(A, UNIVERSE, Holdings(), self.journal)
        self.land.divide((B,))
        for offset in range(used):
            interface = IPv4Interface((START + offset, 24))
            self.land.hold(f"c{offset}", interface)
            self.land.strays.add(START + offset)
        self.asking = Asking(A, Random(1), self.note)
        self.asking.reachable = frozenset({B})
        self.directory = Directory(A)
        self.reclaiming = Reclaiming(self.land, self.asking, self.journal, self.directory)

    def note(self, peer: PeerName, wanted: Range, now: Instant) -> None:
        assert (peer, wanted.size) == (B, 1)
        self.asked.append(wanted.start - START)

    def errors(self) -> list[str]:
        return [event.text for event in self.journal.collect() if isinstance(event, Log)]


def test_strays_are_asked_back_some_at_a_time() -> None:
    lost = Lost(BATCH + 5)
    lost.reclaiming.pursue(NOW)
    assert lost.asked == list(range(BATCH))
    lost.land.strays -= {START + offset for offset in range(BATCH)}
    lost.reclaiming.pursue(NOW)
    assert lost.asked == list(range(BATCH + 5))


def test_an_address_in_use_on_both_sides_is_told_once_and_asked_for_seldom() -> None:
    lost = Lost(1)
    lost.reclaiming.pursue(NOW)
    assert not lost.reclaiming.denied(START)
    lost.asking.refused(B, Range(START, START + 1))
    lost.reclaiming.pursue(NOW)
    assert lost.reclaiming.denied(START)
    (text,) = lost.errors()
    assert "10.0.0.0 is used twice: here by c0" in text
    lost.reclaiming.pursue(NOW.later(RETRY_DENIED - 1))
    assert lost.asked == [0]
    lost.reclaiming.pursue(NOW.later(RETRY_DENIED))
    assert lost.asked == [0, 0]
    lost.asking.refused(B, Range(START, START + 1))
    lost.reclaiming.pursue(NOW.later(RETRY_DENIED + PATIENCE))
    assert lost.errors() == []


def test_what_came_back_is_forgotten() -> None:
    lost = Lost(1)
    lost.reclaiming.pursue(NOW)
    lost.asking.refused(B, Range(START, START + 1))
    lost.reclaiming.pursue(NOW)
    lost.land.strays.clear()
    lost.reclaiming.pursue(NOW)
    assert not lost.reclaiming.denied(START)


def test_people_are_told_who_has_a_lost_range() -> None:
    lost = Lost(2)
    text = lost_range(Range(START, START + 16), lost.land, lost.directory)
    assert "10.0.0.0-10.0.0.15 belongs to 02:00:00:00:00:02 now" in text
    assert "2 addresses in use here" in text
    assert "asked back" not in lost_range(Range(START + 64, START + 65), lost.land, lost.directory)
