"""Neighbours that have just gone."""

from tulle.datapath.tables import Hop, ShortId, sleeve_hop
from tulle.mesh.peername import PeerName
from tulle.node.lingering import LINGER, Lingering

ONE, TWO = PeerName(1), PeerName(2)
HOP = Hop("10.0.0.2", "10.0.0.1")


def test_a_hop_is_used_for_a_while_and_then_dropped_once() -> None:
    lingering = Lingering()
    assert lingering.next_expiry() == float("inf")
    lingering.add(ONE, HOP, 10.0)
    lingering.add(TWO, HOP, 11.0)
    assert lingering.hops == {ONE: HOP, TWO: HOP}
    assert lingering.next_expiry() == 10.0 + LINGER
    assert not lingering.expire(10.0)
    assert lingering.expire(10.0 + LINGER)
    assert lingering.hops == {TWO: HOP}
    assert not lingering.expire(10.0 + LINGER)


def test_a_neighbour_that_is_back_lingers_no_longer() -> None:
    lingering = Lingering()
    lingering.add(ONE, HOP, 10.0)
    lingering.drop(ONE)
    lingering.drop(TWO)
    assert lingering.hops == {}


def test_a_sleeve_does_not_outlive_its_connection() -> None:
    lingering = Lingering()
    lingering.add(ONE, sleeve_hop(ShortId(1)), 10.0)
    assert lingering.hops == {}
