"""The plugin as a part of the daemon: its socket, its network in Docker, and its upkeep."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from tulle.api.daemon import DaemonApi
from tulle.api.report import ContainerReport
from tulle.docker.engine import Engine, EngineRefused, Event, Summary
from tulle.docker.plugin.driver import Wire
from tulle.docker.plugin.ipam import Ipam
from tulle.docker.plugin.lease import Lease, borrow
from tulle.docker.plugin.listing import Listed, list_networks
from tulle.docker.plugin.names import ContainerNames
from tulle.docker.plugin.networks import Keeper, Networks
from tulle.docker.plugin.serving import Serving
from tulle.docker.plugin.upkeep import SECOND_LOOK
from tulle.errors import UserError
from tulle.host.dns_detour import LAPSE, DnsDetour, servers_of_docker
from tulle.host.routed import Routed
from tulle.host.store import Record

log = logging.getLogger(__name__)

SOCKETS = Path("/run/docker/plugins")
RENEWAL_INTERVAL = LAPSE / 3
FIRST_WELCOME = 1.0
"""Seconds that the daemon waits for its network to be in Docker before it is ready: at boot, Docker may be
waiting for the daemon."""


@dataclass(frozen=True, slots=True)
class PluginOptions:
    """``name`` is the driver's, and that of the network made for it; ``whole`` is the cluster's range.

    ``lease`` is the path by which the socket is borrowed from the responder, ``resolv_conf`` the host's.
    """

    wire: Wire
    whole: IPv4Network | None
    lease: Path
    resolv_conf: Path
    name: str = "tulle"
    sockets: Path = SOCKETS


class Plugin:
    """A service of the daemon, and a listener of the watch."""

    def __init__(
        self,
        engine: Engine,
        daemon: DaemonApi,
        store: Keeper,
        records: Iterable[Record],
        options: PluginOptions,
        route: Callable[[Routed], Awaitable[None]],
    ) -> None:
        self._engine = engine
        self._daemon = daemon
        self._options = options
        self._networks = Networks(store, records, daemon.default_subnet)
        self._former = {network.ident for network in self._networks.all()}
        self._ipam = Ipam(daemon, options.whole)
        self._serving = Serving(self._networks, self._ipam, options.wire, route=route)
        self._names = ContainerNames(engine, daemon, self._ipam)
        resolver = options.wire.resolver
        self._detour = DnsDetour(options.wire.bridge, resolver) if resolver is not None else None
        self._lease: Lease | None = None
        self._turn = asyncio.Lock()

    @property
    def path(self) -> Path:
        """The socket, where Docker finds it by the driver's name."""
        return self._options.sockets / f"{self._options.name}.sock"

    async def start(self) -> None:
        """Be there for Docker: before it looks for the driver of networks that it has, else when it comes."""
        await self._serving.start()
        if self._networks.all():
            await self._listen()
        if await asyncio.to_thread(os.path.exists, self._engine.socket):
            await self._listen()
            await asyncio.wait([self._serving.background.spawn(self._welcome())], timeout=FIRST_WELCOME)
        self._serving.keep_up(self._names.mend, SECOND_LOOK)

    async def stop(self) -> None:
        """Be gone, and take our own network along where no container uses it."""
        await self._serving.background.stop()
        await self._names.stop()
        wanted = await self._is_wanted()
        await self._serving.close()
        if self._lease is not None:
            self._lease.give_back(end=not wanted)
            if self._detour is not None:
                await self._detour.remove()
        self._serving.stop()

    def happened(self, event: Event) -> None:
        """Something happened in Docker."""
        self._names.happened(event)

    def caught_up(self, containers: Sequence[Summary]) -> None:
        """Docker is there."""
        self._names.caught_up(containers)
        self._serving.background.spawn(self._welcome())

    async def attached(self) -> list[ContainerReport]:
        """Docker's containers on our networks, by their ids as soon as Docker has told them."""
        holders = await self._ipam.held()
        idents = ((one, holders.get(one.address.ip, one.ident)) for one in self._serving.driver.endpoints())
        return [
            ContainerReport(
                container=self._names.containers.get(ident, ident),
                mac=one.mac,
                addresses=[str(one.address)],
            )
            for one, ident in idents
        ]

    async def _listen(self) -> None:
        if self._serving.listening:
            return
        self._lease = await borrow(self.path, self._options.lease)
        await self._serving.listen(self._lease.listener)
        if self._detour is not None:
            await self._serving.background.spawn(self._detour.start())
            self._serving.background.repeat(RENEWAL_INTERVAL, self._renew_detour)

    async def _welcome(self) -> None:
        """Have Docker's networks and ours agree, and our own among them."""
        async with self._turn:
            await self._agree()

    async def _agree(self) -> None:
        await self._listen()
        listed = await list_networks(self._engine, self._options.name)
        for one in listed:
            self._adopt(one)
        for ident in self._former - {one.id for one in listed}:
            self._networks.remove(ident)
        self._former.clear()
        await self._serving.driver.route()
        if self._options.name not in {one.name for one in listed} and self._daemon.default_subnet is not None:
            await self._create_network(self._daemon.default_subnet)

    def _adopt(self, listed: Listed) -> None:
        if self._networks.find(listed.id) is not None:
            return
        try:
            wire = self._options.wire
            self._networks.add(listed.as_network(self._options.name, wire.mtu, wire.multicast))
        except UserError as error:
            log.warning("Docker's network %s cannot be used: %s", listed.name, error)

    async def _create_network(self, subnet: IPv4Network) -> None:
        name = self._options.name
        wanted = {
            "Name": name,
            "CheckDuplicate": True,
            "Driver": name,
            "IPAM": {"Driver": name, "Config": [{"Subnet": str(subnet)}]},
        }
        await self._engine.request("POST", "/networks/create", body=wanted)
        log.info("Docker has a network %s now, %s", name, subnet)

    async def _is_wanted(self) -> bool:
        """Whether Docker has networks of ours left, after our own was removed if no container uses it.

        Somebody has to answer for those, or Docker would wait for the driver at every turn.
        """
        name = self._options.name
        try:
            for one in await list_networks(self._engine, name):
                if one.name == name or self._daemon.remove_everything:
                    await self._remove_network(one)
            return bool(await list_networks(self._engine, name))
        except UserError as error:
            log.info("Docker cannot be asked for its networks: %s", error)
            return True

    async def _remove_network(self, network: Listed) -> None:
        try:
            await self._engine.request("DELETE", f"/networks/{network.id}")
        except EngineRefused as error:
            log.warning("Docker keeps the network %s: %s", network.name, error)

    async def _renew_detour(self) -> None:
        servers = await asyncio.to_thread(servers_of_docker, self._options.resolv_conf)
        self._serving.driver.dns_servers = servers
        if self._detour is not None:
            await self._detour.renew(servers)
