"""Where a peer was that the mesh has lost, and who is there now."""

from sim.mesh.cluster import Cluster, ip_of
from tulle.mesh.peername import PeerName


def test_a_lost_peer_is_remembered_where_it_was() -> None:
    cluster = Cluster()
    one = cluster.start(1)
    cluster.start(2, 1)
    cluster.run(2)
    address = (ip_of(2), 6783)
    assert one.mesh.address_of(PeerName(2)) == address
    assert one.mesh.peer_at(address) == 2
    cluster.stop(2)
    cluster.run(5)
    assert one.mesh.address_of(PeerName(2)) == address
    assert one.mesh.peer_at(address) is None
    assert one.mesh.address_of(PeerName(3)) is None
