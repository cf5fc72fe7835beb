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

    What looks unused loses its names, and goes when it looks so once more: Docker may be in the middle of
    starting a container, which gets its names afterwards.
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
        found = {one.endpoint.ident: one for one in await endpoints.list_endpoints(self._bridge)}
        for one in found.values():
            if not one.joined:
                await endpoints.join_again(one)
        idle = {one.ident: one.address.ip for one in self._driver.endpoints()}
        idle |= {ident: one.endpoint.address.ip for ident, one in found.items()}
        for ident in (ident for ident, one in found.items() if one.taken):
            idle.pop(ident, None)
        for ident, address in idle.items():
            if ident in self._idle:
                await self._driver.remove(ident)
                await self._ipam.free(address)
            else:
                await self._ipam.unname(address)
        self._idle = set(idle)
        await self._free_unused()

    async def _free_unused(self) -> None:
        used = {one.address.ip for one in self._driver.endpoints()} | self._networks.reserved()
        unused = (await self._ipam.held()).keys() - used
        for address in unused:
            await (self._ipam.free(address) if address in self._unused else self._ipam.unname(address))
        self._unused = unused
