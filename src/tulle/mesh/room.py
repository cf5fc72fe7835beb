"""Room for a host that nobody knows, where the limit of connections is reached.

The first hosts of a cluster are those that all others are told of. If they turned everybody away as soon as
they have enough connections, whoever comes later would never get in. So a host without any other way to us
takes the place of a neighbour that has one; that neighbour is reached by way of others from then on.
"""

from tulle.mesh.connection import Link
from tulle.mesh.links import LinkTable
from tulle.mesh.peername import PeerName
from tulle.mesh.topology import Topology


def dispensable(topology: Topology, links: LinkTable, newcomer: PeerName) -> Link | None:
    """The link to give up for this peer; None if it has another way to us, or nobody else has.

    The neighbour with the most connections of its own goes, of several the one with the highest name.
    """
    me, graph = topology.me.name, topology.graph
    if newcomer in graph.reach(me):
        return None
    sizes = {name: len(topology.peers[name].connections) for name in links.up if name in topology.peers}
    for name in sorted(sizes, key=lambda name: (sizes[name], name), reverse=True):
        if graph.has_detour(me, name):
            return links.up[name]
    return None
