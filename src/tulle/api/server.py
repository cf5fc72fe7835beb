"""Serves the API: everything on the control socket, as much as asked for on other addresses.

``http`` is the control API over TCP or a second unix socket, without authentication, for tools that need it;
``status`` can only look; ``metrics`` is for Prometheus alone.
"""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from tulle.api.address_routes import AddressRoutes
from tulle.api.answers import errors_in_one_line
from tulle.api.daemon import DaemonApi
from tulle.api.guard import no_web_pages
from tulle.api.listen import ListenAddress, UnixAddress
from tulle.api.name_routes import NameRoutes
from tulle.api.network_routes import NetworkRoutes
from tulle.api.sockets import listen, remove_socket
from tulle.api.status_routes import StatusRoutes

LARGEST_BODY = 256 * 1024
GRACE = 0.5
"""Seconds that requests in progress get when the server stops; those that wait are cancelled then."""


def control_routes(daemon: DaemonApi) -> list[web.RouteDef]:
    """Every row of the API."""
    return [
        *status_routes(daemon),
        *AddressRoutes(daemon).routes(),
        *NameRoutes(daemon).routes(),
        *NetworkRoutes(daemon).routes(),
    ]


def status_routes(daemon: DaemonApi) -> list[web.RouteDef]:
    """The rows that cannot change anything."""
    return StatusRoutes(daemon).routes()


def metrics_routes(daemon: DaemonApi) -> list[web.RouteDef]:
    """Only the metrics."""
    return [web.get("/metrics", StatusRoutes(daemon).metrics)]


def make_app(routes: Sequence[web.RouteDef]) -> web.Application:
    """An application with these rows, whose errors are single lines."""
    app = web.Application(middlewares=[errors_in_one_line, no_web_pages], client_max_size=LARGEST_BODY)
    app.add_routes(routes)
    return app


@dataclass(slots=True)
class _Site:
    address: ListenAddress
    listener: socket.socket
    inode: int
    runner: web.AppRunner


class ApiServer:
    """The listening side of a daemon."""

    def __init__(
        self,
        daemon: DaemonApi,
        control: str,
        *,
        http: ListenAddress | None = None,
        status: ListenAddress | None = None,
        metrics: ListenAddress | None = None,
    ) -> None:
        self._wanted = [
            (address, routes)
            for address, routes in (
                (UnixAddress(control), control_routes(daemon)),
                (http, control_routes(daemon)),
                (status, status_routes(daemon)),
                (metrics, metrics_routes(daemon)),
            )
            if address is not None
        ]
        self._sites: list[_Site] = []

    async def start(self) -> None:
        """Listen everywhere, or raise UserError and listen nowhere."""
        try:
            for address, routes in self._wanted:
                await self._serve(address, routes)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop listening, end what is going on, and remove the socket files."""
        while self._sites:
            site = self._sites.pop()
            await site.runner.cleanup()
            site.listener.close()
            if isinstance(site.address, UnixAddress):
                remove_socket(site.address.path, site.inode)

    async def _serve(self, address: ListenAddress, routes: Sequence[web.RouteDef]) -> None:
        listener = listen(address)
        inode = os.lstat(address.path).st_ino if isinstance(address, UnixAddress) else 0
        runner = web.AppRunner(
            make_app(routes), handler_cancellation=True, access_log=None, shutdown_timeout=GRACE
        )
        self._sites.append(_Site(address, listener, inode, runner))
        await runner.setup()
        await web.SockSite(runner, listener, backlog=128).start()
