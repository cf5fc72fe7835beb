"""One machine: its kernel, its disk, the containers on it, and most of the time a daemon."""

import itertools
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Interface
from random import Random

from tulle.datapath.tables import Tables
from tulle.ipam.events import Done, Failed
from tulle.ipam.leaving import Left
from tulle.mesh.peername import PeerName
from tulle.names.nameserver import Nameserver
from tulle.sim.daemon import Daemon
from tulle.sim.disk import Disk
from tulle.sim.kernel import Kernel
from tulle.sim.network import Network
from tulle.sim.settings import DOMAIN, Settings, ip_of, name_of
from tulle.sim.watcher import Asked, Container, Watcher


class Machine:
    """See the module text."""

    def __init__(
        self, number: int, settings: Settings, network: Network, rng: Random, watcher: Watcher
    ) -> None:
        self.number = number
        self.ip = ip_of(number)
        self.name: PeerName = name_of(number)
        self.disk = Disk()
        self.containers: dict[str, Container] = {}
        self.promised: dict[str, set[IPv4Interface]] = {}
        """What a daemon has acknowledged and not taken back, by holder: it must outlive every crash."""
        self.named: set[tuple[str, str, IPv4Address]] = set()
        """The same for names: container, host name, address."""
        self.targets: list[str] = []
        self.waiting: dict[int, Asked] = {}
        self.daemon: Daemon | None = None
        self.clock_offset = 0.0
        self.half_gone = False
        """A reset gave its addresses away and then found that nobody confirms it: it is to be repeated."""
        self._settings, self._network, self._rng, self._watcher = settings, network, rng, watcher
        self._given_up: dict[int, str] = {}
        self._tickets = itertools.count(1)
        self._lives = 0
        self.kernel = Kernel(self.ip, network, self._frame_up)

    # -- the life of daemons

    def start(self, reaches: Callable[[str, str], bool]) -> None:
        """Start a daemon on what is on the disk, as ``tulle launch`` does."""
        if self.daemon is not None:
            return
        self.kernel.alive = True
        rng = Random(self._rng.getrandbits(64))
        adopted = self.kernel.tables if self._lives else None
        self.daemon = Daemon(
            self.number, self.name, self._settings, self._network, self, rng, reaches, adopted
        )
        self._lives += 1
        self._network.add(self.daemon)
        self._watcher.started(self)
        daemon = self.daemon
        self.call(lambda: daemon.node.connect(self.targets, True, daemon.now))
        self.reconcile()

    def crash(self, power: bool = False) -> None:
        """The daemon is killed; with ``power`` the whole machine goes off, and its containers end."""
        if self.daemon is not None:
            self._network.remove(self.ip, silently=power)
            self.daemon.die()
            self.daemon = None
        self.waiting.clear()
        self._given_up.clear()
        if power:
            self.kernel.alive = False
            self.kernel.tables = Tables()
            for ident in list(self.containers):
                self._bury(ident)

    def lose_disk(self, keep_name: bool = False) -> None:
        """The state file is gone, and with it all promises. The daemon must not be running."""
        self._watcher.left(self)
        self.disk.wipe()
        self.promised.clear()
        self.named.clear()
        if not keep_name:
            self.name = name_of(self.number, self._lives)

    def start_over(self) -> None:
        """Daemon, containers and state are removed, as ``tulle reset`` does in the end."""
        self.crash()
        self.half_gone = False
        self.kernel.tables = Tables()
        for ident in list(self.containers):
            self._bury(ident)
        self.lose_disk()

    def roll_back(self) -> None:
        """The disk is as it was when the backup was made. The daemon must not be running."""
        self.disk.roll_back()
        self.promised = {}
        names = Nameserver(self.name, DOMAIN, self.disk.load())
        self.named = {name for name in self.named if name[2] in names.lookup(name[1])}

    @property
    def now(self) -> float:
        """Virtual seconds since the run began."""
        return self._network.clock.mono

    def call(self, work: Callable[[], None]) -> None:
        """Have the daemon do something."""
        if self.daemon is not None:
            self.daemon.do(work)

    # -- containers

    @property
    def powered(self) -> bool:
        """Whether the machine itself is on."""
        return self.kernel.alive

    def launch(self, ident: str, hostname: str, address: IPv4Interface | None = None) -> None:
        """Start a container with any address, or this one, and a name. Without a daemon nothing happens."""
        daemon = self.daemon
        if daemon is None:
            return
        subnet = self._settings.universe
        if address is None:
            ask = self._ask("allocate", ident, hostname)
            self.call(lambda: daemon.ipam.allocate(ask, ident, subnet, daemon.now))
        else:
            ask = self._ask("claim", ident, hostname)
            ip, length = address.ip, address.network.prefixlen
            self.call(lambda: daemon.ipam.claim(ask, ident, ip, length, daemon.now))

    def last_free(self) -> IPv4Interface | None:
        """The highest address of this host's share that nobody holds."""
        if self.daemon is None:
            return None
        held = {int(one.ip) for all_ in self.daemon.ipam.held().values() for one in all_}
        length = self._settings.universe.prefixlen
        for piece in reversed(self.daemon.ipam.ring.owned_ranges(self.name)):
            for address in range(piece.end - 1, piece.start - 1, -1):
                if address not in held and address != int(self._settings.universe.broadcast_address):
                    return IPv4Interface((address, length))
        return None

    def end(self, ident: str) -> None:
        """The container ends. A daemon notices at once, or when there is one again."""
        if ident in self.containers:
            self._bury(ident)
            self.call(lambda: self._release(ident))

    def give_up(self, ident: str) -> None:
        """Whoever waits for this container's address waits no longer."""
        daemon = self.daemon
        for ticket, asked in list(self.waiting.items()):
            if asked.ident == ident and daemon is not None:
                self._given_up[ticket] = self.waiting.pop(ticket).ident
                daemon.do(lambda ticket=ticket: daemon.ipam.cancel(ticket))  # type: ignore[misc]

    def reconcile(self) -> None:
        """Hold what running containers have, and free what others had; as a daemon does at its start."""
        daemon = self.daemon
        if daemon is None:
            return
        for ident, container in self.containers.items():
            held = daemon.ipam.lookup(ident)
            for interface in sorted(container.addresses - set(held)):
                self._adopt(daemon, ident, interface, container.hostname)
        for ident in sorted({*daemon.ipam.held(), *daemon.names.containers()} - set(self.containers)):
            self.call(lambda ident=ident: self._release(ident))  # type: ignore[misc]

    def _adopt(self, daemon: Daemon, ident: str, interface: IPv4Interface, hostname: str) -> None:
        ask = self._ask("adopt", ident, hostname)
        ip, length = interface.ip, interface.network.prefixlen
        self.call(lambda: daemon.ipam.claim(ask, ident, ip, length, daemon.now, in_use=True))

    # -- operators

    def rmpeer(self, peer: PeerName, force: bool) -> None:
        """``tulle rmpeer`` here."""
        daemon = self.daemon
        if daemon is not None and (force or self._may_remove(daemon, peer)):
            ask = self._ask("rmpeer", str(int(peer)), "")
            self.call(lambda: daemon.ipam.takeover(ask, peer, daemon.now, force))

    def _may_remove(self, daemon: Daemon, peer: PeerName) -> bool:
        """What ``daemon.addresses`` finds out by knocking at the door of a peer that the mesh has lost."""
        mesh = daemon.node.mesh
        address = mesh.address_of(peer)
        if peer in mesh.routes.unicast_all or peer not in daemon.ipam.ring.owners:
            return True
        return address is not None and (
            mesh.peer_at(address) not in (None, peer) or self._network.refuses(self.ip, address[0])
        )

    def reset(self, force: bool) -> None:
        """``tulle reset`` here: leave the cluster, and remove everything."""
        daemon = self.daemon
        if daemon is None:
            return
        alone = self._has_company(daemon) and not daemon.node.mesh.routes.unicast_all
        if alone and not force:
            return
        for ident in list(self.containers):
            self.end(ident)
        ask = self._ask("reset", "force" if force else "", "")
        self.call(lambda: daemon.ipam.leave(ask, daemon.now))

    def connect(self, targets: Iterable[str], replace: bool) -> None:
        """``tulle connect`` here."""
        new = [target for target in targets if replace or target not in self.targets]
        self.targets = new if replace else [*self.targets, *new]
        daemon = self.daemon
        if daemon is not None:
            self.call(lambda: daemon.node.connect(new, replace, daemon.now))

    def forget(self, targets: Iterable[str]) -> None:
        """``tulle forget`` here."""
        daemon, gone = self.daemon, list(targets)
        self.targets = [target for target in self.targets if target not in gone]
        if daemon is not None:
            self.call(lambda: daemon.node.forget(gone, daemon.now))

    # -- told by the daemon

    def answered(self, ticket: int, answer: Done | Failed) -> None:
        """See ``Surroundings``."""
        asked = self.waiting.pop(ticket, None)
        if asked is None:
            if ticket in self._given_up:
                self._take_back(self._given_up.pop(ticket))
            return
        if isinstance(answer, Done):
            self._done(asked, answer.result)
        elif asked.what in ("allocate", "claim"):
            self._take_back(asked.ident)
        self._watcher.settled(self, asked, answer)

    def noted(self, level: str, text: str) -> None:
        """See ``Surroundings``."""
        self._watcher.noted(self, level, text)

    def use_tables(self, tables: Tables) -> None:
        """See ``Surroundings``."""
        self.kernel.tables = tables

    def send_frame(self, frame: bytes) -> None:
        """See ``Surroundings``."""
        self.kernel.send(frame)

    def link_closed(self, reason: str) -> None:
        """See ``Surroundings``."""
        self._watcher.closed_link(self, reason)

    def pumped(self) -> None:
        """See ``Surroundings``."""
        self._watcher.pumped(self)

    def voted(self) -> None:
        """See ``Surroundings``."""
        self._watcher.voted(self)

    def wall_offset(self) -> float:
        """See ``Surroundings``."""
        return self.clock_offset

    def sent_bytes(self) -> int:
        """What its daemons have written into streams."""
        return self._network.bytes_sent[self.ip]

    # -- inside

    def _frame_up(self, frame: bytes) -> None:
        if self.daemon is not None:
            self.daemon.frame(frame)

    def _ask(self, what: str, ident: str, hostname: str) -> int:
        ticket = next(self._tickets)
        now = self._network.clock.mono
        self.waiting[ticket] = Asked(what, ident, hostname, now, self.sent_bytes())
        return ticket

    def _done(self, asked: Asked, result: object) -> None:
        daemon = self.daemon
        assert daemon is not None
        if asked.what in ("allocate", "claim", "adopt"):
            assert isinstance(result, IPv4Interface)
            self._attach(asked, result)
        elif asked.what == "rmpeer":
            daemon.node.forget_ghost(PeerName(int(asked.ident)))
        elif asked.what == "reset":
            assert isinstance(result, Left)
            self._network.clock.call_after(0, self._leave, daemon, result.confirmed or bool(asked.ident))

    def _attach(self, asked: Asked, interface: IPv4Interface) -> None:
        daemon, ident = self.daemon, asked.ident
        assert daemon is not None
        container = self.containers.get(ident)
        if container is None and asked.what == "adopt":
            daemon.ipam.release(ident, interface.ip, daemon.now)
            return
        if container is None:
            container = self.containers[ident] = Container(ident, asked.hostname)
        self.promised.setdefault(ident, set()).add(interface)
        if interface not in container.addresses:
            container.addresses.add(interface)
            self._watcher.took(self, ident, interface)
        if asked.hostname:
            daemon.names.add(ident, asked.hostname, interface.ip, daemon.now)
            self._network.clock.call_after(0, self._confirm, daemon, ident, asked.hostname, interface.ip)

    def _confirm(self, daemon: Daemon, ident: str, hostname: str, address: IPv4Address) -> None:
        """The name is on disk now, or the container is not started after all."""
        if self.daemon is not daemon or ident not in self.containers:
            return
        if daemon.node.storage_error is None:
            self.named.add((ident, hostname, address))
        else:
            self.end(ident)

    def _take_back(self, ident: str) -> None:
        """A refused request leaves nothing behind."""
        daemon = self.daemon
        had = self.containers[ident].addresses if ident in self.containers else set()
        for interface in daemon.ipam.lookup(ident) if daemon is not None else ():
            if daemon is not None and interface not in had:
                daemon.ipam.release(ident, interface.ip, daemon.now)

    def _bury(self, ident: str) -> None:
        container = self.containers.pop(ident)
        for interface in container.addresses:
            self._watcher.freed(self, ident, interface)

    def _release(self, ident: str) -> None:
        daemon = self.daemon
        assert daemon is not None
        daemon.ipam.release(ident, None, daemon.now)
        daemon.names.container_gone(ident, daemon.now)
        self.promised.pop(ident, None)
        self.named = {one for one in self.named if one[0] != ident}

    def _leave(self, daemon: Daemon, may: bool) -> None:
        if self.daemon is not daemon:
            return
        if may or not self._has_company(daemon):
            self.start_over()
        else:
            self.half_gone = True

    def _has_company(self, daemon: Daemon) -> bool:
        return any(owner != self.name for owner in daemon.ipam.ring.owners)
