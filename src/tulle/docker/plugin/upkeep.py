"""Freeing what Docker forgot to give back, as after a crash, and joining what is not at the bridge."""

from collections.abc import Sequence
from ipaddress import IPv4Address

from tulle.docker.plugin.driver import Driver
from tulle.docker.plugin.ipam import Ipam
from tulle.docker.plugin.networks import Networks
from tulle.host import endpoints
from tulle.host.endpoints import Found

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
        self._adopted = False

    async def look(self) -> list[IPv4Address]:
        """Once; the addresses that containers use afterwards. Raises UserError when the kernel refuses.

        A container that took its endpoint during the look may have lost the names that it had just got, and
        its address is among those in use.
        """
        found = await endpoints.list_endpoints(self._bridge)
        for one in found:
            if not one.joined:
                await endpoints.join_again(one)
        await self._adopt(found)
        idle = self._without_container(found)
        for ident, address in idle.items():
            if ident in self._idle:
                await self._driver.remove(ident)
                await self._ipam.free(address)
            else:
                await self._ipam.unname(address)
        self._idle = set(idle)
        await self._free_unused()
        after = await endpoints.list_endpoints(self._bridge) if idle else found
        return [one.endpoint.address.ip for one in after if one.taken]

    async def _adopt(self, found: Sequence[Found]) -> None:
        """At the first look: whoever runs with an address that nobody holds has it of an earlier life."""
        if self._adopted:
            return
        self._adopted = True
        held = await self._ipam.held()
        for one in found:
            if one.taken and one.endpoint.address.ip not in held:
                await self._ipam.adopt(one.endpoint.ident, one.endpoint.address)

    def _without_container(self, found: Sequence[Found]) -> dict[str, IPv4Address]:
        addresses = {one.ident: one.address.ip for one in self._driver.endpoints()}
        addresses |= {one.endpoint.ident: one.endpoint.address.ip for one in found}
        taken = {one.endpoint.ident for one in found if one.taken}
        return {ident: address for ident, address in addresses.items() if ident not in taken}

    async def _free_unused(self) -> None:
        used = {one.address.ip for one in self._driver.endpoints()} | self._networks.reserved()
        unused = (await self._ipam.held()).keys() - used
        for address in unused:
            await (self._ipam.free(address) if address in self._unused else self._ipam.unname(address))
        self._unused = unused
