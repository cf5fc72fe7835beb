"""The daemon's side of address management: requests as coroutines that leave nothing behind when dropped."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any, TypeVar, cast

from tulle.api.addresses import AddressSpec, AutoAddress, ManualAddress
from tulle.api.daemon import RequestCancelled, Takeover
from tulle.daemon.engine import Engine, now
from tulle.daemon.knocking import Door, knock, objection
from tulle.errors import UserError
from tulle.host import container
from tulle.ipam.allocator import Allocator
from tulle.ipam.leaving import Left
from tulle.ipam.takeover import TakenOver
from tulle.mesh.peername import PeerName

log = logging.getLogger(__name__)
T = TypeVar("T")
ALIVE_CHECK_INTERVAL = 1.0


class Addresses:
    """What the API and the attachments ask of the allocator."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def allocator(self) -> Allocator:
        """Raises UserError when allocation is off."""
        if self._engine.node.ipam is None:
            raise UserError("address allocation is turned off here (--ipalloc-range is empty)", 404)
        return self._engine.node.ipam

    async def allocate(self, ident: str, subnet: IPv4Network) -> IPv4Interface:
        """The address of ``ident`` in ``subnet``; waits for as long as it takes."""
        allocator = self.allocator
        async with self._undone_on_failure(ident):
            return cast(
                IPv4Interface,
                await self._ask(lambda ticket: allocator.allocate(ticket, ident, subnet, now())),
            )

    async def claim(self, ident: str, interface: IPv4Interface, in_use: bool = False) -> None:
        """Have ``ident`` hold exactly this address; ``in_use`` when it has it already."""
        allocator = self.allocator
        address, length = interface.ip, interface.network.prefixlen
        async with self._undone_on_failure(ident):
            await self._ask(lambda ticket: allocator.claim(ticket, ident, address, length, now(), in_use))

    async def obtain(self, ident: str, spec: AddressSpec) -> IPv4Interface:
        """The address that a user's words mean."""
        if isinstance(spec, ManualAddress):
            if self._engine.node.ipam is not None:
                await self.claim(ident, spec.interface)
            return spec.interface
        return await self.allocate(ident, spec.subnet or self.allocator.config.default_subnet)

    def claim_later(self, ident: str, interface: IPv4Interface) -> None:
        """Claim an address that is in use already; there is nobody to tell how it went but the log."""
        self._engine.spawn(self._claim_and_log(ident, interface))

    async def _claim_and_log(self, ident: str, interface: IPv4Interface) -> None:
        try:
            await self.claim(ident, interface, in_use=True)
        except UserError as error:
            log.error("%s uses %s, which could not be claimed: %s", ident, interface, error)

    @property
    def default_subnet(self) -> IPv4Network | None:
        """Where addresses come from when no subnet is named; None when allocation is off."""
        return self._engine.node.ipam.config.default_subnet if self._engine.node.ipam is not None else None

    def lookup(self, ident: str, subnet: IPv4Network | None) -> list[IPv4Interface]:
        """What ``ident`` holds in ``subnet``, the default one if None."""
        return self.allocator.lookup(ident, subnet or self.allocator.config.default_subnet)

    def are_meant(self, interface: IPv4Interface, specs: Sequence[AddressSpec]) -> bool:
        """Whether a user who wrote ``specs`` means this address; no words mean the default subnet."""
        for spec in specs or (AutoAddress(),):
            if isinstance(spec, ManualAddress):
                if interface.ip == spec.interface.ip:
                    return True
            else:
                subnet = spec.subnet or self.default_subnet
                if subnet is None or interface.ip in subnet:
                    return True
        return False

    def release(self, ident: str, address: IPv4Address | None) -> list[IPv4Interface]:
        """Give back one address of ``ident``, or all."""
        if self._engine.node.ipam is None:
            return []
        freed = self._engine.node.ipam.release(ident, address, now())
        self._engine.pump()
        return freed

    def held(self) -> Mapping[str, Sequence[IPv4Interface]]:
        """Every address in use here."""
        return self._engine.node.ipam.held() if self._engine.node.ipam is not None else {}

    async def prime(self) -> None:
        """Wait for the ring."""
        allocator = self.allocator
        await self._ask(lambda ticket: allocator.prime(ticket, now()))

    async def takeover(self, text: str, force: bool) -> Takeover:
        """Take the ranges of the peer called ``text``."""
        allocator = self.allocator
        mesh = self._engine.node.mesh
        peer = allocator.find_peer(text)
        if peer is None:
            peer = mesh.find_peer(text)
        if not force and peer in allocator.ring.owners and peer not in mesh.routes.unicast_all:
            await self._make_sure(peer)
        taken = cast(
            TakenOver,
            await self._ask(lambda ticket: allocator.takeover(ticket, peer, now(), force)),
        )
        self._engine.node.forget_ghost(taken.peer)
        self._engine.pump()
        return Takeover(taken.addresses, tuple(map(mesh.label, taken.unasked)))

    async def _make_sure(self, peer: PeerName) -> None:
        """Raise UserError unless a peer that the mesh has lost is known not to run."""
        mesh = self._engine.node.mesh
        address = mesh.address_of(peer)
        at_home = mesh.peer_at(address) if address is not None else None
        if at_home is not None and at_home != peer:
            return
        door = await knock(address) if address is not None else Door.SILENT
        problem = objection(self.allocator.label(peer), address, door)
        if problem is not None:
            raise problem

    async def leave(self, force: bool) -> bool:
        """Give our ranges away; whether somebody knows now. Raises UserError as ``check_leaving`` does."""
        self.check_leaving(force)
        left = cast(Left, await self._ask(lambda ticket: self.allocator.leave(ticket, now())))
        return left.confirmed

    def check_leaving(self, force: bool) -> None:
        """Without ``force``, raises UserError if there are others but none in reach."""
        if self.has_company() and not force and not self._engine.node.mesh.routes.unicast_all:
            raise UserError(
                "no other peer can be reached, so nobody can take over the addresses of this host; they would"
                " count as taken until 'tulle rmpeer' is run for it elsewhere. Connect first, or repeat with"
                " --force",
                409,
            )

    def has_company(self) -> bool:
        """Whether others have a share of the range, so that it matters to somebody what happens to ours."""
        allocator = self.allocator
        return any(owner.peer != allocator.config.peer for owner in allocator.status().owners)

    async def _ask(self, make: Callable[[int], None]) -> object:
        def asked(ticket: int) -> None:
            make(ticket)
            self._engine.pump()

        return await self._engine.tickets.ask(asked)

    @asynccontextmanager
    async def _undone_on_failure(self, ident: str) -> AsyncIterator[None]:
        """When the asker goes away or is refused, what it was given meanwhile goes back.

        A refusal because of the disk leaves the address with ``ident`` in memory; nobody would know of it.
        """
        before = set(self.allocator.lookup(ident))
        try:
            yield
        except (asyncio.CancelledError, UserError):
            for interface in self.allocator.lookup(ident):
                if interface not in before:
                    self.release(ident, interface.ip)
            raise


async def while_alive(
    ident: str, work: Coroutine[Any, Any, T], alive: Callable[[str], Awaitable[bool]] | None = None
) -> T:
    """Do ``work``, but give it up when the container ``ident`` goes. Raises RequestCancelled then.

    ``alive`` tells whether it is there; without it only containers that are references can be told to go.
    """
    if alive is None and not container.is_reference(ident):
        return await work
    alive = alive or _is_there
    task = asyncio.ensure_future(work)
    try:
        while True:
            done, _ = await asyncio.wait({task}, timeout=ALIVE_CHECK_INTERVAL)
            if done:
                return task.result()
            if not await alive(ident):
                raise RequestCancelled
    finally:
        task.cancel()


async def if_alive(
    ident: str, work: Coroutine[Any, Any, T], alive: Callable[[str], Awaitable[bool]] | None = None
) -> T:
    """As ``while_alive``, but a container that is not there to begin with ends it at once."""
    look = alive or (_is_there if container.is_reference(ident) else None)
    if look is not None and not await look(ident):
        work.close()
        raise RequestCancelled
    return await while_alive(ident, work, look)


async def _is_there(reference: str) -> bool:
    try:
        await container.find_container(reference)
    except UserError:
        return False
    return True
