"""Names of containers on our networks: what Docker calls them there, at the addresses that they got.

Docker tells a driver nothing of names, so the engine is asked after each event. Names are kept under the
ident of their address and go when it is freed; a refresh makes them what they should be, whatever was missed.
"""

import asyncio
import logging
import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address
from urllib.parse import quote

import msgspec

from tulle.api.daemon import DaemonApi, NameRequest
from tulle.docker.engine import Config, Engine, EngineRefused, EngineUnreachable, Event, Summary
from tulle.docker.plugin.ipam import Ipam
from tulle.errors import StorageError, UserError
from tulle.host.tasks import Tasks

log = logging.getLogger(__name__)

_SHORT_ID = re.compile(r"[0-9a-f]{12}\Z")

AT_ONCE = 8
"""Containers that are looked at together: while the engine starts one, it does not answer for that one."""

SECOND_LOOK = 1.0
"""Seconds after which a container is looked at again for which the engine gave no answer in time."""


class Place(msgspec.Struct, frozen=True, rename="pascal"):
    """A container on one network."""

    endpoint: str = msgspec.field(name="EndpointID", default="")
    address: str = msgspec.field(name="IPAddress", default="")
    aliases: list[str] | None = None


class Places(msgspec.Struct, frozen=True, rename="pascal"):
    """A container on all its networks."""

    networks: dict[str, Place] = msgspec.field(default_factory=dict)


class Inspected(msgspec.Struct, frozen=True, rename="pascal"):
    """What the engine says of a container."""

    name: str
    config: Config = Config()
    network_settings: Places = Places()


class ContainerNames:
    """Has the names of containers known as long as they have an address of ours. A listener of the watch."""

    def __init__(self, engine: Engine, daemon: DaemonApi, ipam: Ipam) -> None:
        self._engine = engine
        self._daemon = daemon
        self._ipam = ipam
        self._waiting: set[str] = set()
        self._busy: set[str] = set()
        self._workers = Tasks()
        self.containers: dict[str, str] = {}
        """Which container Docker gave the address of an ident to; also of idents that hold none any more."""

    def happened(self, event: Event) -> None:
        """A container was connected to a network, or renamed."""
        if event.kind == "network" and event.action == "connect":
            self._look_at([event.actor.attributes.get("container", "")])
        elif event.kind == "container" and event.action == "rename":
            self._look_at([event.actor.id])

    def caught_up(self, containers: Sequence[Summary]) -> None:
        """All containers may have changed meanwhile."""
        self._look_at(one.id for one in containers if one.alive)

    async def mend(self, used: Iterable[IPv4Address]) -> None:
        """Look at containers that use these addresses and have no name: something was missed of them."""
        if self._daemon.dns is None:
            return
        holders = await self._ipam.held()
        nameless = {holders[address] for address in used if address in holders}
        nameless.difference_update(await self._daemon.dns_holders())
        held = set(holders.values())
        self.containers = {ident: one for ident, one in self.containers.items() if ident in held}
        known = nameless & self.containers.keys()
        self._look_at(self.containers[ident] for ident in known)
        if known != nameless:
            try:
                self.caught_up(await self._engine.containers())
            except EngineUnreachable as error:
                log.debug("%d names are missing: %s", len(nameless), error)

    async def stop(self) -> None:
        """Look at nothing more."""
        await self._workers.stop()

    def _look_at(self, containers: Iterable[str]) -> None:
        if self._daemon.dns is None:
            return
        self._waiting.update(filter(None, containers))
        for _ in range(min(len(self._waiting), AT_ONCE - len(self._workers))):
            self._workers.spawn(self._work())

    async def _work(self) -> None:
        """Look at one container after the other; those that change meanwhile come again."""
        while container := next(iter(self._waiting - self._busy), None):
            self._waiting.discard(container)
            self._busy.add(container)
            try:
                await self._register(container)
            except EngineUnreachable as error:
                log.debug("names of %s: %s", container[:12], error)
                await asyncio.sleep(SECOND_LOOK)
                self._waiting.add(container)
            except EngineRefused as error:
                log.debug("names of %s: %s", container[:12], error)
            except (UserError, StorageError) as error:
                log.warning("%s gets no name: %s", container[:12], error)
            finally:
                self._busy.discard(container)

    async def _register(self, container: str) -> None:
        answer = await self._engine.request("GET", f"/containers/{quote(container, safe='')}/json")
        try:
            found = msgspec.json.decode(answer, type=Inspected)
        except msgspec.MsgspecError as error:
            raise UserError(f"Docker's answer cannot be understood: {error}") from None
        holders = await self._ipam.held()
        for place in found.network_settings.networks.values():
            address = IPv4Address(place.address) if place.address else None
            ident = holders.get(address) if address is not None else None
            if ident is not None and address is not None:
                self.containers[ident] = container
                await self._set(ident, address, names_of(found, place))

    async def _set(self, ident: str, address: IPv4Address, names: Sequence[str]) -> None:
        """Have exactly these names at an address."""
        await self._daemon.dns_remove(NameRequest(ident, None, (address,)))
        for name in names:
            try:
                await self._daemon.dns_add(NameRequest(ident, name, (address,)))
            except UserError as error:
                log.info("the container %s is not called %s in DNS: %s", names[0], name, error)


def names_of(found: Inspected, place: Place) -> list[str]:
    """What a container is called: its name, its aliases on the network, and a host name somebody chose."""
    names = [found.name.lstrip("/")]
    names += [alias for alias in place.aliases or () if not _SHORT_ID.match(alias)]
    if found.config.hostname and not _SHORT_ID.match(found.config.hostname):
        domain = found.config.domainname
        names.append(f"{found.config.hostname}.{domain}" if domain else found.config.hostname)
    return list(dict.fromkeys(names))
