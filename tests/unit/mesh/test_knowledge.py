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
    knowledge.renew(P)
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
