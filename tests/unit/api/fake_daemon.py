"""A daemon that remembers what it was asked and answers what the test wants."""

import asyncio
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from api.reports import recorded
from tulle.api.addresses import AddressSpec
from tulle.api.containers import parse_container
from tulle.api.daemon import (
    AttachRequest,
    DetachRequest,
    DnsService,
    ExposeRequest,
    NameRequest,
    Takeover,
)
from tulle.api.report import Report

SUBNET = IPv4Network("10.32.0.0/12")


class FakeDaemon:
    """Implements DaemonApi. ``calls`` is what it was asked; ``error`` is raised by whatever is asked next.

    With ``hold`` set, every request waits for it. ``asked`` and ``cancelled`` tell that a request came and
    that one was given up.
    """

    def __init__(self) -> None:
        self.ready = True
        self.default_subnet: IPv4Network | None = SUBNET
        self.dns: DnsService | None = DnsService("weave.local.", IPv4Address("10.99.0.2"), 53)
        self.current: Report = recorded("three-peers")
        self.proxy_addresses: Sequence[str] = ("unix:///run/tulle/proxy.sock", "tcp://0.0.0.0:12375")
        self.calls: list[tuple[Any, ...]] = []
        self.error: BaseException | None = None
        self.hold: asyncio.Event | None = None
        self.asked = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.addresses = [IPv4Interface("10.32.0.1/12")]

    async def _asked(self, *call: Any) -> None:
        self.calls.append(call)
        self.asked.set()
        if self.error is not None:
            raise self.error
        if self.hold is not None:
            try:
                await self.hold.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise

    async def report(self) -> Report:
        if self.error is not None:
            raise self.error
        return self.current

    async def connect(self, peers: Sequence[str], replace: bool) -> None:
        await self._asked("connect", list(peers), replace)

    async def forget(self, peers: Sequence[str]) -> None:
        await self._asked("forget", list(peers))

    async def allocate(self, ident: str, subnet: IPv4Network, check_alive: bool) -> IPv4Interface:
        await self._asked("allocate", ident, subnet, check_alive)
        return self.addresses[0]

    async def lookup(self, ident: str, subnet: IPv4Network | None) -> list[IPv4Interface]:
        await self._asked("lookup", ident, subnet)
        return self.addresses

    async def claim(
        self, ident: str, interface: IPv4Interface, check_alive: bool, no_error_on_unknown: bool
    ) -> None:
        await self._asked("claim", ident, interface, check_alive, no_error_on_unknown)

    async def release(self, ident: str, address: IPv4Address | None) -> list[IPv4Interface]:
        await self._asked("release", ident, address)
        return self.addresses

    async def held(self) -> Mapping[str, Sequence[IPv4Interface]]:
        await self._asked("held")
        return {"netns:web": self.addresses, "c2": []}

    async def prime(self) -> None:
        await self._asked("prime")

    async def takeover(self, peer: str, force: bool) -> Takeover:
        await self._asked("takeover", peer, force)
        return Takeover(262143, ("02:00:00:00:00:09(h9)",) if peer == "partly" else ())

    async def leave(self, force: bool) -> None:
        await self._asked("leave", force)

    async def identify(self, container: str) -> str:
        return parse_container(container).ident

    async def attach(self, request: AttachRequest) -> list[IPv4Interface]:
        await self._asked("attach", request)
        return self.addresses

    async def detach(self, request: DetachRequest) -> list[IPv4Interface]:
        await self._asked("detach", request)
        return self.addresses

    async def expose(self, request: ExposeRequest) -> list[IPv4Interface]:
        await self._asked("expose", request)
        return self.addresses

    async def hide(self, addresses: tuple[AddressSpec, ...]) -> list[IPv4Interface]:
        await self._asked("hide", addresses)
        return self.addresses

    async def dns_add(self, request: NameRequest) -> None:
        await self._asked("dns_add", request)

    async def dns_remove(self, request: NameRequest) -> int:
        await self._asked("dns_remove", request)
        return 2

    async def dns_holders(self) -> list[str]:
        await self._asked("dns_holders")
        return ["docker:0"]

    async def dns_lookup(self, name: str) -> list[IPv4Address]:
        await self._asked("dns_lookup", name)
        return [IPv4Address("10.32.0.1"), IPv4Address("10.44.0.1")] if name == "web" else []

    async def stop(self) -> None:
        await self._asked("stop")

    async def reset(self, force: bool) -> None:
        await self._asked("reset", force)
