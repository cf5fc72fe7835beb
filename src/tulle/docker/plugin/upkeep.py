"""Freeing what Docker forgot to give back, as after a crash, and joining what is not at the bridge."""

from ipaddress import IPv4Address

from tulle.docker.plugin.driver import Driver
from tulle.docker.plugin.ipam import Ipam
from tulle.docker.plugin.networks import Networks
from tulle.host import endpoints

UPKEEP_INTERVAL = 60.0
SECOND_LOOK = 20.0
"""Seconds after which what looked unused at the start may go; Docker starts a container in less."""


class Upkeep:
    """Compares what is held with what is used.

    What looks unused goes only when it looks so twice: Docker may be in the middle of starting a container.
    """

    def __init__(self, driver: Driver, ipam: Ipam, networks: Networks, bridge: str) -> None:
        self._driver = driver
        self._ipam = ipam
        self._networks = networks
        self._bridge = bridge
        self._idle: set[str] = set()
        self._unused: set[IPv4Address] = set()

    async def look(self) -> None:
        """Once. Raises UserError when the kernel refuses."""
        found = {one.endpoint.ident: one for one in await endpoints.list_endpoints()}
        for one in found.values():
            if not one.joined:
                await endpoints.join_again(one, self._bridge)
        in_use = {ident for ident, one in found.items() if one.taken}
        idle = {one.ident for one in self._driver.endpoints()} | found.keys()
        idle -= in_use
        for ident in idle & self._idle:
            await self._driver.remove(ident)
        self._idle = idle
        await self._free_unused()

    async def _free_unused(self) -> None:
        used = {one.address.ip for one in self._driver.endpoints()} | self._networks.reserved()
        unused = (await self._ipam.held()).keys() - used
        for address in unused & self._unused:
            await self._ipam.free(address)
        self._unused = unused
