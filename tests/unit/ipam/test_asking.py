from random import Random

from ipam.builders import NOW, A, B, C, ring
from tulle.instant import Instant
from tulle.ipam.asking import NATIVE_PATIENCE, PATIENCE, Asking
from tulle.ipam.ring import Range
from tulle.mesh.peername import PeerName

WANTED = Range(1, 15)
RING = ring((0, B, 0, 8), (8, C, 0, 8))


class Asker:
    def __init__(self, *reachable: PeerName, seed: int = 1) -> None:
        self.asked: list[PeerName] = []
        self.asking = Asking(A, Random(seed), self.note)
        self.asking.reachable = frozenset(reachable)

    def note(self, peer: PeerName, wanted: Range, now: Instant) -> None:
        assert wanted == WANTED
        self.asked.append(peer)

    def pursue(self, seconds: float = 0) -> bool:
        return self.asking.pursue(WANTED, RING, NOW.later(seconds))


def test_one_owner_is_asked_at_a_time_and_again_when_it_does_not_answer() -> None:
    asker = Asker(B, C)
    assert asker.pursue()
    assert asker.pursue(PATIENCE - 0.1)
    assert len(asker.asked) == 1
    assert asker.pursue(PATIENCE)
    assert len(asker.asked) == 2


def test_own_kind_is_asked_again_sooner() -> None:
    asker = Asker(B)
    asker.asking.natives = frozenset({B})
    asker.pursue()
    asker.pursue(NATIVE_PATIENCE)
    assert asker.asked == [B, B]


def test_a_refusal_leads_to_the_next_and_the_last_one_ends_hope() -> None:
    asker = Asker(B, C)
    asker.pursue()
    first = asker.asked[0]
    asker.asking.refused(first, WANTED)
    assert asker.pursue()
    assert set(asker.asked) == {B, C}
    asker.asking.refused(asker.asked[1], WANTED)
    assert not asker.pursue()
    assert asker.pursue()


def test_after_a_success_the_next_question_comes_at_once() -> None:
    asker = Asker(B)
    asker.pursue()
    asker.pursue()
    asker.asking.got(WANTED)
    asker.pursue()
    assert asker.asked == [B, B]


def test_hope_stays_while_an_owner_is_away_and_the_others_are_asked_again() -> None:
    asker = Asker(B)
    assert asker.pursue()
    asker.asking.refused(B, WANTED)
    assert asker.pursue()
    assert asker.asking.waits_for(WANTED, RING) == [C]
    asker.asking.start_over(NOW.later(1))
    assert asker.pursue(1)
    assert asker.asked == [B]
    asker.asking.start_over(NOW.later(PATIENCE))
    assert asker.pursue(PATIENCE)
    assert asker.asked == [B, B]


def test_when_nobody_else_owns_a_part_there_is_no_hope() -> None:
    assert not Asker(B).asking.pursue(WANTED, ring((0, A, 0, 0)), NOW)


def test_who_has_more_is_asked_more_often() -> None:
    mostly = ring((0, B, 0, 1), (2, C, 0, 14))
    counts = {B: 0, C: 0}
    for seed in range(200):
        asker = Asker(B, C, seed=seed)
        asker.asking.pursue(WANTED, mostly, NOW)
        counts[asker.asked[0]] += 1
    assert counts[C] > 150
    assert counts[B] > 0


def test_refusals_of_forgotten_wishes_are_ignored() -> None:
    asker = Asker(B)
    asker.asking.refused(B, WANTED)
    asker.pursue()
    asker.asking.start_over(NOW.later(1000))
    asker.asking.refused(B, WANTED)
    assert asker.pursue(1000)
    assert asker.asked == [B, B]
