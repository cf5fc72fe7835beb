"""What the mesh knows, as the data path needs it."""

from collections.abc import Iterator, Mapping

from tulle.datapath.forwarding import MeshPicture
from tulle.datapath.tables import CarrierKind, Hop, ShortId, sleeve_hop
from tulle.mesh.events import LinkId
from tulle.mesh.mesh import Mesh
from tulle.mesh.peername import PeerName
from tulle.mesh.summary import PeerSummary
from tulle.node.carriers import Carriers
from tulle.node.lingering import Lingering


def hop_of(carriers: Carriers, link: LinkId) -> Hop | None:
    """How frames reach the neighbour at the other end of a link; None if they do not."""
    kind = carriers.kind(link)
    if kind is None:
        return None
    near = carriers.courses[link].neighbour
    if kind is CarrierKind.VXLAN:
        return Hop(near.remote_ip, near.local_ip)
    return None if near.short_id is None else sleeve_hop(near.short_id)


class Claims(Mapping[PeerName, frozenset[PeerName]]):
    """What each peer says of its connections that carry frames; worked out for those that are asked for."""

    def __init__(self, peers: Mapping[PeerName, PeerSummary]) -> None:
        self._peers = dict(peers)
        self._found: dict[PeerName, frozenset[PeerName]] = {}

    def __getitem__(self, name: PeerName) -> frozenset[PeerName]:
        found = self._found.get(name)
        if found is None:
            links = self._peers[name].connections
            found = self._found[name] = frozenset(link.name for link in links if link.established)
        return found

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Claims) and self._peers == other._peers:
            return True
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[PeerName]:
        return iter(self._peers)

    def __len__(self) -> int:
        return len(self._peers)


def picture_of(
    mesh: Mesh, carriers: Carriers, lingering: Lingering, shortcuts: Mapping[PeerName, Hop]
) -> MeshPicture:
    """The moment's picture: who is who, who is connected, and how each neighbour is reached."""
    hops = {}
    direct = {}
    for link, course in carriers.courses.items():
        near = course.neighbour
        if not near.secret and ":" not in near.remote_ip:
            direct[near.peer] = Hop(near.remote_ip, near.local_ip)
        hop = hop_of(carriers, link)
        if hop is not None:
            hops[near.peer] = hop
    return MeshPicture(
        me=mesh.self_name,
        short_ids={owner: ShortId(short_id) for short_id, owner in mesh.short_ids.items()},
        claims=Claims(mesh.peers()),
        routes=mesh.routes,
        hops=hops,
        direct=direct,
        lingering=lingering.hops,
        shortcuts=shortcuts,
    )
