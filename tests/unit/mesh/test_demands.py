"""Who needs whole descriptions from whom."""

import pytest

from tulle.mesh import demands as module
from tulle.mesh.demands import Demands
from tulle.mesh.peername import PeerName

A, B, P, Q = map(PeerName, range(1, 5))


def test_what_a_neighbour_needs_it_needs_until_it_was_told() -> None:
    demands = Demands()
    demands.asked_by(A, [P, Q])
    demands.met(A, [P])
    demands.met(B, [Q])
    assert (demands.needs(A), demands.needs(B)) == ({Q}, set())
    demands.forget({Q})
    assert demands.needs(A) == set()


def test_we_ask_once() -> None:
    demands = Demands()
    assert not demands.miss(A, [])
    assert demands.miss(A, [P])
    assert demands.miss(A, [Q])
    assert (demands.take(A), demands.take(A), demands.take(None)) == ({P, Q}, set(), set())


def test_whoever_leaves_needs_nothing() -> None:
    demands = Demands()
    demands.asked_by(A, [P])
    demands.miss(A, [P])
    demands.neighbour_down(A)
    assert (demands.needs(A), demands.take(A)) == (set(), set())


def test_invented_names_are_not_asked_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PEERS", 3)
    demands = Demands()
    assert demands.miss(A, [P, Q])
    assert not demands.miss(A, map(PeerName, range(10, 14)))
    assert demands.take(A) == {P, Q}
