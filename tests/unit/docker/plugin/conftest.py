"""The plugin without Docker and without a kernel: a daemon that only keeps addresses, and its calls."""

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

import msgspec
import pytest

from tulle.api.daemon import DnsService, NameRequest
from tulle.docker.plugin import messages
from tulle.docker.plugin.driver import Driver, Wire
from tulle.docker.plugin.ipam import Ipam
from tulle.docker.plugin.networks import Networks
from tulle.docker.plugin.server import calls
from tulle.errors import UserError
from tulle.host import endpoints
from tulle.host.endpoints import Endpoint
from tulle.host.routed import Routed

WHOLE = IPv4Network("10.32.0.0/12")
DEFAULT = IPv4Network("10.32.0.0/16")
RESOLVER = IPv4Address("169.254.53.53")


@dataclass
class Addresses:
    """As much of a daemon as the IPAM driver needs; ``elsewhere`` is in use on other hosts."""

    default_subnet: IPv4Network | None = DEFAULT
    dns: DnsService | None = None
    elsewhere: set[IPv4Address] = field(default_factory=set)
    holders: dict[str, list[IPv4Interface]] = field(default_factory=dict)
    names_removed: list[NameRequest] = field(default_factory=list)

    async def allocate(self, ident: str, subnet: IPv4Network, check_alive: bool) -> IPv4Interface:
        taken = self.elsewhere | {one.ip for held in self.holders.values() for one in held}
        free = next(address for address in subnet.hosts() if address not in taken)
        return self._give(ident, IPv4Interface((free, subnet.prefixlen)))

    async def claim(self, ident: str, interface: IPv4Interface, *_flags: bool) -> None:
        taken = self.elsewhere | {one.ip for held in self.holders.values() for one in held}
        if interface.ip in taken:
            raise UserError(f"{interface.ip} is in use", 409)
        self._give(ident, interface)

    async def adopt(self, ident: str, interface: IPv4Interface) -> None:
        await self.claim(ident, interface)

    async def release(self, ident: str, address: IPv4Address | None) -> list[IPv4Interface]:
        return self.holders.pop(ident, [])

    async def held(self) -> dict[str, list[IPv4Interface]]:
        return self.holders

    async def dns_remove(self, request: NameRequest) -> int:
        self.names_removed.append(request)
        return 1

    def _give(self, ident: str, interface: IPv4Interface) -> IPv4Interface:
        self.holders.setdefault(ident, []).append(interface)
        return interface

    @property
    def addresses(self) -> set[str]:
        return {str(one.ip) for held in self.holders.values() for one in held}


class Records:
    """A store that remembers, for a second life."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def commit(self, changes: Any) -> None:
        for change in changes:
            if change.value is None:
                self.kept.pop(change.key, None)
            else:
                self.kept[change.key] = change


@dataclass
class Links:
    """The kernel's side: which endpoints have a pair."""

    made: dict[str, Endpoint] = field(default_factory=dict)
    mtus: dict[str, int] = field(default_factory=dict)
    retired: list[str] = field(default_factory=list)
    broken: bool = False

    async def create(self, endpoint: Endpoint, mtu: int) -> int:
        if self.broken:
            raise UserError("there is no bridge", 503)
        self.made[endpoint.ident] = endpoint
        self.mtus[endpoint.ident] = mtu
        return 1

    async def describe(self, endpoint: Endpoint) -> None:
        self.made[endpoint.ident] = endpoint

    async def retire(self, endpoint: Endpoint) -> None:
        self.retired.append(endpoint.ident)

    async def remove(self, ident: str) -> None:
        self.made.pop(ident, None)


class Docker:
    """What Docker would call; ``scope`` is the driver's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.daemon = Addresses()
        self.records = Records()
        self.links = Links()
        for name in ("create", "describe", "retire", "remove"):
            monkeypatch.setattr(endpoints, name, getattr(self.links, name))
        self.announced: list[Endpoint] = []
        self.routed = Routed()
        self.no_firewall = False
        self.begin()

    def begin(self, scope: str = "local") -> None:
        """A first or another life of the plugin."""
        self.networks = Networks(self.records, self.records.kept.values(), self.daemon.default_subnet)
        self.ipam = Ipam(self.daemon, WHOLE)  # type: ignore[arg-type]
        wire = Wire("tulle", "tulle", 1376, RESOLVER)
        self.driver = Driver(self.networks, self.ipam, wire, self.announced.append, scope, self.route)
        self.table = calls(self.driver, self.ipam)

    async def route(self, routed: Routed) -> None:
        """As the firewall would do it."""
        if self.no_firewall:
            raise UserError("there is no nft")
        self.routed = routed

    async def call(self, name: str, **body: object) -> dict[str, Any]:
        """One call; raises UserError where Docker would get an error."""
        kind, handler = self.table[name]
        return await handler(messages.decode(msgspec.json.encode(body), kind))

    async def network(self, ident: str, subnet: str = "", gateway: str | None = None, **options: Any) -> str:
        """``network create`` with our IPAM driver, as Docker goes about it: the pool's id."""
        pool = await self.call("IpamDriver.RequestPool", AddressSpace="TulleLocal", Pool=subnet)
        taken = pool["Data"]["com.docker.network.gateway"]
        if gateway is not None:
            kind = {"RequestAddressType": "com.docker.network.gateway"}
            answer = await self.call(
                "IpamDriver.RequestAddress", PoolID=pool["PoolID"], Address=gateway, Options=kind
            )
            taken = answer["Address"]
        data = [{"AddressSpace": "TulleLocal", "Pool": pool["Pool"], "Gateway": taken}]
        await self.call("NetworkDriver.CreateNetwork", NetworkID=ident, Options=options, IPv4Data=data)
        return str(pool["PoolID"])

    async def endpoint(
        self, network: str, ident: str, address: str, sandbox: str = "", **options: Any
    ) -> dict[str, Any]:
        """An endpoint with that address; joined if a sandbox is given: the answer to the join."""
        given = {"Address": address, "MacAddress": ""}
        await self.call("NetworkDriver.CreateEndpoint", NetworkID=network, EndpointID=ident, Interface=given)
        if not sandbox:
            return {}
        words = {"NetworkID": network, "EndpointID": ident, "SandboxKey": sandbox}
        return await self.call("NetworkDriver.Join", **words, Options=options)


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> Docker:
    return Docker(monkeypatch)


Refused = Callable[[str], Any]


@pytest.fixture
def refused() -> Refused:
    """``with refused("text"):`` - an error that says so."""
    return lambda text: pytest.raises(UserError, match=text)
