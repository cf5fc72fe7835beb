"""The daemon: one node, this machine, and those who ask it for something (``api.daemon.DaemonApi``)."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any, TypeVar

from tulle import __version__
from tulle.api.addresses import AddressSpec
from tulle.api.containers import EXPOSED_HOST, EXTERNAL, is_engine_id, parse_container
from tulle.api.daemon import (
    AttachRequest,
    DetachRequest,
    DnsService,
    ExposeRequest,
    NameRequest,
    RequestCancelled,
    Takeover,
)
from tulle.api.report import ContainerReport, DnsReport, IpamReport, Report
from tulle.daemon import report as reports
from tulle.daemon.addresses import Addresses, if_alive, while_alive
from tulle.daemon.containers import Containers
from tulle.daemon.docker import Docker
from tulle.daemon.engine import Engine, now
from tulle.daemon.exposures import Exposures
from tulle.daemon.kernel import Kernel
from tulle.daemon.names import Names
from tulle.daemon.options import LaunchOptions
from tulle.daemon.targets import targets_record
from tulle.docker.keeper import Keeper
from tulle.errors import StorageError, UserError
from tulle.host import endpoints
from tulle.host.dns_server import DnsServer
from tulle.host.store import Store
from tulle.ipam.status import StrayStatus
from tulle.mesh.peername import format_name
from tulle.mesh.troubles import About

log = logging.getLogger(__name__)
T = TypeVar("T")


class Daemon:
    """What the API drives. Built and ended by ``daemon.life``."""

    def __init__(
        self,
        options: LaunchOptions,
        engine: Engine,
        kernel: Kernel,
        store: Store,
        dns: DnsService | None,
        server: DnsServer | None,
        parts: "Services",
        docker: Docker | None,
    ) -> None:
        self._options = options
        self._engine = engine
        self._kernel = kernel
        self._store = store
        self._dns = dns
        self._server = server
        self._docker = docker
        self._addresses = parts.addresses
        self._names = parts.names
        self._containers = parts.containers
        self._exposures = parts.exposures
        self._started = time.time()
        self.ending = asyncio.Event()
        self.remove_everything = False
        self.ready = False
        self.proxy_addresses: Sequence[str] = ()

    @property
    def default_subnet(self) -> IPv4Network | None:
        """See DaemonApi."""
        return self._addresses.default_subnet

    @property
    def dns(self) -> DnsService | None:
        """See DaemonApi."""
        return self._dns

    # -- peers ---------------------------------------------------------------------------------------------

    async def connect(self, peers: Sequence[str], replace: bool) -> None:
        """See DaemonApi."""
        with self._targets_saved():
            self._engine.node.connect(peers, replace, now())

    async def forget(self, peers: Sequence[str]) -> None:
        """See DaemonApi."""
        with self._targets_saved():
            self._engine.node.forget(peers, now())

    @contextmanager
    def _targets_saved(self) -> Iterator[None]:
        """Keep the new list of targets on disk, or the old one in force. Raises StorageError."""
        node = self._engine.node
        before = node.mesh.targets()
        yield
        try:
            self._store.commit([targets_record(node.mesh.targets())])
        except StorageError:
            node.connect(before, True, now())
            raise
        finally:
            self._engine.pump()

    # -- addresses -----------------------------------------------------------------------------------------

    async def allocate(self, ident: str, subnet: IPv4Network, check_alive: bool) -> IPv4Interface:
        """See DaemonApi."""
        work = self._addresses.allocate(ident, subnet)
        return await (self._if_alive(ident, work) if check_alive else work)

    async def lookup(self, ident: str, subnet: IPv4Network | None) -> list[IPv4Interface]:
        """See DaemonApi."""
        return self._addresses.lookup(ident, subnet)

    async def claim(
        self, ident: str, interface: IPv4Interface, check_alive: bool, no_error_on_unknown: bool
    ) -> None:
        """See DaemonApi."""
        if no_error_on_unknown and not self._addresses.allocator.status().ready:
            self._addresses.claim_later(ident, interface)
            return
        work = self._addresses.claim(ident, interface)
        await (self._if_alive(ident, work) if check_alive else work)

    async def adopt(self, ident: str, interface: IPv4Interface) -> None:
        """See DaemonApi."""
        self._addresses.claim_later(ident, interface)

    async def _if_alive(self, ident: str, work: Coroutine[Any, Any, T]) -> T:
        of_engine = self._docker is not None and is_engine_id(ident)
        return await if_alive(ident, work, self._keeper(ident).runs if of_engine else None)

    async def release(self, ident: str, address: IPv4Address | None) -> list[IPv4Interface]:
        """See DaemonApi."""
        return self._addresses.release(ident, address)

    async def held(self) -> Mapping[str, Sequence[IPv4Interface]]:
        """See DaemonApi."""
        return self._addresses.held()

    async def prime(self) -> None:
        """See DaemonApi."""
        await self._addresses.prime()

    async def takeover(self, peer: str, force: bool) -> Takeover:
        """See DaemonApi."""
        return await self._addresses.takeover(peer, force)

    async def leave(self, force: bool) -> None:
        """See DaemonApi."""
        await self._addresses.leave(force)

    # -- containers and the host ---------------------------------------------------------------------------

    async def identify(self, container: str) -> str:
        """See DaemonApi."""
        ref = parse_container(container)
        return await self._keeper(ref.ident).identify(ref.ident) if ref.of_engine else ref.ident

    def _keeper(self, container: str) -> Keeper:
        if self._docker is None:
            raise UserError(
                f"{container} would be a container of Docker, which this daemon was told to leave alone"
                " (--docker-api ''); write netns:NAME, a path or pid:N for others"
            )
        return self._docker.keeper

    async def attach(self, request: AttachRequest) -> list[IPv4Interface]:
        """See DaemonApi."""
        ident = request.container.ident
        try:
            if request.container.of_engine:
                return await self._keeper(ident).attach(request)
            return await while_alive(ident, self._containers.attach(request))
        except RequestCancelled:
            raise UserError(f"{ident} ended while it waited; nothing was attached", 404) from None

    async def detach(self, request: DetachRequest) -> list[IPv4Interface]:
        """See DaemonApi."""
        if request.container.of_engine:
            return await self._keeper(request.container.ident).detach(request)
        return await self._containers.detach(request)

    async def expose(self, request: ExposeRequest) -> list[IPv4Interface]:
        """See DaemonApi."""
        return await self._exposures.expose(request)

    async def hide(self, addresses: tuple[AddressSpec, ...]) -> list[IPv4Interface]:
        """See DaemonApi."""
        return await self._exposures.hide(addresses)

    # -- names ---------------------------------------------------------------------------------------------

    async def dns_add(self, request: NameRequest) -> None:
        """See DaemonApi."""
        container = request.container or EXTERNAL
        hostname = request.hostname or await self._own_name(container)
        addresses = request.addresses or self._own_addresses(container)
        self._names.add(container, hostname, addresses)

    async def dns_remove(self, request: NameRequest) -> int:
        """See DaemonApi."""
        return self._names.remove(request)

    async def dns_holders(self) -> Collection[str]:
        """See DaemonApi."""
        return self._names.holders()

    async def dns_lookup(self, name: str) -> list[IPv4Address]:
        """See DaemonApi."""
        return self._names.lookup(name)

    async def _own_name(self, container: str) -> str:
        if is_engine_id(container):
            return await self._keeper(container).name_of(container)
        kind, _, name = container.partition(":")
        if kind != "netns" or not name or "/" in name:
            raise UserError(f"{container} has no name of its own; give one with -h")
        return name

    def _own_addresses(self, container: str) -> tuple[IPv4Address, ...]:
        addresses = tuple(
            address.ip
            for attachment in self._containers.attached()
            if attachment.container.ident == container
            for address in attachment.addresses
        )
        if not addresses:
            raise UserError(f"{container} is not attached here; attach it first, or name addresses", 404)
        return addresses

    # -- the daemon itself ---------------------------------------------------------------------------------

    async def report(self) -> Report:
        """See DaemonApi."""
        node = self._engine.node
        interface = f"{self._kernel.path.names.vxlan} (kernel VXLAN)"
        return Report(
            ready=self.ready,
            version=__version__,
            router=reports.router_report(
                node, self._kernel.path, interface, now().mono, self._kernel.sleeve.counters()
            ),
            ipam=self._ipam_report(),
            dns=self._dns_report(),
            containers=await self._container_reports(),
            pid=os.getpid(),
            started=reports.timestamp(self._started),
            warnings=self._warnings(),
        )

    def _ipam_report(self) -> IpamReport | None:
        node = self._engine.node
        if node.ipam is None:
            return None
        return reports.ipam_report(node.ipam, node.mesh.troubles(About.TERMS, now()))

    def _dns_report(self) -> DnsReport | None:
        names = self._engine.node.names
        if names is None or self._dns is None or self._server is None:
            return None
        address = f"{self._dns.address}:{self._dns.port}"
        return reports.dns_report(names, address, self._options.dns_ttl, self._server.upstream_servers())

    async def _container_reports(self) -> list[ContainerReport]:
        rows = [
            ContainerReport(
                container=one.container.ident,
                mac=one.mac,
                interface=one.interface,
                addresses=[str(address) for address in one.addresses],
                names=self._names.of(one.container.ident),
            )
            for one in self._containers.attached()
        ]
        if self._docker is not None and self._docker.plugin is not None:
            rows += await self._docker.plugin.attached()
        exposed = [str(one.address) for one in await self._kernel.exposure.exposed()]
        if exposed:
            bridge = self._kernel.bridge
            names = self._names.of(EXPOSED_HOST)
            rows.insert(
                0,
                ContainerReport(
                    container=EXPOSED_HOST,
                    mac=bridge.mac,
                    interface=bridge.name,
                    addresses=exposed,
                    names=names,
                ),
            )
        return rows

    def _warnings(self) -> list[str]:
        warnings = [*self._store.notes, *filter(None, [self._kernel.complaint])]
        node = self._engine.node
        if node.storage_error is not None:
            warnings.append(str(node.storage_error))
        warnings += node.mesh.troubles(About.NAMES, now())
        if node.ipam is not None:
            status = node.ipam.status()
            warnings += [_stray_warning(stray) for stray in status.strays if stray.denied]
            if status.unsaved:
                warnings.append(
                    "the disk refused the last write of addresses: nothing new is handed out until it works"
                )
        return warnings

    async def stop(self) -> None:
        """See DaemonApi."""
        self.ending.set()

    async def reset(self, force: bool) -> None:
        """See DaemonApi. Whose addresses are given away must not go on using them: containers go first."""
        if self._addresses.default_subnet is not None:
            self._addresses.check_leaving(force)
            if self._docker is not None:
                self._docker.keeper.forget_all()
            await self._containers.detach_all()
            await endpoints.remove_all(self._kernel.bridge.name)
            await self._exposures.hide_all()
            heard = await self._addresses.leave(force)
            if not heard and not force and self._addresses.has_company():
                raise UserError(
                    "the other peers do not answer, so they may not know yet that the addresses of this host"
                    " are theirs; the containers were detached, and the daemon goes on. Repeat it when they"
                    " can be reached, or with --force",
                    409,
                )
        self.remove_everything = self._kernel.ephemeral = True
        self.ending.set()


class Services:
    """The daemon's helpers around one engine."""

    def __init__(
        self,
        engine: Engine,
        kernel: Kernel,
        make_containers: Callable[[Addresses, Names], Containers],
    ) -> None:
        self.addresses = Addresses(engine)
        self.names = Names(engine)
        self.containers = make_containers(self.addresses, self.names)
        self.exposures = Exposures(self.addresses, self.names, kernel.exposure)


def _stray_warning(stray: StrayStatus) -> str:
    owner = stray.nickname or format_name(stray.owner)
    return f"{stray.address} of {stray.ident} is in use at {owner} too, to which it belongs now"
