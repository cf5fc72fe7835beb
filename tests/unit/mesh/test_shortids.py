"""Twelve bits for each peer, and who keeps them in a clash."""

from random import Random

from tulle.mesh.peername import PeerName
from tulle.mesh.shortids import SHORT_IDS, ShortIds, draw


def test_the_lowest_name_owns_it() -> None:
    ids = ShortIds()
    for name in (5, 3, 9):
        ids.claim(PeerName(name), 7)
    assert ids.owners == {7: 3}
    ids.release(PeerName(3), 7)
    assert ids.owners == {7: 5}
    ids.release(PeerName(9), 7)
    ids.release(PeerName(5), 7)
    assert ids.owners == {}


def test_choose_finds_the_last_free_one() -> None:
    ids = ShortIds()
    for short_id in range(SHORT_IDS):
        if short_id != 1234:
            ids.claim(PeerName(1), short_id)
    assert ids.choose(Random(0)) == 1234
    ids.claim(PeerName(2), 1234)
    assert ids.choose(Random(0)) is None


def test_choose_avoids_claimed_ones() -> None:
    ids = ShortIds()
    rng = Random(1)
    for number in range(2000):
        chosen = ids.choose(rng)
        assert chosen is not None
        assert chosen not in ids.owners
        ids.claim(PeerName(number + 1), chosen)


def test_draw_is_in_range() -> None:
    assert {draw(Random(seed)) < SHORT_IDS for seed in range(50)} == {True}
