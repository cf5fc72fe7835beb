"""Direct paths of the sleeve to peers that have no link to us.

``Rendezvous`` arranges them, the sleeve tries and keeps them; here the two are joined, and told what the mesh
knows. Frames for a peer take its shortcut while that works; otherwise they go over relays, as ever.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from random import Random

from tulle.datapath.carrier import CarrierStatus, Met, Parted
from tulle.datapath.sleeve.carrier import SleeveCarrier
from tulle.datapath.sleeve.orders import AimPath, Endpoint, PathId
from tulle.datapath.tables import Hop, ShortId, sleeve_hop
from tulle.instant import Instant
from tulle.mesh.mesh import Mesh
from tulle.mesh.peername import PeerName
from tulle.node.rendezvous.candidates import Whereabouts
from tulle.node.rendezvous.encounter import EncounterView
from tulle.node.rendezvous.rendezvous import Introduce, Rendezvous


@dataclass(slots=True)
class _Shortcut:
    """A path that was asked for. ``endpoint``: where frames go by it; None until it has worked.

    ``short_id`` is the peer's, or was when the mesh last knew it.
    """

    path: PathId
    short_id: ShortId | None
    works: bool = False
    endpoint: Endpoint | None = None


@dataclass(frozen=True, slots=True)
class ShortcutView:
    """For people: how a peer without a direct link is reached. ``endpoint`` and ``status`` if directly."""

    encounter: EncounterView
    endpoint: Endpoint | None
    status: CarrierStatus | None


class Shortcuts:
    """See the module text. ``overlay`` is the network of the containers, where no peer can be."""

    def __init__(self, mesh: Mesh, sleeve: SleeveCarrier, overlay: IPv4Network | None, rng: Random) -> None:
        self._mesh = mesh
        self._sleeve = sleeve
        self._whereabouts = Whereabouts(mesh.config.port, overlay)
        self._rendezvous = Rendezvous(mesh.self_name, mesh.config.password, self._whereabouts, rng)
        self._paths: dict[PeerName, _Shortcut] = {}
        mesh.add_channel(self._rendezvous)

    # -- told by the node ----------------------------------------------------------------------------------

    def moved(self, addresses: Sequence[IPv4Interface], now: Instant) -> None:
        """These are the addresses on our interfaces now."""
        if self._whereabouts.set_local(addresses):
            self._rendezvous.moved(now)

    def topology_changed(self, short_ids: Mapping[PeerName, ShortId], now: Instant) -> None:
        """Peers, links or short ids are others than before."""
        me = self._mesh.peers()[self._mesh.self_name]
        linked = {link.name for link in me.connections if link.established}
        pending = {link.name for link in me.connections} - linked
        self._rendezvous.want(self._mesh.routes.unicast_all.keys(), linked, pending, now)
        given_away = set(short_ids.values())
        for peer, shortcut in self._paths.items():
            kept = shortcut.short_id if shortcut.short_id not in given_away else None
            short_id = short_ids.get(peer, kept)
            if shortcut.short_id != short_id:
                shortcut.short_id = short_id
                self._sleeve.rename(shortcut.path, short_id, now)

    def aimed(self, order: AimPath, now: Instant) -> None:
        """The sleeve has found where the other end of one of its paths is."""
        for peer, shortcut in self._paths.items():
            if shortcut.path == order.path and shortcut.endpoint != order.endpoint:
                shortcut.endpoint = order.endpoint
                self._tell_where(peer, shortcut, now)

    def relayed(self, peers: Set[PeerName], now: Instant) -> None:
        """Frames from here go to these peers over others; if shortcuts are scarce, they come first."""
        direct = {peer: self._sleeve.busy_until(shortcut.path) for peer, shortcut in self._paths.items()}
        self._rendezvous.flowed(peers, direct, now)

    def heard(self, news: Met | Parted, now: Instant) -> str | None:
        """A path works, or does no longer; what to write into the log, if it is one of ours."""
        shortcut = self._paths.get(news.peer)
        if shortcut is None or shortcut.path != news.path:
            return None
        shortcut.works = isinstance(news, Met)
        self._tell_where(news.peer, shortcut, now)
        self._tell_whom(now)
        who = self._mesh.label(news.peer)
        if isinstance(news, Met):
            self._rendezvous.met(news.peer, now)
            return f"frames to {who} take a direct path now, no longer a relay"
        self._rendezvous.parted(news.peer, news.reason, now)
        return f"the direct path to {who} is lost, frames go over a relay: {news.reason}"

    def carry_out(self, short_ids: Mapping[PeerName, ShortId], now: Instant) -> bool:
        """Do what was arranged; whether there was anything, so that ``hops`` may be others."""
        events = self._rendezvous.collect()
        for event in events:
            self._part(event.peer, now)
            if isinstance(event, Introduce):
                short_id = short_ids.get(event.peer)
                path = self._sleeve.introduce(event.peer, short_id, event.path, event.endpoints, now)
                self._paths[event.peer] = _Shortcut(path, short_id)
        return bool(events)

    # -- time ----------------------------------------------------------------------------------------------

    def tick(self, now: Instant) -> None:
        """Do what is due."""
        if self._whereabouts.set_seen(self._sleeve.sightings().values()):
            self._rendezvous.moved(now)
        self._rendezvous.tick(now)

    def next_deadline(self) -> float:
        """When ``tick`` has something to do; that others see us elsewhere is noticed at any tick."""
        return self._rendezvous.next_deadline()

    # -- asked ---------------------------------------------------------------------------------------------

    def hops(self) -> dict[PeerName, Hop]:
        """The peers that can be reached by a shortcut now."""
        return {peer: sleeve_hop(short_id) for short_id, peer in self.names().items()}

    def names(self) -> dict[ShortId, PeerName]:
        """Their short ids: the mesh may have forgotten such a peer."""
        return {
            shortcut.short_id: peer
            for peer, shortcut in self._paths.items()
            if shortcut.works and shortcut.short_id is not None
        }

    def views(self) -> list[ShortcutView]:
        """Every peer without a direct link, and how it is reached."""
        return [self._view(encounter) for encounter in self._rendezvous.views()]

    # -- inside --------------------------------------------------------------------------------------------

    def _view(self, encounter: EncounterView) -> ShortcutView:
        shortcut = self._paths.get(encounter.peer)
        if shortcut is None or not shortcut.works:
            return ShortcutView(encounter, None, None)
        return ShortcutView(encounter, shortcut.endpoint, self._sleeve.path_status(shortcut.path))

    def _part(self, peer: PeerName, now: Instant) -> None:
        shortcut = self._paths.pop(peer, None)
        if shortcut is not None:
            self._sleeve.part(shortcut.path)
            self._mesh.found(peer, None, now)
            self._tell_whom(now)

    def _tell_whom(self, now: Instant) -> None:
        self._mesh.reached({peer for peer, shortcut in self._paths.items() if shortcut.works}, now)

    def _tell_where(self, peer: PeerName, shortcut: _Shortcut, now: Instant) -> None:
        """A peer met at an address of its own is in our network: perhaps it can be dialled there."""
        near = shortcut.works and shortcut.endpoint in self._rendezvous.local_endpoints(peer)
        self._mesh.found(peer, shortcut.endpoint if near else None, now)
