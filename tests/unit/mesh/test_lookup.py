"""Finding a peer by what a person calls it."""

import pytest

from mesh.builders import summary
from tulle.errors import UserError
from tulle.mesh.lookup import find_peer, label
from tulle.mesh.peername import PeerName
from tulle.mesh.summary import PeerSummary

PEERS = {
    PeerName(1): summary(1),
    PeerName(2): summary(2),
    PeerName(3): PeerSummary(PeerName(3), "h2", 9, 1, None, ()),
}


def test_by_name_or_nickname() -> None:
    assert find_peer(PEERS, "00:00:00:00:00:02") == 2
    assert find_peer(PEERS, "::3") == 3
    assert find_peer(PEERS, "h1") == 1


def test_nobody_and_more_than_one() -> None:
    with pytest.raises(UserError, match="no peer h9") as caught:
        find_peer(PEERS, "h9")
    assert caught.value.status == 404
    with pytest.raises(UserError, match="00:00:00:00:00:02, 00:00:00:00:00:03") as caught:
        find_peer(PEERS, "h2")
    assert caught.value.status == 409
    with pytest.raises(UserError, match="no peer ::9"):
        find_peer(PEERS, "::9")


def test_label() -> None:
    assert label(PeerName(1), "h1") == "00:00:00:00:00:01(h1)"
    assert label(PeerName(1), "") == "00:00:00:00:00:01"
