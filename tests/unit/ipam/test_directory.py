import pytest

from ipam.builders import A, B, C, ring
from tulle.errors import UserError
from tulle.ipam.directory import Directory
from tulle.mesh.peername import PeerName


def directory() -> Directory:
    known = Directory(A)
    known.update(frozenset({B}), {A: "h1", B: "h2"})
    return known


def test_the_mesh_knows_best_what_a_peer_is_called() -> None:
    known = directory()
    known.learn({B: "hearsay", C: "h3"})
    assert known.nickname(B) == "h2"
    assert known.nickname(C) == "h3"
    assert known.label(C) == "h3 (02:00:00:00:00:03)"
    assert known.label(PeerName(9)) == "00:00:00:00:00:09"


def test_only_names_of_peers_that_matter_are_told() -> None:
    known = directory()
    known.learn({C: "h3", PeerName(9): "old"})
    assert known.nicknames(frozenset({C})) == {A: "h1", B: "h2", C: "h3"}


def test_what_the_mesh_tells_by_itself_is_not_told_again() -> None:
    known = directory()
    known.learn({C: "h3"})
    assert known.nicknames_of_absent(frozenset({B, C})) == {A: "h1", C: "h3"}
    known.update(frozenset(), {A: "h1"})
    assert known.nicknames_of_absent(frozenset({B})) == {A: "h1", B: "h2"}


def test_owners_keep_their_names_when_they_are_gone() -> None:
    known = directory()
    known.learn({C: "h3"})
    known.update(frozenset(), {A: "h1"})
    known.forget([B, C], frozenset({B}))
    assert known.nickname(B) == "h2"
    assert known.nickname(C) == ""


def test_known_is_here_or_reachable() -> None:
    known = directory()
    assert known.known(A)
    assert known.known(B)
    assert not known.known(C)


def test_owners_are_found_by_name_and_nickname() -> None:
    known = directory()
    owners = frozenset({A, B, C})
    assert known.find("h2", owners) == B
    assert known.find("02:00:00:00:00:03", owners) == C
    assert known.find("h2", frozenset({A})) is None
    known.learn({C: "h2"})
    with pytest.raises(UserError, match="02:00:00:00:00:02, 02:00:00:00:00:03"):
        known.find("h2", owners)


def test_the_heir_is_a_reachable_owner_or_else_anybody() -> None:
    known = directory()
    known.update(frozenset({B, C}), {})
    assert known.heir(ring((0, A, 0, 0), (8, C, 0, 0))) == C
    assert known.heir(ring((0, A, 0, 0))) == B
    known.update(frozenset(), {})
    assert known.heir(ring((0, A, 0, 0))) is None


def test_what_gone_owners_were_called_outlives_a_restart() -> None:
    known = directory()
    owners = frozenset({A, B, C})
    assert known.to_keep(owners) == {A: "h1", B: "h2"}
    assert known.to_keep(owners) is None
    known.learn({C: "h3"})
    kept = known.to_keep(owners)
    assert kept == {A: "h1", B: "h2", C: "h3"}
    known.update(frozenset({B}), {A: "h1", B: "h2"})
    assert known.to_keep(owners) is None
    again = Directory(A)
    again.restore(kept)
    again.update(frozenset(), {A: "h1"})
    assert again.nickname(C) == "h3"
    assert again.to_keep(owners) is None
    assert again.to_keep(frozenset({A, C})) == {A: "h1", C: "h3"}
