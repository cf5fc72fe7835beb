"""Docker's IPAM driver: addresses for containers out of the range that all hosts share.

An address is held under an ident of its own, since Docker does not say what container it is for. Which
ident holds an address is known from the allocator alone, so nothing is lost with the daemon.
"""

import asyncio
import secrets
from collections.abc import Coroutine
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any, TypeVar

from tulle.api.daemon import DaemonApi, NameRequest
from tulle.docker.plugin import messages
from tulle.docker.plugin.messages import AddressRelease, AddressRequest, PoolRequest
from tulle.docker.plugin.pools import SPACE, Pool, choose_pool, parse_pool
from tulle.errors import UserError

T = TypeVar("T")
Answer = dict[str, Any]

HOLDER = "docker:"
"""What the idents of addresses begin with that Docker has of us."""

PATIENCE = 15.0
"""Seconds that Docker may wait for an address: it does nothing else for the container meanwhile."""


class Ipam:
    """The handlers of the driver. ``whole`` is the range of the cluster, None with allocation turned off."""

    def __init__(self, daemon: DaemonApi, whole: IPv4Network | None) -> None:
        self._daemon = daemon
        self._whole = whole

    def covers(self, subnet: IPv4Network) -> bool:
        """Whether the addresses of a subnet are ours to give."""
        return self._whole is not None and subnet.subnet_of(self._whole)

    async def capabilities(self) -> Answer:
        """Docker need not repeat after a restart what it had asked for: it is all kept here."""
        return {"RequiresMACAddress": False, "RequiresRequestReplay": False}

    async def default_spaces(self) -> Answer:
        """Where pools without a space of their own are: one for this host, one for the swarm."""
        return {"LocalDefaultAddressSpace": SPACE, "GlobalDefaultAddressSpace": SPACE}

    async def request_pool(self, request: PoolRequest) -> Answer:
        """A subnet for a new network.

        Containers find each other without a gateway; the subnet's own address stands for it.
        """
        pool = choose_pool(request, self._daemon.default_subnet, self._whole)
        nobody = f"{pool.subnet.network_address}/{pool.subnet.prefixlen}"
        return {"PoolID": pool.ident, "Pool": str(pool.subnet), "Data": {messages.GATEWAY: nobody}}

    async def request_address(self, request: AddressRequest) -> Answer:
        """An address for a container, or one that a network reserves."""
        pool = parse_pool(request.pool_id)
        wanted = messages.address(request.address) if request.address else None
        if (request.options or {}).get(messages.ADDRESS_KIND) == messages.GATEWAY:
            return _address(await self._gateway(wanted, pool), pool)
        if wanted is None:
            ident = HOLDER + secrets.token_hex(8)
            got = await in_time(self._daemon.allocate(ident, pool.part, False))
            return _address(got.ip, pool)
        await self.claim(wanted, pool.subnet)
        return _address(wanted, pool)

    async def claim(self, address: IPv4Address, subnet: IPv4Network) -> None:
        """Hold an address that somebody has chosen. Raises UserError where it is in use."""
        if address not in subnet:
            raise UserError(f"{address} is not inside {subnet}, the subnet of the network")
        ident = HOLDER + secrets.token_hex(8)
        await in_time(self._daemon.claim(ident, IPv4Interface((address, subnet.prefixlen)), False, False))

    async def adopt(self, endpoint: str, interface: IPv4Interface) -> None:
        """Hold what a container has, of whom only Docker and the kernel know: our state was lost."""
        if self.covers(interface.network):
            await self._daemon.adopt(HOLDER + endpoint[:16], interface)

    async def release_address(self, request: AddressRelease) -> Answer:
        """An address is free again; one that was not in use is no error."""
        await self.free(messages.address(request.address.partition("/")[0]))
        return {}

    async def free(self, address: IPv4Address) -> None:
        """Give an address back, with the names at it, if Docker has it of us."""
        ident = (await self.held()).get(address)
        if ident is not None:
            await self._remove_names(ident)
            await self._daemon.release(ident, address)

    async def unname(self, address: IPv4Address) -> None:
        """Have nobody find an address any more that Docker has of us."""
        ident = (await self.held()).get(address)
        if ident is not None:
            await self._remove_names(ident)

    async def _remove_names(self, ident: str) -> None:
        if self._daemon.dns is not None:
            await self._daemon.dns_remove(NameRequest(ident, None))

    async def held(self) -> dict[IPv4Address, str]:
        """Every address that Docker has of us, and its ident."""
        held = await self._daemon.held()
        return {
            interface.ip: ident
            for ident, interfaces in held.items()
            if ident.startswith(HOLDER)
            for interface in interfaces
        }

    async def _gateway(self, wanted: IPv4Address | None, pool: Pool) -> IPv4Address:
        """Keep the gateway from containers; a host or a router that has it already does that as well."""
        if wanted is None:
            return pool.subnet.network_address
        if wanted not in pool.subnet:
            raise UserError(f"the --gateway {wanted} is not inside the --subnet {pool.subnet}")
        with suppress(UserError):
            await self.claim(wanted, pool.subnet)
        return wanted


async def in_time(work: Coroutine[Any, Any, T]) -> T:
    """Do ``work``, but not for longer than Docker should wait. Raises UserError then."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await work
    except TimeoutError:
        raise UserError(
            "no address could be had in time; `tulle status ipam` on this host tells what it waits for", 503
        ) from None


def _address(address: IPv4Address, pool: Pool) -> Answer:
    return {"Address": f"{address}/{pool.subnet.prefixlen}", "Data": {}}
