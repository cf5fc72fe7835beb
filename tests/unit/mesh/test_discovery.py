"""Addresses learned from what others say of their connections."""

from mesh.builders import edge, names, summary
from tulle.mesh import discovery as module
from tulle.mesh.discovery import discover
from tulle.mesh.topology import Topology

PORT = 7000


def _topology(*peers: object) -> Topology:
    topology = Topology(summary(1, version=0))
    topology.merge(peers)  # type: ignore[arg-type]
    return topology


def test_outbound_as_it_is_and_inbound_with_our_port() -> None:
    topology = _topology(
        summary(2, edge(3, address="10.0.0.3:9999"), edge(4, outbound=False, address="10.0.0.4:45678"))
    )
    assert discover(topology, (), PORT) == {("10.0.0.3", 9999): 3, ("10.0.0.4", PORT): 4}


def test_neither_ourselves_nor_linked_peers() -> None:
    topology = _topology(summary(2, edge(1), edge(3), edge(4)), summary(3, edge(4)))
    assert set(discover(topology, names([2, 3]), PORT).values()) == {4}
    assert discover(topology, names([2, 3, 4]), PORT) == {}


def test_nonsense_is_passed_over() -> None:
    topology = _topology(summary(2, edge(3, address="somewhere"), edge(4, address="10.0.0.4")))
    assert discover(topology, (), PORT) == {}


def test_one_peer_cannot_make_us_dial_everybody() -> None:
    peers = [summary(name, edge(3, address=f"10.0.1.{name}:1")) for name in range(10, 30)]
    assert len(discover(_topology(*peers), names(range(10, 30)), PORT)) == module.MAX_ADDRESSES_PER_PEER


def test_there_is_a_limit_on_all() -> None:
    peers = []
    for name in range(2, 5):
        addresses = {other: f"10.{name}.{other // 250}.{other % 250}:1" for other in range(100, 900)}
        peers.append(summary(name, *(edge(other, address=address) for other, address in addresses.items())))
    assert len(discover(_topology(*peers), names(range(2, 5)), PORT)) == module.MAX_ADDRESSES
