"""Containers on this host: attaching, detaching, and noticing that one is gone.

The kernel knows which containers are attached, the allocator which addresses they hold, the nameserver
what they are called. There is no fourth list: ``reconcile`` makes the three agree, at start and now and then,
and a container's death is noticed at once.

Containers of an engine can come back under the same id. When they end they lose their names, and what becomes
of their addresses is left to somebody who asks the engine (``docker.keeper``).
"""

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv4Interface

from tulle.api.addresses import AddressSpec, AutoAddress
from tulle.api.containers import is_engine_id
from tulle.api.daemon import AttachRequest, DetachRequest
from tulle.daemon.addresses import Addresses
from tulle.daemon.files import ContainerFiles
from tulle.daemon.names import Names
from tulle.daemon.turns import Turns
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
        self._turns = Turns()
        self._died_in_use: set[str] = set()
        self.on_engine_death: Callable[[str], None] = lambda ident: None
        """Called for each container of an engine whose interface went by itself, and whose names will."""

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
            target = await container.find_container(request.container.reference, ident)
            held, wired = set(self._held(ident)), self.addresses_of(ident)
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
            attachment = self.find(ident)
            there = list(attachment.addresses) if attachment is not None else self._held(ident)
            if not there and not is_engine_id(ident):
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
        if self._turns.taken(ident):
            self._died_in_use.add(ident)
        elif self.find(ident) is None:
            self._mourn(ident)

    def _mourn(self, ident: str) -> None:
        if is_engine_id(ident):
            self.on_engine_death(ident)
            self._forget(ident)
        else:
            self._bury(ident)

    def reconcile(self) -> None:
        """Hold the addresses of every container that is attached, and free those of the others."""
        attached = {attachment.container.ident: attachment for attachment in self._ports.attached()}
        for ident, attachment in attached.items():
            if not self._turns.taken(ident):
                self._adopt(ident, attachment.addresses)
        for ident in self._known():
            if ident not in attached and not self._turns.taken(ident):
                self._bury(ident)

    async def end(self, ident: str, *, free: bool) -> None:
        """Take off a container of an engine that does not run any more, and ``free`` its addresses or not."""
        async with self._alone(ident):
            attachment = self.find(ident)
            if attachment is not None:
                await self._ports.remove(attachment)
            if free and self._addresses.held().get(ident):
                self._bury(ident)
            else:
                self._forget(ident)

    async def cut_back(self, ident: str, addresses: Sequence[IPv4Interface]) -> None:
        """Leave a container nothing but these addresses of those it has."""
        async with self._alone(ident):
            await self._unwire(ident, addresses)
            self._give_back(ident, [one for one in self._held(ident) if one not in addresses])

    def rename(self, ident: str, former: str | None, name: str | None) -> None:
        """Give a container another name than the one it had by itself."""
        if former is not None:
            self._names.remove_derived(ident, former)
        if name is not None:
            self._names.add_derived(ident, name, [one.ip for one in self.addresses_of(ident)])

    def names_of(self, ident: str) -> list[tuple[str, IPv4Address]]:
        """Each name of a container, at each of its addresses."""
        return self._names.records_of(ident)

    def name_again(self, ident: str, records: Iterable[tuple[str, IPv4Address]]) -> None:
        """Give a container names that it had, at those addresses that it has again."""
        there = {one.ip for one in self.addresses_of(ident)}
        for name, address in records:
            if address in there:
                self._names.add_derived(ident, name, [address])

    def engine_idents(self) -> set[str]:
        """The containers of engines that have anything here: interface, addresses or names."""
        attached = {attachment.container.ident for attachment in self._ports.attached()}
        return set(filter(is_engine_id, {*attached, *self._addresses.held(), *self._names.holders()}))

    def are_meant(self, interface: IPv4Interface, specs: Sequence[AddressSpec]) -> bool:
        """Whether a user who wrote ``specs`` means this address."""
        return self._addresses.are_meant(interface, specs)

    def addresses_of(self, ident: str) -> tuple[IPv4Interface, ...]:
        """What is on a container's interface."""
        attachment = self.find(ident)
        return attachment.addresses if attachment is not None else ()

    async def _unwire(self, ident: str, before: Sequence[IPv4Interface]) -> None:
        """Take from a container what it did not have before; with nothing left it is as never attached."""
        attachment = self.find(ident)
        new = [one for one in self.addresses_of(ident) if one not in before]
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

    def find(self, ident: str) -> Attachment | None:
        """A container's attachment, None if it has none."""
        return next((one for one in self._ports.attached() if one.container.ident == ident), None)

    def _held(self, ident: str) -> list[IPv4Interface]:
        return list(self._addresses.held().get(ident, ()))

    def _known(self) -> list[str]:
        """Everything that holds an address or a name here and is a container that we attach."""
        holders = {*self._addresses.held(), *self._names.holders()}
        return sorted(ident for ident in holders if container.is_reference(ident))

    @asynccontextmanager
    async def _alone(self, ident: str) -> AsyncIterator[None]:
        """Nobody else attaches, detaches or buries this container meanwhile; if it dies, then afterwards."""
        try:
            async with self._turns.of(ident):
                yield
        finally:
            if ident in self._died_in_use and not self._turns.taken(ident):
                self._died_in_use.discard(ident)
                if self.find(ident) is None:
                    self._mourn(ident)


async def _check_exists(ident: str) -> None:
    """Raise UserError if a container that is not attached is not there either: a mistyped name, perhaps."""
    try:
        await container.find_container(ident, ident)
    except UserError:
        raise UserError(f"{ident} is not attached, and is not there; `tulle ps` lists what is", 404) from None
