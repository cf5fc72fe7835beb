"""The containers on this host's bridge, over their life: joined, announced, watched, taken off."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from ipaddress import IPv4Interface
from typing import Any, TypeVar

from tulle.errors import UserError
from tulle.host import veth
from tulle.host.attachments import Attachment, list_attached, list_strays, remove_attachment, remove_stray
from tulle.host.container import Container
from tulle.host.monitor import Monitor, still_there
from tulle.host.neighbours import Announcer
from tulle.host.veth import Wiring

Result = TypeVar("Result")

log = logging.getLogger(__name__)


class Ports:
    """All attachments of one bridge. ``on_gone`` is called for each whose container went by itself."""

    def __init__(self, wiring: Wiring, on_gone: Callable[[Attachment], None]) -> None:
        self._wiring = wiring
        self._monitor = Monitor(on_gone)
        self._announcer: Announcer | None = None
        self._turn = asyncio.Lock()

    async def start(self) -> list[Attachment]:
        """Begin to watch, and answer what is attached already, from an earlier life of the daemon."""
        self._announcer = Announcer(self._wiring.bridge)
        self._monitor.start()
        await self._collect_strays()
        found = await list_attached(self._wiring.bridge)
        for attachment in found:
            self._monitor.watch(attachment)
        return found

    def stop(self) -> None:
        """Stop watching. Containers stay attached and go on talking."""
        self._monitor.stop()
        if self._announcer is not None:
            self._announcer.close()
            self._announcer = None

    async def attach(
        self, container: Container, addresses: Sequence[IPv4Interface], *, multicast_route: bool | None = None
    ) -> Attachment:
        """As ``veth.attach``, then announced and watched. ``multicast_route`` None: as it is by default."""
        wiring = self._wiring
        if multicast_route is not None:
            wiring = replace(wiring, multicast_route=multicast_route)
        return await _to_its_end(self._attach(container, addresses, wiring))

    async def detach(
        self, container: Container, addresses: Sequence[IPv4Interface] | None
    ) -> tuple[IPv4Interface, ...]:
        """As ``veth.detach``; an attachment that ends so is not reported as gone."""
        return await _to_its_end(self._detach(container, addresses))

    def attached(self) -> list[Attachment]:
        """What is attached, oldest first, without asking the kernel."""
        return self._monitor.watched()

    async def remove_all(self) -> None:
        """Take every container off the bridge, also those that joined under another interface name."""
        async with self._turn:
            for attachment in await list_attached(self._wiring.bridge):
                self._monitor.forget(attachment.host_index)
                await remove_attachment(attachment)

    async def remove(self, attachment: Attachment) -> None:
        """Take a container off the bridge whose namespace cannot be entered, because its process is gone."""
        async with self._turn:
            self._monitor.forget(attachment.host_index)
            await remove_attachment(attachment)

    async def use_superframes(self, size: int) -> None:
        """Have containers make packets, to be cut later, of up to so many bytes; on connections to come."""
        if self._wiring.superframe == size:
            return
        self._wiring = replace(self._wiring, superframe=size)
        for error in await self.join_again():
            log.info("packets of another size: %s", error)

    async def join_again(self) -> list[UserError]:
        """Renew what each container knows of the bridge, which is new or has changed; answers what failed."""
        failed = []
        for attachment in self.attached():
            try:
                await self.attach(attachment.container, [], multicast_route=False)
            except UserError as error:
                failed.append(error)
        return failed

    async def _collect_strays(self) -> None:
        """Join containers whose bridge was removed while no daemon ran, and undo half-made attachments."""
        strays = await list_strays()
        for name in strays.unfinished:
            await remove_stray(name)
        for container, interface in strays.unbridged:
            wiring = replace(self._wiring, interface=interface, multicast_route=False)
            with contextlib.suppress(UserError):  # it has gone, with its interface
                await veth.attach(container, [], wiring)

    async def _attach(
        self, container: Container, addresses: Sequence[IPv4Interface], wiring: Wiring
    ) -> Attachment:
        async with self._turn:
            known = self._attached_to(container)
            if known:  # perhaps under the name that another life of the daemon gave its interface
                wiring = replace(wiring, interface=known[0].interface)
            attachment = await veth.attach(container, addresses, wiring)
            if self._announcer is not None:
                ips = [address.ip for address in addresses]
                self._announcer.announce(ips, attachment.mac, attachment.host_index)
            self._monitor.watch(attachment)
        return attachment

    async def _detach(
        self, container: Container, addresses: Sequence[IPv4Interface] | None
    ) -> tuple[IPv4Interface, ...]:
        async with self._turn:
            ours = self._attached_to(container)
            for attachment in ours:
                self._monitor.forget(attachment.host_index)
            interface = ours[0].interface if ours else self._wiring.interface
            removed = await veth.detach(container, addresses, replace(self._wiring, interface=interface))
            for attachment in ours:
                if still_there(attachment):
                    kept = tuple(one for one in attachment.addresses if one not in removed)
                    self._monitor.watch(replace(attachment, addresses=kept))
        return removed

    def _attached_to(self, container: Container) -> list[Attachment]:
        return [one for one in self.attached() if one.container.namespace == container.namespace]


async def _to_its_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Await ``work``, which goes on to its end even if the caller is cancelled.

    What has begun in the kernel cannot be called back, and must end up among the watched.
    """
    return await asyncio.shield(asyncio.ensure_future(work))
