"""All that the daemon does about Docker: services, which start and stop with it and need nothing of it.

The daemon never depends on Docker. Services begin whether an engine is there or not, pick one up when it
comes, and survive its end; and one that fails takes none of the others with it.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Protocol

from tulle.api.daemon import DaemonApi
from tulle.daemon.containers import Containers
from tulle.daemon.options import LaunchOptions
from tulle.docker.engine import DEFAULT_SOCKET, Engine
from tulle.docker.keeper import Keeper, make_keeper
from tulle.docker.plugin.driver import Wire
from tulle.docker.plugin.service import Plugin, PluginOptions
from tulle.docker.proxy.create import Joining
from tulle.docker.proxy.service import Proxy
from tulle.docker.records import Memberships
from tulle.docker.watch import Watch
from tulle.errors import UserError
from tulle.host import resolv_conf
from tulle.host.routed import Routed
from tulle.host.store import Change, Record, Store

Route = Callable[[Routed], Awaitable[None]]
_KIND, _SOCKET = "docker", "socket"
log = logging.getLogger(__name__)


class Service(Protocol):
    """Something that runs beside the daemon."""

    async def start(self) -> None:
        """Begin, and return soon. Raises UserError when it cannot."""

    async def stop(self) -> None:
        """End. Called only after ``start``, and only once."""


class Docker:
    """The engine, what happens there, its containers, and the services that have to do with it."""

    def __init__(self, engine: Engine, keeper: Keeper) -> None:
        self.engine = engine
        self.keeper = keeper
        self.watch = Watch(engine)
        self.watch.add(keeper.looks)
        self.plugin: Plugin | None = None
        self._services: list[Service] = [keeper.looks]
        self._running: list[Service] = []

    def add(self, *services: Service) -> None:
        """Have these start with the daemon, in this order, and stop in the opposite one."""
        self._services += services

    async def start(self) -> None:
        """Start every service. One that cannot start is said in the log, and left out."""
        for service in [*self._services, self.watch]:
            try:
                await service.start()
            except (UserError, OSError) as error:
                log.error("%s", error)
            else:
                self._running.append(service)

    async def stop(self) -> None:
        """Stop what runs."""
        while self._running:
            await self._running.pop().stop()
        await self.engine.close()


def services_of(
    docker: Docker,
    daemon: DaemonApi,
    options: LaunchOptions,
    store: Store,
    records: Iterable[Record],
    route: Route,
) -> Sequence[Service]:
    """What this daemon offers to Docker: the network plugin, the proxy.

    ``route`` has the host be the gateway of networks.
    """
    services: list[Service] = []
    if options.plugin_v2:
        services.append(_managed(docker, daemon, options, store, records))
    elif not options.no_plugin:
        services.append(_plugin(docker, daemon, options, store, records, route))
    if not options.no_proxy:
        services.append(_proxy(docker, daemon, options))
    return services


def _plugin(
    docker: Docker,
    daemon: DaemonApi,
    options: LaunchOptions,
    store: Store,
    records: Iterable[Record],
    route: Route,
) -> Plugin:
    dns = daemon.dns
    resolver = dns.address if dns is not None and dns.port == 53 else None
    wire = _wire(options, resolver)
    places = PluginOptions(
        wire,
        options.ipalloc_range,
        lease=Path(options.socket).with_name("docker-plugin.sock"),
        resolv_conf=Path(options.resolv_conf),
        name=options.plugin_name,
    )
    plugin = Plugin(docker.engine, daemon, store, records, places, route)
    docker.watch.add(plugin)
    docker.plugin = plugin
    return plugin


def _managed(
    docker: Docker, daemon: DaemonApi, options: LaunchOptions, store: Store, records: Iterable[Record]
) -> Service:
    from tulle.docker.plugin.managed import ManagedPlugin

    plugin = ManagedPlugin(docker.engine, daemon, store, records, _wire(options, None))
    docker.watch.add(plugin)
    return plugin


def _wire(options: LaunchOptions, resolver: IPv4Address | None) -> Wire:
    prefix = options.interface.rstrip("0123456789")
    return Wire(options.bridge, prefix, options.mtu, resolver, not options.no_multicast_route)


def _proxy(docker: Docker, daemon: DaemonApi, options: LaunchOptions) -> Proxy:
    search = resolv_conf.read(Path(options.resolv_conf)).search
    joining = Joining(options, options.wait_directory, daemon.dns, search)
    proxy = Proxy(daemon, docker.engine, joining, options.proxy_addresses)
    docker.watch.add(proxy)
    return proxy


def open_docker(
    options: LaunchOptions,
    containers: Containers,
    records: Iterable[Record],
    commit: Callable[[Sequence[Change]], None],
) -> Docker | None:
    """The engine to use, which is kept for ``--resume``; None when the user wants none."""
    socket = options.docker_api
    if socket is None:
        socket = _restored_socket(records) if options.resume else DEFAULT_SOCKET
    commit([Record(_KIND, _SOCKET, socket.encode())])
    if not socket:
        return None
    engine = Engine(socket)
    return Docker(engine, make_keeper(engine, containers, options.dns_domain, Memberships(records, commit)))


def _restored_socket(records: Iterable[Record]) -> str:
    saved = (value for kind, key, value in records if (kind, key) == (_KIND, _SOCKET))
    return next((value.decode(errors="replace") for value in saved), DEFAULT_SOCKET)
