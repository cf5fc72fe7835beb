"""Keeps containers of Docker's as attached as they should be, through their and the engine's ups and downs.

Everything here goes by how things are, never by what was heard: an event, an interface that disappeared, a
list, a clock, all lead to a look, which asks the engine about one container and makes addresses, names
and interface agree with the answer. So it does no harm that events are lost, late, or told twice.

A container that ends loses its names at once and its addresses GRACE later, unless it runs again by then or
its restart policy is about to start it. What it had is remembered until the engine forgets the container.
"""

import asyncio
import logging
import time
from dataclasses import replace
from ipaddress import IPv4Interface

from msgspec import structs

from tulle.api.containers import ContainerRef
from tulle.api.daemon import AttachRequest, DetachRequest, RequestCancelled
from tulle.daemon.addresses import while_alive
from tulle.daemon.containers import Containers
from tulle.daemon.turns import Turns
from tulle.docker.engine import Engine, EngineUnreachable, Inspected
from tulle.docker.finding import Finder
from tulle.docker.hosts import tell_hosts
from tulle.docker.looks import Looks
from tulle.docker.records import Membership, Memberships
from tulle.errors import StorageError, UserError
from tulle.host import container

log = logging.getLogger(__name__)

GRACE = 0.5
"""Seconds in which a container may start again and find its addresses still its own."""

AT_ONCE = 16
"""Containers that the engine is asked about at the same time."""


class Keeper:
    """Attach and detach for containers of an engine, and their upkeep: ``looks`` is what has it done."""

    def __init__(self, finder: Finder, containers: Containers, memberships: Memberships) -> None:
        self._finder = finder
        self._containers = containers
        self._memberships = memberships
        self._turns = Turns()
        self._few = asyncio.Semaphore(AT_ONCE)
        self._ended: dict[str, float] = {}
        """When containers were first seen not to run, on the monotonic clock."""
        self.looks = Looks(self._turns, self.concerned, self._settle)

    # -- what users ask --------------------------------------------------------------------------------------

    async def attach(self, request: AttachRequest) -> list[IPv4Interface]:
        """As ``Containers.attach``, and the container will get back what it has whenever it starts."""
        ident = (await self._finder.running(request.container.ident)).ident
        async with self._turns.of(ident):
            found = await self._finder.inspect(ident)
            if found is None or not await self._restore(found):
                raise UserError(f"{request.container.ident} has just ended; nothing was attached", 404)
            return await self._attach(found, replace(request, container=self._finder.reference(found)))

    async def detach(self, request: DetachRequest) -> list[IPv4Interface]:
        """As ``Containers.detach``, and the container will come back without these addresses."""
        ident = await self._finder.identify(request.container.ident)
        async with self._turns.of(ident):
            before = self._memberships.get(ident) or Membership()
            leaving = [one for one in before.addresses if self._containers.are_meant(one, request.addresses)]
            after = before.without(leaving)
            self._memberships.put(ident, after.begun())
            try:
                freed = await self._containers.detach(
                    replace(request, container=ContainerRef(ident, "", None))
                )
            except BaseException:
                self.looks.at(ident)
                raise
            self._finish(ident, after)
        return freed or leaving

    async def identify(self, text: str) -> str:
        """The full id of a container. Raises UserError."""
        return await self._finder.identify(text)

    async def name_of(self, ident: str) -> str:
        """What a container is called by itself. Raises UserError."""
        found = await self._finder.inspect(ident)
        name = self._finder.name_of(found) if found is not None else None
        if name is None:
            raise UserError(f"{ident[:12]} has no name of its own in our domain; give one with -h")
        return name

    async def runs(self, ident: str) -> bool:
        """Whether a container runs; an engine that is away is no reason to doubt it."""
        try:
            found = await self._finder.inspect(ident)
        except UserError:
            return True
        return found is not None and found.state.pid != 0

    def forget_all(self) -> None:
        """Let no container come back by itself."""
        for ident in self._memberships.idents():
            self._memberships.drop(ident)

    # -- what happens ----------------------------------------------------------------------------------------

    def interface_gone(self, ident: str) -> None:
        """A container has lost its interface, most likely because it has ended."""
        self._saw_end(ident)
        self.looks.at(ident)

    def _saw_end(self, ident: str) -> None:
        """At the first sign that a container has ended it still has all its names: they are written down.

        It has none left when an earlier life of the daemon has seen the end.
        """
        if ident in self._ended:
            return
        self._ended[ident] = time.monotonic()
        member, names = self._memberships.get(ident), self._containers.names_of(ident)
        if member is not None and names:
            aliases = tuple(record for record in names if record[0] != member.derived)
            try:
                self._memberships.put(ident, structs.replace(member, aliases=aliases))
            except StorageError as error:
                log.error("the names of %s will not come back with it: %s", ident[:12], error)

    def concerned(self) -> set[str]:
        """The containers that have something here, or should have."""
        return {*self._memberships.idents(), *self._containers.engine_idents()}

    # -- making it so ----------------------------------------------------------------------------------------

    async def _settle(self, ident: str) -> None:
        try:
            async with self._few:
                found = await self._finder.inspect(ident)
        except EngineUnreachable:
            await self._settle_alone(ident)
            return
        if found is None:
            await self._containers.end(ident, free=True)
            self._memberships.drop(ident)
            self._ended.pop(ident, None)
        elif found.state.pid:
            await self._restore(found)
        else:
            await self._end(ident, coming_back=found.state.restarting)

    async def _settle_alone(self, ident: str) -> None:
        """Nobody to ask. A container that was not attached may be one that has not been started again yet."""
        attachment = self._containers.find(ident)
        if attachment is None and ident not in self._ended:
            return
        if attachment is None or not await container.exists(attachment.container):
            await self._end(ident, coming_back=False)

    async def _end(self, ident: str, coming_back: bool) -> None:
        """A container does not run: no interface, no name, and before long no address."""
        if ident not in self._containers.engine_idents():
            return
        self._saw_end(ident)
        await self._containers.end(ident, free=False)
        left = self._ended[ident] + GRACE - time.monotonic()
        if coming_back:
            return
        if left > 0:
            self.looks.later(ident, left)
        else:
            await self._containers.end(ident, free=True)
            del self._ended[ident]

    async def _restore(self, found: Inspected) -> bool:
        """A container runs: it gets what it should have. False if it has just ended."""
        there = await self._finder.namespace_of(found)
        if there is None:
            return False
        attachment = self._containers.find(found.id)
        from_before = attachment is not None and attachment.container.namespace != there.namespace
        if from_before or (attachment is None and self._memberships.get(found.id) is not None):
            self._saw_end(found.id)
            await self._containers.end(found.id, free=False)
            attachment = None
        self._ended.pop(found.id, None)
        member = self._memberships.get(found.id)
        if member is not None and member.unfinished:
            member = await self._undo(found.id, member)
            attachment = self._containers.find(found.id)
        if attachment is not None:
            self._keep_name(found, member or Membership(addresses=attachment.addresses))
        elif member is not None:
            await self._attach_again(found, member)
        return True

    async def _undo(self, ident: str, member: Membership) -> Membership | None:
        """A change was broken off: go back to how it was before."""
        await self._containers.cut_back(ident, member.addresses)
        self._finish(ident, member)
        return self._memberships.get(ident)

    def _keep_name(self, found: Inspected, member: Membership) -> None:
        name = self._finder.name_of(found)
        if member.hostname is None and not member.without_dns and name != member.derived:
            self._containers.rename(found.id, member.derived, name)
        self._memberships.put(found.id, structs.replace(member, derived=name))

    async def _attach_again(self, found: Inspected, member: Membership) -> None:
        request = AttachRequest(
            self._finder.reference(found),
            member.specs(same=True),
            hostname=member.hostname,
            without_dns=member.without_dns,
            rewrite_hosts=member.rewrite_hosts,
            no_multicast_route=member.no_multicast_route,
            extra_hosts=member.extra_hosts,
        )
        try:
            await self._attach(found, request)
        except RequestCancelled:
            return
        except UserError as error:
            log.warning("%s cannot have the addresses from before: %s", found.id[:12], error)
            await self._attach(found, replace(request, addresses=member.specs(same=False)))
        self._containers.name_again(found.id, member.aliases)
        log.info("%s runs again, and is attached as before", found.id[:12])

    async def _attach(self, found: Inspected, request: AttachRequest) -> list[IPv4Interface]:
        """Attach, with the intention on disk before and the outcome after."""
        ref = request.container
        before = self._memberships.get(ref.ident) or Membership()
        self._memberships.put(ref.ident, before.begun())
        try:
            interfaces = await while_alive(ref.netns_path, self._containers.attach(request))
        except BaseException:
            self._finish(ref.ident, before)
            raise
        self._finish(ref.ident, before.after(request, self._containers.addresses_of(ref.ident)))
        tell_hosts(found, request, interfaces)
        return interfaces

    def _finish(self, ident: str, member: Membership) -> None:
        """A change is over. If that cannot be written down, it will be undone."""
        try:
            if member.addresses:
                self._memberships.put(ident, structs.replace(member, unfinished=False))
            else:
                self._memberships.drop(ident)
        except StorageError:
            self.looks.at(ident)
            raise


def make_keeper(engine: Engine, containers: Containers, domain: str, memberships: Memberships) -> Keeper:
    """The keeper of the containers of one engine, told by ``containers`` of those that end."""
    finder = Finder(engine, domain)
    keeper = Keeper(finder, containers, memberships)
    finder.known = keeper.concerned
    containers.on_engine_death = keeper.interface_gone
    return keeper
