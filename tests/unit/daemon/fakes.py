"""What ``Containers`` works with, in memory."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from tulle.api.addresses import AddressSpec, AutoAddress, ManualAddress
from tulle.api.daemon import AttachRequest
from tulle.errors import UserError
from tulle.host.attachments import Attachment
from tulle.host.container import Container

DEFAULT = IPv4Network("10.40.0.0/16")


class FakeAddresses:
    """Hands out 10.40.0.1, .2, ... and holds them; ``wait`` stands for an allocation that takes its time."""

    def __init__(self) -> None:
        self.holding: dict[str, list[IPv4Interface]] = defaultdict(list)
        self.claimed: list[tuple[str, IPv4Interface]] = []
        self.refusal: UserError | None = None
        self.wait: asyncio.Event | None = None
        self._count = 0

    async def obtain(self, ident: str, spec: AddressSpec) -> IPv4Interface:
        if self.wait is not None:
            await self.wait.wait()
        if self.refusal is not None:
            raise self.refusal
        if isinstance(spec, ManualAddress):
            found = spec.interface
        else:
            subnet = spec.subnet or DEFAULT
            there = [one for one in self.holding[ident] if one.ip in subnet]
            if there:
                return there[0]
            self._count += 1
            found = IPv4Interface((subnet.network_address + self._count, subnet.prefixlen))
        self.holding[ident].append(found)
        return found

    def are_meant(self, interface: IPv4Interface, specs: Sequence[AddressSpec]) -> bool:
        for spec in specs or (AutoAddress(),):
            if isinstance(spec, ManualAddress):
                if interface == spec.interface:
                    return True
            elif interface.ip in (spec.subnet or DEFAULT):
                return True
        return False

    def release(self, ident: str, address: IPv4Address | None) -> list[IPv4Interface]:
        freed = [one for one in self.holding[ident] if address in (None, one.ip)]
        self.holding[ident] = [one for one in self.holding[ident] if one not in freed]
        return freed

    def held(self) -> Mapping[str, Sequence[IPv4Interface]]:
        return {ident: addresses for ident, addresses in self.holding.items() if addresses}

    def claim_later(self, ident: str, interface: IPv4Interface) -> None:
        self.claimed.append((ident, interface))


class FakeNames:
    """Names by container."""

    def __init__(self) -> None:
        self.known: dict[str, set[tuple[str, IPv4Address]]] = defaultdict(set)
        self.refusal: Exception | None = None

    def add(self, container: str, hostname: str, addresses: Sequence[IPv4Address]) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.known[container] |= {(hostname, address) for address in addresses}

    add_derived = add

    def records_of(self, container: str) -> list[tuple[str, IPv4Address]]:
        return list(self.known[container])

    def remove_derived(self, container: str, hostname: str) -> None:
        self.known[container] = {one for one in self.known[container] if one[0] != hostname}

    def address_gone(self, container: str, address: IPv4Address) -> None:
        self.known[container] = {one for one in self.known[container] if one[1] != address}

    def container_gone(self, container: str) -> None:
        self.known.pop(container, None)

    def holders(self) -> Collection[str]:
        return [container for container, names in self.known.items() if names]


class FakePorts:
    """Attachments by namespace; ``refusal`` is what the kernel says to the next attach."""

    def __init__(self) -> None:
        self.there: dict[str, Attachment] = {}
        self.refusal: Exception | None = None
        self.routes: list[bool | None] = []

    async def start(self) -> None:
        pass

    def attached(self) -> list[Attachment]:
        return list(self.there.values())

    def put(self, ident: str, *addresses: str) -> Attachment:
        interfaces = tuple(map(IPv4Interface, addresses))
        container = Container(ident, f"ns-{ident}", ident)
        made = Attachment(
            container, len(self.there) + 5, f"tl{ident}", "tulle0", "02:00:00:00:00:01", interfaces
        )
        self.there[ident] = made
        return made

    async def attach(
        self, container: Container, addresses: Sequence[IPv4Interface], *, multicast_route: bool | None = None
    ) -> Attachment:
        if self.refusal is not None:
            raise self.refusal
        self.routes.append(multicast_route)
        before = self.there[container.ident].addresses if container.ident in self.there else ()
        return self.put(container.ident, *map(str, dict.fromkeys([*before, *addresses])))

    async def detach(
        self, container: Container, addresses: Sequence[IPv4Interface] | None
    ) -> tuple[IPv4Interface, ...]:
        there = self.there.pop(container.ident)
        left = [one for one in there.addresses if one not in (addresses or ())]
        if left:
            self.put(container.ident, *map(str, left))
        return tuple(addresses or ())

    async def remove(self, attachment: Attachment) -> None:
        del self.there[attachment.container.ident]


class FakeFiles:
    """Which containers have files of ours."""

    def __init__(self) -> None:
        self.written: dict[str, AttachRequest] = {}
        self.renewed: list[str] = []

    def write(self, request: AttachRequest, addresses: Sequence[IPv4Interface]) -> None:
        self.written[request.container.ident] = request

    def renew(self, ident: str) -> None:
        self.renewed.append(ident)

    def remove(self, ident: str) -> None:
        self.written.pop(ident, None)
