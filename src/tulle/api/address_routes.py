"""Rows about addresses: the ring, and what each container holds. Paths and answers are Weave Net's."""

from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv4Network

from aiohttp import web

from tulle.api.addresses import parse_interface, parse_ip, parse_subnet
from tulle.api.answers import as_json, done, text
from tulle.api.daemon import DaemonApi
from tulle.api.names import check_ident
from tulle.errors import UserError


class AddressRoutes:
    """The handlers. All answer 404 when address allocation is turned off."""

    def __init__(self, daemon: DaemonApi) -> None:
        self._daemon = daemon

    def routes(self) -> list[web.RouteDef]:
        """Rows for the control address."""
        subnet = "/ip/{id}/{ip}/{length}"
        return [
            web.get("/ring", self.prime),
            web.get("/ip", self.held),
            web.get("/ip/{id}", self.lookup),
            web.get(subnet, self.lookup),
            web.post("/ip/{id}", self.allocate),
            web.post(subnet, self.allocate),
            web.put(subnet, self.claim),
            web.delete("/ip/{id}", self.release),
            web.delete("/ip/{id}/{ip}", self.release),
            web.get("/ipinfo/defaultsubnet", self.default_subnet),
            web.get("/ipinfo/tracker", self.tracker),
        ]

    async def prime(self, request: web.Request) -> web.Response:
        self._enabled()
        await self._daemon.prime()
        return text("")

    async def held(self, request: web.Request) -> web.Response:
        self._enabled()
        held = await self._daemon.held()
        owned = [
            {"containerid": ident, "addrs": [str(address) for address in addresses]}
            for ident, addresses in held.items()
        ]
        return as_json({"owned": owned})

    async def lookup(self, request: web.Request) -> web.Response:
        subnet = self._subnet(request)
        ident = _ident(request)
        found = await self._daemon.lookup(ident, subnet)
        if not found:
            raise UserError(f"{ident} holds no address in {subnet}", 404)
        return text(_words(found))

    async def allocate(self, request: web.Request) -> web.Response:
        subnet = self._subnet(request)
        address = await self._daemon.allocate(_ident(request), subnet, _switch(request, "check-alive"))
        return text(str(address))

    async def claim(self, request: web.Request) -> web.Response:
        self._enabled()
        interface = parse_interface(f"{request.match_info['ip']}/{request.match_info['length']}")
        await self._daemon.claim(
            _ident(request), interface, _switch(request, "check-alive"), _switch(request, "noErrorOnUnknown")
        )
        return done()

    async def release(self, request: web.Request) -> web.Response:
        self._enabled()
        ip = request.match_info.get("ip")
        await self._daemon.release(_ident(request), None if ip is None else parse_ip(ip))
        return done()

    async def default_subnet(self, request: web.Request) -> web.Response:
        return text(str(self._enabled()))

    async def tracker(self, request: web.Request) -> web.Response:
        """Weave Net names its cloud route updater here; we have none."""
        self._enabled()
        return text("")

    def _enabled(self) -> IPv4Network:
        """The default subnet, or the 404 that clients know "IPAM is off" by."""
        subnet = self._daemon.default_subnet
        if subnet is None:
            raise UserError(
                "address allocation is turned off on this host (launched with an empty --ipalloc-range)",
                404,
            )
        return subnet

    def _subnet(self, request: web.Request) -> IPv4Network:
        default = self._enabled()
        if "length" not in request.match_info:
            return default
        return parse_subnet(f"{request.match_info['ip']}/{request.match_info['length']}")


def _ident(request: web.Request) -> str:
    return check_ident(request.match_info["id"])


def _switch(request: web.Request, name: str) -> bool:
    return request.query.get(name) == "true"


def _words(addresses: Iterable[IPv4Interface]) -> str:
    return " ".join(str(address) for address in addresses)
