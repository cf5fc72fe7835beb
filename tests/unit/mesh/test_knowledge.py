"""Who has which description, and where ours came from."""

from tulle.mesh.knowledge import Hearsay, Knowledge
from tulle.mesh.peername import PeerName

A, B, C, P, Q = map(PeerName, range(1, 6))


def test_notes_and_doubts() -> None:
    knowledge = Knowledge()
    knowledge.neighbour_up(A)
    knowledge.neighbour_up(B)
    knowledge.note(A, P)
    assert knowledge.has(A, P)
    assert not knowledge.has(B, P)
    assert not knowledge.has(A, Q)
    knowledge.doubt(A, P)
    assert not knowledge.has(A, P)


def test_new_descriptions_are_known_to_nobody() -> None:
    knowledge = Knowledge()
    knowledge.neighbour_up(A)
    knowledge.note(A, P)
    knowledge.renew(P, 7, 1)
    assert not knowledge.has(A, P)
    knowledge.note(A, P)
    knowledge.forget([P, Q])
    assert not knowledge.has(A, P)


def test_places_are_used_again_without_traces() -> None:
    knowledge = Knowledge()
    knowledge.neighbour_up(A)
    knowledge.neighbour_up(B)
    knowledge.note(A, P)
    knowledge.note(B, Q)
    assert knowledge.neighbour_down(A) == {P}
    knowledge.neighbour_up(C)
    assert not knowledge.has(C, P)
    assert knowledge.has(B, Q)


def test_strangers_know_nothing() -> None:
    knowledge = Knowledge()
    knowledge.note(A, P)
    knowledge.note(None, P)
    assert not knowledge.has(A, P)
    assert not knowledge.has(None, P)


def test_hearsay() -> None:
    hearsay = Hearsay()
    hearsay.note(P, A, 1.0)
    hearsay.note(Q, None, 2.0)
    assert hearsay.since(0.5) == {P, Q}
    assert hearsay.since(1.0) == {Q}
    assert hearsay.told_by(A, 0.0) == {P}
    assert hearsay.told_by(A, 1.0) == set()
    hearsay.forget([P])
    assert hearsay.since(0.0) == {Q}


def test_who_never_became_a_neighbour_may_end_as_one() -> None:
    knowledge = Knowledge()
    knowledge.neighbour_up(A)
    knowledge.note(A, P)
    assert knowledge.neighbour_down(B) == frozenset()
    assert knowledge.has(A, P)


def test_the_version_that_somebody_had_last_is_remembered() -> None:
    knowledge = Knowledge()
    knowledge.neighbour_up(A)
    knowledge.neighbour_up(B)
    knowledge.renew(P, 7, 1)
    knowledge.note_all(A, [P])
    knowledge.note_all(B, [P])
    assert knowledge.earlier(A, P) is None
    knowledge.renew(P, 7, 2)
    knowledge.note(A, P)
    knowledge.renew(P, 7, 5)
    knowledge.renew(P, 7, 6)
    assert (knowledge.earlier(A, P), knowledge.earlier(B, P), knowledge.earlier(C, P)) == (2, 1, None)
    knowledge.doubt(A, P)
    assert (knowledge.earlier(A, P), knowledge.earlier(B, P)) == (None, 1)
    knowledge.neighbour_down(B)
    knowledge.neighbour_up(C)
    assert knowledge.earlier(C, P) is None


def test_of_another_life_no_version_counts() -> None:
    knowledge = Knowledge()
    knowledge.neighbour_up(A)
    knowledge.renew(P, 7, 1)
    knowledge.note(A, P)
    knowledge.renew(P, 8, 2)
    assert knowledge.earlier(A, P) is None


def test_to_tell_the_same_again_is_to_tell_all_of_it() -> None:
    knowledge = Knowledge()
    knowledge.neighbour_up(A)
    knowledge.renew(P, 7, 1)
    knowledge.note(A, P)
    knowledge.renew(P, 7, 1)
    assert knowledge.earlier(A, P) is None


def test_only_so_many_versions_are_remembered() -> None:
    knowledge = Knowledge()
    for number in range(1, 21):
        neighbour = PeerName(100 + number)
        knowledge.neighbour_up(neighbour)
        knowledge.renew(P, 7, number)
        knowledge.note(neighbour, P)
    knowledge.renew(P, 7, 21)
    had = [knowledge.earlier(PeerName(100 + number), P) for number in range(1, 21)]
    assert had == [None] * 12 + [*range(13, 21)]
