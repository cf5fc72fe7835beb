"""Containers on this host: attaching, detaching, and noticing that one is gone.

The kernel knows which containers are attached, the allocator which addresses they hold, the nameserver
what they are called. There is no fourth list: ``reconcile`` makes the three agree, at start and now and then,
and a container's death is noticed at once.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Interface

from tulle.api.addresses import AutoAddress
from tulle.api.daemon import AttachRequest, DetachRequest
from tulle.daemon.addresses import Addresses
from tulle.daemon.files import ContainerFiles
from tulle.daemon.names import Names
from tulle.errors import UserError
from tulle.host import container
from tulle.host.attachments import Attachment
from tulle.host.ports import Ports

log = logging.getLogger(__name__)


class Containers:
    """Attach and detach, one at a time for each container."""

    def __init__(self, addresses: Addresses, names: Names, files: ContainerFiles, ports: Ports) -> None:
        self._addresses = addresses
        self._names = names
        self._files = files
        self._ports = ports
        self._busy: dict[str, asyncio.Lock] = {}
        self._users: Counter[str] = Counter()

    async def start(self, names_lost: bool = False) -> None:
        """Adopt what an earlier life of the daemon attached, and forget what died meanwhile.

        With ``names_lost`` those containers that use the resolver get the names that they have by default.
        """
        await self._ports.start()
        for attachment in self._ports.attached():
            self._files.renew(attachment.container.ident)
            if names_lost:
                self._name_again(attachment)
        self.reconcile()

    def remove_files(self) -> None:
        """Take away what was written for the containers that are attached: they are about to be detached."""
        for attachment in self._ports.attached():
            self._files.remove(attachment.container.ident)

    def attached(self) -> Sequence[Attachment]:
        """What is attached, oldest first."""
        return self._ports.attached()

    async def attach(self, request: AttachRequest) -> list[IPv4Interface]:
        """Interface, addresses and name for a container; undone if it cannot be completed."""
        ident = request.container.ident
        async with self._alone(ident):
            target = await container.find_container(ident, ident)
            held, wired = set(self._held(ident)), self._wired(ident)
            try:
                specs = request.addresses or (AutoAddress(),)
                interfaces = [await self._addresses.obtain(ident, spec) for spec in specs]
                await self._ports.attach(target, interfaces, multicast_route=not request.no_multicast_route)
                self._register(request, interfaces)
            except BaseException:
                await self._unwire(ident, wired)
                self._give_back(ident, [one for one in self._held(ident) if one not in held])
                raise
        return interfaces

    async def detach(self, request: DetachRequest) -> list[IPv4Interface]:
        """Take the addresses asked for; with the last one the interface and the names go."""
        ident = request.container.ident
        async with self._alone(ident):
            attachment = self._find(ident)
            there = list(attachment.addresses) if attachment is not None else self._held(ident)
            if not there:
                await _check_exists(ident)
            leaving = [one for one in there if self._addresses.are_meant(one, request.addresses)]
            if attachment is not None and leaving:
                await self._ports.detach(attachment.container, leaving)
            self._give_back(ident, leaving)
            if set(leaving) >= set(there):
                self._forget(ident)
        return leaving

    async def detach_all(self) -> None:
        """Take every container off, with all that it has."""
        for attachment in list(self._ports.attached()):
            ident = attachment.container.ident
            async with self._alone(ident):
                await self._unwire(ident, ())
                self._give_back(ident, attachment.addresses)
                self._forget(ident)

    def gone(self, attachment: Attachment) -> None:
        """A container ended by itself: what it had is free."""
        ident = attachment.container.ident
        if ident not in self._users and self._find(ident) is None:
            self._bury(ident)

    def reconcile(self) -> None:
        """Hold the addresses of every container that is attached, and free those of the others."""
        attached = {attachment.container.ident: attachment for attachment in self._ports.attached()}
        for ident, attachment in attached.items():
            if ident not in self._users:
                self._adopt(ident, attachment.addresses)
        for ident in self._known():
            if ident not in attached and ident not in self._users:
                self._bury(ident)

    def _wired(self, ident: str) -> tuple[IPv4Interface, ...]:
        attachment = self._find(ident)
        return attachment.addresses if attachment is not None else ()

    async def _unwire(self, ident: str, before: Sequence[IPv4Interface]) -> None:
        """Take from a container what it did not have before; with nothing left it is as never attached."""
        attachment = self._find(ident)
        new = [one for one in self._wired(ident) if one not in before]
        if attachment is None or not new:
            return
        try:
            await self._ports.detach(attachment.container, new)
        except UserError as error:
            log.warning("%s could not be taken off again: %s", ident, error)
        if not before:
            self._forget(ident)

    def _register(self, request: AttachRequest, interfaces: Sequence[IPv4Interface]) -> None:
        self._files.write(request, interfaces)
        if request.without_dns:
            return
        ident, addresses = request.container.ident, [interface.ip for interface in interfaces]
        if request.hostname is not None:
            self._names.add(ident, request.hostname, addresses)
        elif request.container.hostname is not None:
            self._names.add_derived(ident, request.container.hostname, addresses)

    def _name_again(self, attachment: Attachment) -> None:
        ident = attachment.container.ident
        name = self._files.resolving_name(ident)
        if name is not None:
            self._names.add_derived(ident, name, [interface.ip for interface in attachment.addresses])

    def _adopt(self, ident: str, addresses: Iterable[IPv4Interface]) -> None:
        held = self._held(ident)
        for interface in addresses:
            if interface not in held:
                log.info("%s has %s from before: claiming it", ident, interface)
                self._addresses.claim_later(ident, interface)

    def _bury(self, ident: str) -> None:
        freed = self._addresses.release(ident, None)
        log.info("%s is gone; free again: %s", ident, ", ".join(map(str, freed)) or "nothing")
        self._forget(ident)

    def _forget(self, ident: str) -> None:
        self._names.container_gone(ident)
        self._files.remove(ident)

    def _give_back(self, ident: str, interfaces: Iterable[IPv4Interface]) -> None:
        for interface in interfaces:
            self._names.address_gone(ident, interface.ip)
            self._addresses.release(ident, interface.ip)

    def _find(self, ident: str) -> Attachment | None:
        return next((one for one in self._ports.attached() if one.container.ident == ident), None)

    def _held(self, ident: str) -> list[IPv4Interface]:
        return list(self._addresses.held().get(ident, ()))

    def _known(self) -> list[str]:
        """Everything that holds an address or a name here and is a container that we attach."""
        holders = {*self._addresses.held(), *self._names.holders()}
        return sorted(ident for ident in holders if container.is_reference(ident))

    @asynccontextmanager
    async def _alone(self, ident: str) -> AsyncIterator[None]:
        """Nobody else attaches, detaches or buries this container meanwhile."""
        self._users[ident] += 1
        try:
            async with self._busy.setdefault(ident, asyncio.Lock()):
                yield
        finally:
            self._users[ident] -= 1
            if not self._users[ident]:
                del self._users[ident], self._busy[ident]


async def _check_exists(ident: str) -> None:
    """Raise UserError if a container that is not attached is not there either: a mistyped name, perhaps."""
    try:
        await container.find_container(ident, ident)
    except UserError:
        raise UserError(f"{ident} is not attached, and is not there; `tulle ps` lists what is", 404) from None
