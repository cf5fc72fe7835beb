"""Docker's network driver: networks, and containers' places on them (endpoints).

An endpoint is a veth pair whose outer end is a port of tulle's bridge, like that of ``tulle attach``. Docker
moves the other end into the container, and gives it the address.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Any

from tulle.docker.plugin import messages
from tulle.docker.plugin.background import Background
from tulle.docker.plugin.ipam import Ipam
from tulle.docker.plugin.messages import (
    EndpointNote,
    EndpointRequest,
    NetworkRemoval,
    NetworkRequest,
    Nothing,
)
from tulle.docker.plugin.networks import Network, Networks, make_network
from tulle.errors import UserError
from tulle.host import endpoints
from tulle.host.endpoints import Endpoint
from tulle.host.routed import Routed

log = logging.getLogger(__name__)

Answer = dict[str, Any]
BY_GATEWAY, CONNECTED = 0, 1
"""Kinds of routes: by the next hop, or directly to an interface."""

_MULTICAST = "224.0.0.0/4"


@dataclass(frozen=True, slots=True)
class Wire:
    """How containers are joined to the network.

    ``prefix`` is what their interfaces are called, before a number; ``resolver`` where they find the DNS
    server of this host. ``multicast``: it goes into the network, unless a network is told otherwise.
    """

    bridge: str
    prefix: str
    mtu: int
    resolver: IPv4Address | None
    multicast: bool = True


class Driver:
    """The handlers of the driver. ``announce`` tells the network who has an address now.

    ``route`` has the host be the gateway of networks; None where containers need another way out.
    """

    def __init__(
        self,
        networks: Networks,
        ipam: Ipam,
        wire: Wire,
        announce: Callable[[Endpoint], None],
        scope: str = "local",
        route: Callable[[Routed], Awaitable[None]] | None = None,
    ) -> None:
        self._networks = networks
        self._ipam = ipam
        self._wire = wire
        self._announce = announce
        self._scope = scope
        self._route = route
        self._is_gateway = False
        self._endpoints: dict[str, Endpoint] = {}
        self._removals = Background()
        self.dns_servers: Sequence[IPv4Address] = ()
        """Whom Docker's own resolver asks what it does not know."""

    async def start(self) -> None:
        """Adopt the endpoints that an earlier life of the daemon made."""
        await endpoints.remove_retired(self._wire.bridge)
        for found in await endpoints.list_endpoints(self._wire.bridge):
            self._endpoints[found.endpoint.ident] = found.endpoint
        await self.route()

    async def route(self) -> None:
        """Have the host be the gateway of the networks that there are."""
        if self._route is None or self._wire.resolver is None:
            return
        try:
            await self._route(self._networks.routed())
        except UserError as error:
            log.warning("containers leave tulle's networks by a bridge of Docker's: %s", error)
            self._is_gateway = False
        else:
            self._is_gateway = True

    async def stop(self) -> None:
        """Finish what goes on."""
        await self._removals.finish()

    def endpoints(self) -> list[Endpoint]:
        """Every endpoint there is."""
        return list(self._endpoints.values())

    async def capabilities(self) -> Answer:
        """Networks are this host's own business, unless the driver serves a swarm."""
        return {"Scope": self._scope, "ConnectivityScope": "global"}

    async def create_network(self, request: NetworkRequest) -> Answer:
        """``network create``."""
        network = make_network(request, self._wire.mtu, self._wire.multicast)
        if not network.dealt_here and self._scope == "local":
            self._check_dealt_elsewhere(network)
        self._networks.add(network)
        await self.route()
        return {}

    async def delete_network(self, request: NetworkRemoval) -> Answer:
        """``network rm``: what was reserved is free again."""
        network = self._networks.find(request.network_id)
        self._networks.remove(request.network_id)
        await self.route()
        for text in (*network.reserved, network.gateway) if network is not None else ():
            if text is not None:
                await self._ipam.free(IPv4Address(text))
        return {}

    async def create_endpoint(self, request: EndpointRequest) -> Answer:
        """A container is about to start, or to be connected: the pair is made now."""
        network = self._networks.get(request.network_id)
        ident = endpoints.check_ident(request.endpoint_id)
        given = request.interface
        if given is None or not given.address:
            raise UserError(
                "Docker gives this endpoint no IPv4 address; make the network with an IPAM driver"
            )
        address = messages.interface(given.address)
        mac = given.mac_address or endpoints.random_mac()
        endpoint = Endpoint(ident, network.ident, address, mac, self._wire.bridge)
        if not network.dealt_here:
            await self._claim(endpoint, network)
        try:
            await endpoints.create(endpoint, network.mtu or self._wire.mtu)
        except UserError:
            if not network.dealt_here:
                await self._ipam.free(address.ip)
            raise
        self._endpoints[ident] = endpoint
        return {"Interface": {} if given.mac_address else {"MacAddress": mac}}

    async def delete_endpoint(self, request: EndpointNote) -> Answer:
        """The container is off the network. One that is not known is off already."""
        await self.remove(endpoints.check_ident(request.endpoint_id))
        return {}

    async def remove(self, ident: str) -> None:
        """Remove an endpoint, and free its address unless our IPAM driver will be told to.

        The kernel needs longer for that than for all else, and nobody waits for it.
        """
        endpoint = self._endpoints.pop(ident, None)
        if endpoint is None:
            await endpoints.remove(ident)
            return
        await endpoints.retire(endpoint)
        self._removals.spawn(endpoints.remove(ident))
        network = self._networks.find(endpoint.network)
        if network is None or not network.dealt_here:
            await self._ipam.free(endpoint.address.ip)

    async def join(self, request: EndpointNote) -> Answer:
        """The container gets its interface: what it is called, and what lies behind it."""
        network = self._networks.get(request.network_id)
        sandbox = (request.sandbox_key or "").replace(" ", "")
        endpoint = self._endpoints.get(request.endpoint_id)
        if endpoint is None:
            raise UserError(f"the endpoint {request.endpoint_id[:12]} is gone; start the container again")
        others = [one for one in self.endpoints() if one.sandbox == sandbox and one is not endpoint]
        _check_apart(endpoint, others)
        await self._move(endpoint.ident, sandbox)
        self._announce(endpoint)
        return {
            "InterfaceName": {"SrcName": endpoint.inner, "DstPrefix": self._wire.prefix},
            "Gateway": network.gateway or await self._way_out(network, sandbox, others, request),
            "StaticRoutes": [] if others else self._routes(network),
        }

    async def _way_out(
        self, network: Network, sandbox: str, others: Sequence[Endpoint], request: EndpointNote
    ) -> str:
        """The host's address, if it is the gateway; empty where Docker shall provide another way out.

        It does so by a bridge of its own, at which it publishes ports too. A way out that the container has
        stays: connections may use it.
        """
        published = (request.options or {}).get(messages.PORTS)
        if not self._is_gateway or not network.routed or others or published != []:
            return ""
        return "" if await endpoints.has_way_out(sandbox) else str(self._wire.resolver)

    async def leave(self, request: EndpointNote) -> Answer:
        """The container lets its interface go."""
        await self._move(request.endpoint_id, "")
        return {}

    async def _move(self, ident: str, sandbox: str) -> None:
        """Write down which container has the endpoint, if there is such an endpoint."""
        endpoint = self._endpoints.get(ident)
        if endpoint is not None:
            self._endpoints[ident] = replace(endpoint, sandbox=sandbox)
            await endpoints.describe(self._endpoints[ident])

    async def look(self, request: EndpointNote) -> Answer:
        """What there is to say of an endpoint."""
        endpoint = self._endpoints.get(request.endpoint_id)
        return {"Value": {"bridge port": endpoint.outer} if endpoint is not None else {}}

    async def nothing(self, _request: Nothing) -> Answer:
        """For what Docker tells but does not concern us."""
        return {}

    def _routes(self, network: Network) -> list[Answer]:
        """Multicast, and our resolver; only for the first interface, since Docker takes no route twice.

        Where there is no way out, what Docker's own resolver passes on must find the way to ours.
        """
        resolver = self._wire.resolver
        routes = [_route(_MULTICAST)] if network.multicast else []
        if resolver is None:
            return routes
        routes.append(_route(f"{resolver}/32"))
        if network.internal:
            routes += [_route(f"{server}/32", resolver) for server in self.dns_servers]
        return routes

    async def _claim(self, endpoint: Endpoint, network: Network) -> None:
        """Have an address that Docker chose, if it is ours to give. Raises UserError if it is taken."""
        if not self._ipam.covers(network.subnet):
            return
        try:
            await self._ipam.claim(endpoint.address.ip, network.subnet)
        except UserError as error:
            raise UserError(
                f"{error}. Docker chose this address and knows nothing of other hosts: make the network with"
                " --ipam-driver tulle",
                error.status,
            ) from None

    def _check_dealt_elsewhere(self, network: Network) -> None:
        if not self._ipam.covers(network.subnet):
            raise UserError(
                f"Docker would deal out the addresses of this network ({network.subnet}), and it knows"
                " nothing of other hosts; add --ipam-driver tulle (in a compose file: ipam: {driver: tulle})"
            )


def _check_apart(endpoint: Endpoint, others: Sequence[Endpoint]) -> None:
    """A container cannot be in two subnets of which one holds the other: Docker refuses the second route."""
    mine = endpoint.address.network
    for other in others:
        if mine.overlaps(other.address.network):
            raise UserError(
                f"the container is on {other.address.network} already, which overlaps {mine}; to have"
                " containers on several networks at once, leave room for these beside the default one:"
                " `tulle launch --ipalloc-default-subnet`",
                409,
            )


def _route(destination: str, gateway: IPv4Address | None = None) -> Answer:
    kind = CONNECTED if gateway is None else BY_GATEWAY
    return {"Destination": destination, "RouteType": kind, "NextHop": str(gateway or "")}
