"""How neighbours are reached, and who may be sent frames in the clear."""

from types import SimpleNamespace
from typing import Any

from node.world import FakeCarrier
from tulle.datapath.forwarding import MeshPicture
from tulle.datapath.tables import CarrierKind, Hop, ShortId, sleeve_hop
from tulle.instant import Instant
from tulle.mesh.events import LinkId, LinkUp
from tulle.mesh.peername import PeerName
from tulle.node.carriers import Carriers
from tulle.node.course import GRACE
from tulle.node.lingering import Lingering
from tulle.node.picture import picture_of

NOW = Instant(1.0, 1.0)
ME, PEER = PeerName(1), PeerName(2)
LINK = LinkId(7)
SECRET = b"k" * 32
SHORTCUTS = {PeerName(3): sleeve_hop(ShortId(9))}


class FakeSleeve(FakeCarrier):
    kind = CarrierKind.SLEEVE


def picture(
    *carriers: FakeCarrier,
    key: bytes | None = None,
    trusted: bool = False,
    short_id: int | None = 5,
    remote_ip: str = "10.0.0.2",
) -> MeshPicture:
    """With one neighbour, whose link uses these carriers."""
    both = Carriers(carriers)
    names = tuple(carrier.name for carrier in carriers)
    up = LinkUp(LINK, PEER, remote_ip, "10.0.0.1", True, 5, names, key, trusted, True)
    both.link_up(up, None if short_id is None else ShortId(short_id), NOW)
    both.collect(NOW.later(GRACE))
    mesh: Any = SimpleNamespace(self_name=ME, short_ids={}, peers=dict, routes=None)
    return picture_of(mesh, both, Lingering(), SHORTCUTS)


def test_a_tunnel_goes_from_address_to_address() -> None:
    seen = picture(FakeCarrier())
    assert seen.hops == seen.direct == {PEER: Hop("10.0.0.2", "10.0.0.1")}


def test_a_sleeve_goes_to_a_short_id_while_the_tunnel_is_probed() -> None:
    tunnel = FakeCarrier()
    tunnel.works = False
    seen = picture(tunnel, FakeSleeve("sleeve"))
    assert seen.hops == {PEER: sleeve_hop(ShortId(5))}
    assert seen.direct == {PEER: Hop("10.0.0.2", "10.0.0.1")}


def test_a_peer_without_a_short_id_is_not_reached_by_the_sleeve() -> None:
    assert picture(FakeSleeve("sleeve"), short_id=None).hops == {}


def test_nothing_in_the_clear_for_those_whose_frames_are_secret() -> None:
    assert picture(FakeSleeve("sleeve"), key=SECRET).direct == {}
    assert picture(FakeSleeve("sleeve"), key=SECRET, trusted=True).direct != {}


def test_tunnels_are_for_ipv4() -> None:
    seen = picture(FakeSleeve("sleeve"), remote_ip="2001:db8::2")
    assert seen.hops == {PEER: sleeve_hop(ShortId(5))}
    assert seen.direct == {}


def test_shortcuts_are_no_neighbours() -> None:
    seen = picture(FakeCarrier())
    assert seen.shortcuts == SHORTCUTS
    assert seen.hops.keys() == {PEER}
