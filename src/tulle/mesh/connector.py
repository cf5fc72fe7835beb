"""Which addresses to connect to, and when.

Wanted are the targets an operator named and, with discovery, the addresses of peers we heard of, or found by
other means, and have no link to. Each has a ``Pursuit``. Both ends of a missing link usually learn of each
other at the same moment; so that not both connect, the end with the higher name waits a second. Dials are
paced, for the same reason and so that the other end's limit on new connections is not hit when many hosts
start at once.
"""

import math
from collections.abc import Callable, Iterable, Sequence, Set
from random import Random

from tulle.errors import UserError
from tulle.instant import Instant
from tulle.mesh.acquaintances import Acquaintances
from tulle.mesh.addresses import Target, format_address, parse_target
from tulle.mesh.config import MeshConfig
from tulle.mesh.connection import Link
from tulle.mesh.discovery import discover
from tulle.mesh.events import Acquainted, Address, Dial, MeshEvent, Resolve
from tulle.mesh.links import LinkTable
from tulle.mesh.peername import PeerName
from tulle.mesh.pursuit import Pursuit
from tulle.mesh.ratelimit import TokenBucket
from tulle.mesh.topology import Topology
from tulle.mesh.views import TargetState, TargetView

DEFERENCE_SECONDS = 1.0
REFUSED = "connection refused"
"""What a dial says to which a machine answers that nobody listens there."""
LOST_SECONDS = 10.0
"""How long a peer that is lost to all is left to those who were told to connect to it."""
RESOLVE_SECONDS = 30.0
"""How often the name of a host that we have no link to is looked up again."""

_REFRESH_SECONDS = 0.05
_REFRESH_SECONDS_PER_CONNECTION = 1e-5
"""Looking for addresses goes through all connections there are; the more, the less often it is done."""

_UNHURRIED_SECONDS = 240.0
"""How much later an address is dialled again whose peer is reached without a connection meanwhile."""

_DIAL_BURST = 10
_DIALS_PER_SECOND = 20


class _Wanted:
    """A target of the operator and the addresses it has."""

    def __init__(self, target: Target, due: float) -> None:
        self.target = target
        self.ips: tuple[str, ...] = (target.host,) if target.is_literal else ()
        self.error: str | None = None
        self.resolve_at = math.inf if target.is_literal else due


def _wanted(text: str) -> _Wanted | None:
    """A target that nobody asked for; None if this text cannot be one."""
    try:
        return _Wanted(parse_target(text), math.inf)
    except UserError:
        return None


class Connector:
    """Decides on dials; told of their outcome; shows how each target fares."""

    def __init__(
        self,
        config: MeshConfig,
        rng: Random,
        topology: Topology,
        links: LinkTable,
        emit: Callable[[MeshEvent], None],
    ) -> None:
        self._config = config
        self._rng = rng
        self._topology = topology
        self._links = links
        self._emit = emit
        self._wanted: dict[str, _Wanted] = {}
        self._found: dict[PeerName, Address] = {}
        self._reached: frozenset[PeerName] = frozenset()
        self._missed: frozenset[Address] = frozenset()
        self._acquaintances = Acquaintances(config.acquaintances)
        self._pursuits: dict[Address, Pursuit] = {}
        self._refresh_at = math.inf
        self._pace = TokenBucket(_DIAL_BURST, _DIALS_PER_SECOND)
        self._tick_at = math.inf

    # -- the operator ------------------------------------------------------------------------------------

    def connect(self, texts: Sequence[str], replace: bool, now: Instant) -> None:
        """Add targets (or put them in place of all there are). Raises UserError and changes nothing."""
        targets = [parse_target(text) for text in texts]
        if replace:
            self._wanted.clear()
        for target in targets:
            self._wanted[target.text] = _Wanted(target, now.mono)
            for address in self._addresses(self._wanted[target.text]):
                self._forgive(address, now)
        self._refresh(now)

    def forget(self, texts: Sequence[str], now: Instant) -> None:
        """Do not connect to these targets any more. Connections that are open stay."""
        for text in texts:
            wanted = self._wanted.pop(text.strip(), None) or _wanted(text)
            if wanted is not None:
                self._acquaintances.forget(self._addresses(wanted), ())
        self._refresh(now)

    def forget_peer(self, peer: PeerName) -> None:
        """This peer is gone for good."""
        self._acquaintances.forget((), (peer,))
        self._refresh_at = self._tick_at = -math.inf

    def last_address(self, peer: PeerName) -> Address | None:
        """Where this peer was when there last was a link to it."""
        return self._acquaintances.known.get(peer)

    def targets(self) -> list[str]:
        """What the operator named, in that order."""
        return list(self._wanted)

    def resolved(self, host: str, ips: Sequence[str], now: Instant) -> None:
        """The addresses of a host name; none if it has none."""
        for wanted in self._wanted.values():
            if wanted.target.host == host and not wanted.target.is_literal:
                wanted.error = (
                    None if ips else f"there is no host named {host}, or its name server does not answer"
                )
                wanted.ips = tuple(ips) or wanted.ips
        self._refresh(now)

    # -- what else is learned of addresses ----------------------------------------------------------------

    def found(self, peer: PeerName, address: Address | None, now: Instant) -> None:
        """This peer was met at this address (None: it is there no longer): it may be possible to dial it."""
        if self._found.get(peer) == address:
            return
        if address is None:
            del self._found[peer]
        else:
            self._found[peer] = address
            self._forgive(address, now)
        self.disturb(now)

    def met(self, link: Link, now: Instant) -> None:
        """There is a link to a peer; remember how to get there. An inbound one tells only the host."""
        peer = link.peer
        if peer is None or not self._config.discovery:
            return
        known = self._acquaintances.known.get(peer)
        if link.outbound:
            address = link.remote
        elif known is not None and known[0] == link.remote[0]:
            address = known
        else:
            address = (link.remote[0], self._config.port)
        self._acquaintances.met(peer, address, now.mono)
        self._tick_at = min(self._tick_at, self._acquaintances.next_deadline())

    def vouch(self, peer: PeerName, address: Address) -> bool:
        """Whether this peer may be expected at this address, though nobody speaks of it yet."""
        return self._acquaintances.vouch(peer, address)

    def reached(self, peers: Set[PeerName], now: Instant) -> None:
        """These peers are reached directly without a connection: there is no hurry to dial them."""
        lost = self._reached - peers
        self._reached = frozenset(peers)
        for pursuit in list(self._pursuits.values()):
            if pursuit.hint in lost:
                self._forgive(pursuit.address, now)
        if lost:
            self.disturb(now)

    def moved(self, now: Instant) -> None:
        """Our own addresses changed. What failed may succeed now, and stale links are to be replaced."""
        for pursuit in self._pursuits.values():
            if pursuit.link is not None and pursuit.link.stale:
                pursuit.release()
            self._forgive(pursuit.address, now)
        self._refresh(now)

    # -- what became of dials ----------------------------------------------------------------------------

    def pursuit(self, address: Address) -> Pursuit | None:
        """What is known of the attempts at this address."""
        return self._pursuits.get(address)

    def is_configured(self, address: Address) -> bool:
        """Whether the operator named this address (and so vouches for who is there)."""
        return any(address in self._addresses(wanted) for wanted in self._wanted.values())

    def sought(self, address: Address) -> PeerName | None:
        """Whom we expect at an address that we only heard of; None if anybody is welcome."""
        pursuit = self._pursuits.get(address)
        return None if pursuit is None or self.is_configured(address) else pursuit.hint

    def dial_failed(self, address: Address, reason: str, now: Instant) -> None:
        """Nobody answered there."""
        pursuit = self._pursuits.get(address)
        if pursuit is not None and pursuit.busy:
            pursuit.failed(reason, self._rng, now.mono)
            if reason == REFUSED and pursuit.hint is not None:
                self._acquaintances.nobody_home(pursuit.hint, now.mono)
            if pursuit.hint in self._reached:
                pursuit.due += _UNHURRIED_SECONDS
            self.disturb(now)

    def disturb(self, now: Instant) -> None:
        """Peers or links changed: look again soon at what is wanted."""
        pause = max(_REFRESH_SECONDS, _REFRESH_SECONDS_PER_CONNECTION * self._topology.size)
        self._refresh_at = min(self._refresh_at, now.mono + pause)
        self._tick_at = min(self._tick_at, self._refresh_at)

    # -- time --------------------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When ``tick`` must be called next."""
        return self._tick_at

    def tick(self, now: Instant) -> None:
        """Begin what is due."""
        if now.mono < self._tick_at:
            return
        if now.mono >= self._refresh_at:
            self._refresh(now)
        if self._acquaintances.due(now.mono):
            self._emit(Acquainted(dict(self._acquaintances.known)))
        self._resolve(now)
        self._expire(now)
        self._dial(now)
        self._schedule(now)

    def _refresh(self, now: Instant) -> None:
        self._refresh_at = math.inf
        found: dict[Address, PeerName] = {}
        if self._config.discovery:
            found = discover(self._topology, self._links.fresh, self._config.port)
            found |= {at: peer for peer, at in self._found.items() if peer not in self._links.fresh}
            missed = {at: peer for peer, at in self._acquaintances.to_try(self._is_present, now.mono).items()}
            self._start_over(self._missed - missed.keys())
            self._missed = frozenset(missed)
            found |= missed
        named = [address for wanted in self._wanted.values() for address in self._addresses(wanted)]
        for address in self._pursuits.keys() - found.keys() - set(named):
            if not self._pursuits[address].busy:
                del self._pursuits[address]
        for address in named:
            self._pursuits.setdefault(address, Pursuit(address, now.mono, None))
        for address, name in found.items():
            if address not in self._pursuits:
                self._pursuits[address] = Pursuit(address, now.mono + self._patience(name), name)
        self._tick_at = now.mono

    def _start_over(self, addresses: Iterable[Address]) -> None:
        """Somebody speaks of the peers there again: how often they were sought in vain counts no more."""
        for address in addresses:
            if address in self._pursuits and not self._pursuits[address].busy:
                del self._pursuits[address]

    def _patience(self, peer: PeerName) -> float:
        """Seconds that a peer of whom we only heard may take to dial us."""
        if self._acquaintances.remembers(peer):
            return 0.0
        deference = DEFERENCE_SECONDS if peer < self._config.name else 0.0
        near = peer in self._found or self._is_present(peer)
        return deference if near else deference + LOST_SECONDS

    def _is_present(self, peer: PeerName) -> bool:
        return peer in self._links.fresh or peer in self._topology.peers

    def _resolve(self, now: Instant) -> None:
        for wanted in self._wanted.values():
            if now.mono >= wanted.resolve_at:
                wanted.resolve_at = now.mono + RESOLVE_SECONDS
                if not any(self._link_at(address) for address in self._addresses(wanted)):
                    self._emit(Resolve(wanted.target.host))

    def _expire(self, now: Instant) -> None:
        for pursuit in self._pursuits.values():
            if pursuit.deadline is not None and now.mono >= pursuit.deadline:
                pursuit.failed("no answer", self._rng, now.mono)

    def _dial(self, now: Instant) -> None:
        due = [pursuit for pursuit in self._idle() if pursuit.due <= now.mono]
        self._rng.shuffle(due)
        for pursuit in due[: self._room()]:
            if not self._pace.take(now.mono):
                break
            pursuit.dial(now.mono)
            self._emit(Dial(pursuit.address))

    def _schedule(self, now: Instant) -> None:
        self._refresh_at = min(self._refresh_at, self._acquaintances.trial_ends(now.mono))
        moments = [self._refresh_at, self._acquaintances.next_deadline()]
        moments += [wanted.resolve_at for wanted in self._wanted.values()]
        moments += [pursuit.deadline for pursuit in self._pursuits.values() if pursuit.deadline is not None]
        idle = self._idle() if self._room() > 0 else []
        if idle:
            paced = self._pace.ready_at(now.mono)
            moments.append(max(paced, min(pursuit.due for pursuit in idle)))
        self._tick_at = min(moments)

    def _room(self) -> int:
        """How many more dials the limit on connections allows."""
        under_way = sum(pursuit.busy and pursuit.link is None for pursuit in self._pursuits.values())
        return max(0, self._config.conn_limit - len(self._links.up) - under_way)

    def _idle(self) -> list[Pursuit]:
        """Pursuits that are to be dialled once they are due."""
        reached = self._inbound_instead()
        fresh = self._links.fresh
        return [
            pursuit
            for pursuit in self._pursuits.values()
            if not (pursuit.busy or pursuit.never or pursuit.peer in fresh) and pursuit.address not in reached
        ]

    def _inbound_instead(self) -> dict[Address, Link]:
        """Targets whose port the operator left open and from whose host there is an inbound connection."""
        inbound = {ip: link for ip, link in self._links.inbound().items() if not link.stale}
        return {
            (ip, self._config.port): inbound[ip]
            for wanted in self._wanted.values()
            if wanted.target.port is None
            for ip in wanted.ips
            if ip in inbound
        }

    def _addresses(self, wanted: _Wanted) -> list[Address]:
        return [(ip, wanted.target.port or self._config.port) for ip in wanted.ips]

    def _forgive(self, address: Address, now: Instant) -> None:
        """Whatever was wrong there may be mended."""
        pursuit = self._pursuits.get(address)
        if pursuit is not None and not pursuit.busy:
            self._pursuits[address] = Pursuit(address, now.mono, pursuit.hint)
            self._pursuits[address].peer = pursuit.peer

    # -- views -------------------------------------------------------------------------------------------

    def views(self) -> list[TargetView]:
        """Every target the operator named, then every discovered address without a link."""
        shown: set[Address] = set()
        views: list[TargetView] = []
        for wanted in self._wanted.values():
            addresses = self._addresses(wanted)
            shown.update(addresses)
            views.extend(
                self._view(self._pursuits[a], wanted.target.text) for a in addresses if a in self._pursuits
            )
            if not addresses:
                views.append(self._unresolved(wanted))
        for address, pursuit in self._pursuits.items():
            if address not in shown and self._link_at(address) is None:
                views.append(self._view(pursuit, None))
        return views

    def _link_at(self, address: Address) -> Link | None:
        """The link that is up to whoever answers at this address."""
        pursuit = self._pursuits.get(address)
        if pursuit is None:
            return None
        if pursuit.peer is not None and pursuit.peer in self._links.up:
            return self._links.up[pursuit.peer]
        inbound = self._inbound_instead().get(address)
        return inbound if inbound is not None and inbound.is_up else None

    def _view(self, pursuit: Pursuit, target: str | None) -> TargetView:
        link = self._link_at(pursuit.address)
        state = pursuit.state(link)
        waiting = state in (TargetState.WAITING, TargetState.FAILED)
        return TargetView(
            target=target if target is not None else format_address(pursuit.address),
            address=pursuit.address,
            configured=target is not None,
            state=state,
            reason=None if link else pursuit.error,
            retry_at=pursuit.due if waiting and not pursuit.never else None,
            never=pursuit.never,
            peer=link.peer if link else pursuit.peer,
        )

    def _unresolved(self, wanted: _Wanted) -> TargetView:
        state = TargetState.FAILED if wanted.error else TargetState.CONNECTING
        retry_at = wanted.resolve_at if wanted.error else None
        return TargetView(wanted.target.text, None, True, state, wanted.error, retry_at, False, None)
