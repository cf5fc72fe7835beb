"""What the mesh knows, as the data path needs it."""

from tulle.datapath.forwarding import MeshPicture
from tulle.datapath.tables import Hop, ShortId
from tulle.mesh.mesh import Mesh
from tulle.node.carriers import Carriers


def picture_of(mesh: Mesh, carriers: Carriers) -> MeshPicture:
    """The moment's picture: who is who, who is connected, and how each neighbour is reached."""
    hops = {}
    direct = {}
    for link, lane in carriers.lanes.items():
        near = lane.neighbour
        direct[near.peer] = Hop(near.remote_ip, near.local_ip)
        kind = carriers.kind(link)
        if kind is not None:
            hops[near.peer] = Hop(near.remote_ip, near.local_ip, kind)
    return MeshPicture(
        me=mesh.self_name,
        short_ids={owner: ShortId(short_id) for short_id, owner in mesh.short_ids.items()},
        claims={
            name: frozenset(link.name for link in peer.connections if link.established)
            for name, peer in mesh.peers().items()
        },
        routes=mesh.routes,
        hops=hops,
        direct=direct,
    )
