"""The proxy as a service of the daemon: its listeners, its clients, and the gate that containers wait at."""

import asyncio
import logging
import os
import socket
import ssl
import stat
from collections.abc import Sequence
from pathlib import Path

from tulle.api.containers import ContainerRef
from tulle.api.daemon import AttachRequest, DaemonApi
from tulle.api.listen import ListenAddress, TcpAddress, UnixAddress
from tulle.api.names import in_domain, is_host_name
from tulle.api.sockets import accept_for_ever, listen, remove_socket
from tulle.docker.engine import Engine, Event, Inspected, Summary
from tulle.docker.gate import Gate
from tulle.docker.hosts import rewrite_hosts
from tulle.docker.proxy.create import Joining, addresses_wanted
from tulle.docker.proxy.handler import Handler
from tulle.docker.proxy.stream import PlainStream, Stream, TlsStream
from tulle.docker.proxy.tls import server_context
from tulle.host.tasks import Tasks

log = logging.getLogger(__name__)


class Proxy:
    """Containers made through it join before their command runs."""

    def __init__(
        self,
        daemon: DaemonApi,
        engine: Engine,
        joining: Joining,
        addresses: Sequence[ListenAddress],
    ) -> None:
        self._daemon = daemon
        self._engine = engine
        self._joining = joining
        self._addresses = addresses
        self._tls: ssl.SSLContext | None = None
        self._gate = Gate(Path(joining.directory), self._attach)
        self._handler = Handler(daemon, engine, self._gate, joining, self._dial)
        self._listeners: list[tuple[ListenAddress, socket.socket, int]] = []
        self._tasks = Tasks()

    async def start(self) -> None:
        """Open the gate, then the listeners. Raises UserError or OSError."""
        self._tls = server_context(self._joining.options)
        await self._gate.start()
        try:
            for address in self._addresses:
                self._open(address)
        except BaseException:
            await self.stop()
            raise
        self._daemon.proxy_addresses = tuple(map(_as_docker_host, self._addresses))

    async def stop(self) -> None:
        """Hang up on all clients."""
        self._daemon.proxy_addresses = ()
        await self._tasks.stop()
        for address, listener, inode in self._listeners:
            listener.close()
            if isinstance(address, UnixAddress):
                remove_socket(address.path, inode)
        self._listeners.clear()
        await self._gate.stop()

    def happened(self, event: Event) -> None:
        """See docker.watch.Listener."""

    def caught_up(self, containers: Sequence[Summary]) -> None:
        """See docker.watch.Listener: an engine is there, and whoever may use it may use the proxy."""
        try:
            engine = os.stat(self._engine.socket)
            for address, _, _ in self._listeners:
                if isinstance(address, UnixAddress):
                    os.chown(address.path, engine.st_uid, engine.st_gid)
                    os.chmod(address.path, stat.S_IMODE(engine.st_mode))
        except OSError as error:
            log.warning("only root may use the Docker API proxy: %s", error)

    def _open(self, address: ListenAddress) -> None:
        listener = listen(address)
        inode = os.lstat(address.path).st_ino if isinstance(address, UnixAddress) else 0
        self._listeners.append((address, listener, inode))

        def welcome(connection: socket.socket) -> None:
            self._tasks.spawn(self._serve(address, connection))

        self._tasks.spawn(accept_for_ever(listener, welcome, "clients of the Docker API proxy"))

    async def _serve(self, address: ListenAddress, connection: socket.socket) -> None:
        client: Stream = PlainStream(connection)
        try:
            if isinstance(address, TcpAddress):
                client = await self._over_tcp(connection)
            await self._handler.serve(client)
        except OSError as error:
            log.debug("a client of the Docker API proxy is gone: %s", error)
        except Exception:
            log.exception("internal error in the Docker API proxy")
        finally:
            client.close()

    async def _over_tcp(self, connection: socket.socket) -> Stream:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        plain = PlainStream(connection)
        if self._tls is None:
            return plain
        stream = TlsStream(plain, self._tls)
        await stream.handshake()
        return stream

    async def _dial(self) -> Stream:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            stream = PlainStream(connection)
            await asyncio.get_running_loop().sock_connect(connection, self._engine.socket)
        except BaseException:
            connection.close()
            raise
        return stream

    async def _attach(self, ident: str) -> None:
        """Attach a container that waits at the gate. Raises UserError or StorageError."""
        inspected = await self._engine.inspect(ident)
        options = self._joining.options
        wanted = addresses_wanted(
            inspected.config.env or (), inspected.host_config.network_mode, options.no_default_ipalloc
        )
        if wanted is None:
            return
        hostname = self._hostname(inspected)
        addresses = await self._daemon.attach(
            AttachRequest(
                container=ContainerRef(inspected.id, "", None),
                addresses=wanted,
                hostname=hostname,
                without_dns=options.without_dns,
                no_multicast_route=options.no_multicast_route,
            )
        )
        if not options.no_rewrite_hosts and inspected.hosts_path:
            config = inspected.config
            full = ".".join(filter(None, [config.hostname, config.domainname]))
            try:
                names = list(dict.fromkeys([full, config.hostname]))
                rewrite_hosts(Path(inspected.hosts_path), names, addresses)
            except OSError as error:
                log.warning("%s: its hosts file could not be rewritten: %s", ident[:12], error)

    def _hostname(self, inspected: Inspected) -> str | None:
        """The name to register: the host name that the container was given, if that can be in our domain."""
        dns, config = self._joining.dns, inspected.config
        if dns is None or config.hostname in ("", inspected.id[:12]):
            return None
        full = f"{config.hostname}.{config.domainname}" if config.domainname else config.hostname
        if not is_host_name(full) or ("." in full and not in_domain(full, dns.domain)):
            return None
        return full


def _as_docker_host(address: ListenAddress) -> str:
    return f"unix://{address}" if isinstance(address, UnixAddress) else f"tcp://{address}"
