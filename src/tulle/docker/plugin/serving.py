"""What both plugins serve Docker with: the drivers, on a socket, and the upkeep beside them."""

import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address

from aiohttp import web

from tulle.api.sockets import BACKLOG
from tulle.docker.plugin.background import Background
from tulle.docker.plugin.driver import Driver, Wire
from tulle.docker.plugin.ipam import Ipam
from tulle.docker.plugin.networks import Networks
from tulle.docker.plugin.server import calls, make_app
from tulle.docker.plugin.upkeep import UPKEEP_INTERVAL, Upkeep
from tulle.host import endpoints
from tulle.host.endpoints import Endpoint
from tulle.host.neighbours import Announcer
from tulle.host.routed import Routed

Mend = Callable[[Sequence[IPv4Address]], Awaitable[None]]


class Serving:
    """The drivers of one plugin. What ``background`` does ends with them."""

    def __init__(
        self,
        networks: Networks,
        ipam: Ipam,
        wire: Wire,
        scope: str = "local",
        route: Callable[[Routed], Awaitable[None]] | None = None,
    ) -> None:
        """For ``scope`` and ``route`` see Driver."""
        self.driver = Driver(networks, ipam, wire, self._announce, scope, route)
        self.background = Background()
        self._ipam = ipam
        self._upkeep = Upkeep(self.driver, ipam, networks, wire.bridge)
        self._bridge = wire.bridge
        self._announcer: Announcer | None = None
        self._runner: web.AppRunner | None = None

    @property
    def listening(self) -> bool:
        """Whether Docker can ask."""
        return self._runner is not None

    async def start(self) -> None:
        """Adopt what is there. Raises UserError."""
        self._announcer = Announcer(self._bridge)
        await self.driver.start()

    async def listen(self, listener: socket.socket) -> None:
        """Answer Docker on this socket."""
        self._runner = web.AppRunner(make_app(calls(self.driver, self._ipam)), access_log=None)
        await self._runner.setup()
        await web.SockSite(self._runner, listener, backlog=BACKLOG).start()

    def keep_up(self, mend: Mend | None = None, first_pause: float | None = None) -> None:
        """Free what Docker forgets, now and then; the second time after ``first_pause`` seconds, if given.

        ``mend`` is told of the addresses that are in use each time.
        """

        async def look() -> None:
            used = await self._upkeep.look()
            if mend is not None:
                await mend(used)

        self.background.repeat(UPKEEP_INTERVAL, look, first_pause)

    async def close(self) -> None:
        """Answer no more, and finish what goes on."""
        if self._runner is not None:
            await self._runner.cleanup()
        await self.driver.stop()

    def stop(self) -> None:
        """Announce no more."""
        if self._announcer is not None:
            self._announcer.close()

    def _announce(self, endpoint: Endpoint) -> None:
        endpoints.announce(endpoint, self._announcer)
