"""Both ends derive the same, and nobody else does."""

from dataclasses import replace

from tulle.datapath.carrier import Neighbour
from tulle.datapath.sleeve.derivation import link_path
from tulle.mesh.events import LinkId
from tulle.mesh.peername import PeerName

NEAR = Neighbour(LinkId(1), PeerName(2), None, "10.0.0.2", "10.0.0.1", 77, True, True, b"k" * 32, True)
FAR = replace(NEAR, peer=PeerName(1), outbound=False)


def test_what_one_end_sends_with_the_other_receives_with() -> None:
    ours, theirs = link_path(NEAR), link_path(FAR)
    assert ours.keys is not None
    assert theirs.keys is not None
    assert (ours.send_index, ours.receive_index) == (theirs.receive_index, theirs.send_index)
    assert (ours.keys.send, ours.keys.receive) == (theirs.keys.receive, theirs.keys.send)
    assert ours.keys.send != ours.keys.receive
    assert ours.send_index != ours.receive_index


def test_another_connection_or_another_secret_shares_nothing() -> None:
    variants = [NEAR, replace(NEAR, conn_uid=78), replace(NEAR, session_key=b"x" * 32)]
    paths = [link_path(variant) for variant in variants]
    used = [
        item
        for path in paths
        if path.keys
        for item in (path.send_index, path.receive_index, path.keys.send, path.keys.receive)
    ]
    assert len(set(used)) == 12


def test_without_encryption_there_are_indexes_but_no_keys() -> None:
    path = link_path(replace(NEAR, secret=False, session_key=None))
    assert path.keys is None
    assert path.send_index != path.receive_index


def test_secrets_are_not_shown() -> None:
    path = link_path(NEAR)
    assert path.keys is not None
    for shown in (repr(path), repr(NEAR)):
        assert str(path.send_index) not in shown
        assert repr(path.keys.send) not in shown
        assert "kkkk" not in shown
