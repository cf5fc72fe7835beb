"""The host itself as part of the network: addresses on the bridge, and a name if one is wished."""

from collections.abc import Sequence
from ipaddress import IPv4Interface

from tulle.api.addresses import AddressSpec, AutoAddress
from tulle.api.containers import EXPOSED_HOST
from tulle.api.daemon import ExposeRequest
from tulle.daemon.addresses import Addresses
from tulle.daemon.names import Names
from tulle.host.expose import Exposure


class Exposures:
    """Expose and hide, and what was exposed before."""

    def __init__(self, addresses: Addresses, names: Names, exposure: Exposure) -> None:
        self._addresses = addresses
        self._names = names
        self._exposure = exposure

    async def adopt(self) -> None:
        """Hold the addresses that the bridge has from an earlier life of the daemon, and free others."""
        there = [one.address for one in await self._exposure.exposed()]
        held = self._addresses.held().get(EXPOSED_HOST, ())
        for interface in held:
            if interface not in there:
                self._names.address_gone(EXPOSED_HOST, interface.ip)
                self._addresses.release(EXPOSED_HOST, interface.ip)
        for interface in there:
            if interface not in held and self._addresses.default_subnet is not None:
                self._addresses.claim_later(EXPOSED_HOST, interface)

    async def expose(self, request: ExposeRequest) -> list[IPv4Interface]:
        """Give the host the addresses asked for; one of the default subnet if none."""
        before = list(self._addresses.held().get(EXPOSED_HOST, ()))
        interfaces: list[IPv4Interface] = []
        try:
            for spec in request.addresses or (AutoAddress(),):
                interfaces += [await self._addresses.obtain(EXPOSED_HOST, spec)]
            if request.hostname is not None:
                self._names.add(EXPOSED_HOST, request.hostname, [one.ip for one in interfaces])
            for interface in interfaces:
                await self._exposure.expose(interface, not request.without_masquerade)
        except BaseException:
            for interface in interfaces:
                if interface not in before:
                    self._names.address_gone(EXPOSED_HOST, interface.ip)
                    self._addresses.release(EXPOSED_HOST, interface.ip)
            raise
        return interfaces

    async def hide(self, specs: Sequence[AddressSpec]) -> list[IPv4Interface]:
        """Take addresses from the host: those that are meant; none named means the default subnet."""
        there = [one.address for one in await self._exposure.exposed()]
        return await self._hide([one for one in there if self._addresses.are_meant(one, specs)])

    async def hide_all(self) -> None:
        """Take all addresses from the host."""
        await self._hide([one.address for one in await self._exposure.exposed()])

    async def _hide(self, interfaces: list[IPv4Interface]) -> list[IPv4Interface]:
        for interface in interfaces:
            await self._exposure.hide(interface)
            self._names.address_gone(EXPOSED_HOST, interface.ip)
            self._addresses.release(EXPOSED_HOST, interface.ip)
        return interfaces
