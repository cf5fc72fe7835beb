"""Rows about names: Weave Net's ``/name`` and what the DNS server is called."""

from aiohttp import web

from tulle.api import bodies
from tulle.api.addresses import parse_ip
from tulle.api.answers import as_json, done, log, text
from tulle.api.containers import EXTERNAL
from tulle.api.daemon import DaemonApi, DnsService, NameRequest
from tulle.api.names import check_ident, check_name, in_domain
from tulle.errors import UserError


class NameRoutes:
    """The handlers. All answer 404 when the DNS server is turned off."""

    def __init__(self, daemon: DaemonApi) -> None:
        self._daemon = daemon

    def routes(self) -> list[web.RouteDef]:
        """Rows for the control address."""
        return [
            web.get("/name", self.dump),
            web.put("/name/{id}/{ip}", self.put),
            web.delete("/name", self.delete),
            web.delete("/name/{id}", self.delete),
            web.delete("/name/{id}/{ip}", self.delete),
            web.get("/domain", self.domain),
            web.get("/dns-address", self.address),
            web.get("/dns-address-port", self.address_port),
            web.post("/dns/add", self.add),
            web.post("/dns/remove", self.remove),
            web.get("/dns/lookup", self.lookup),
        ]

    async def dump(self, request: web.Request) -> web.Response:
        self._service()
        report = await self._daemon.report()
        return as_json([] if report.dns is None else report.dns.entries)

    async def put(self, request: web.Request) -> web.Response:
        """Registers a name; one of another domain is ignored, as whoever starts containers cannot know."""
        service = self._service()
        ident = check_ident(request.match_info["id"])
        address = parse_ip(request.match_info["ip"])
        form = await request.post()
        name = check_name(request.query.get("fqdn") or str(form.get("fqdn", "")))
        if not in_domain(name, service.domain):
            log.info("ignored the name %s of %s: it is not in %s", name, ident, service.domain)
            return text("")
        await self._daemon.dns_add(NameRequest(ident, name, (address,)))
        return done()

    async def delete(self, request: web.Request) -> web.Response:
        self._service()
        ident = request.match_info.get("id")
        ip = request.match_info.get("ip")
        name = request.query.get("fqdn") or None
        await self._daemon.dns_remove(
            NameRequest(
                None if ident is None else check_ident(ident),
                None if name is None else check_name(name),
                () if ip is None else (parse_ip(ip),),
            )
        )
        return done()

    async def domain(self, request: web.Request) -> web.Response:
        return text(self._service().domain)

    async def address(self, request: web.Request) -> web.Response:
        return text(str(self._service().address))

    async def address_port(self, request: web.Request) -> web.Response:
        service = self._service()
        return text(f"{service.address}:{service.port}")

    async def add(self, request: web.Request) -> web.Response:
        """Ours: like PUT, for a container as users name it, and a name outside of the domain is an error."""
        service = self._service()
        asked = await self._asked(request)
        if asked.container == EXTERNAL and (asked.hostname is None or not asked.addresses):
            raise UserError("without a container both an address and a name are needed")
        name = asked.hostname
        if name is not None and "." in name.rstrip(".") and not in_domain(name, service.domain):
            raise UserError(f"{name} is not in our domain {service.domain}; only names in it can be added")
        await self._daemon.dns_add(asked)
        return done()

    async def remove(self, request: web.Request) -> web.Response:
        """Ours: removes records of this host and says how many."""
        self._service()
        asked = await self._asked(request)
        if asked.container == EXTERNAL and asked.hostname is None:
            raise UserError("without a container a name is needed")
        return as_json({"removed": await self._daemon.dns_remove(asked)})

    async def lookup(self, request: web.Request) -> web.Response:
        """Ours: the live addresses of a name."""
        self._service()
        name = check_name(request.query.get("name", ""))
        return as_json({"addresses": [str(address) for address in await self._daemon.dns_lookup(name)]})

    async def _asked(self, request: web.Request) -> NameRequest:
        body = await bodies.read(request, bodies.NameBody)
        return body.request(
            EXTERNAL if body.container is None else await self._daemon.identify(body.container)
        )

    def _service(self) -> DnsService:
        service = self._daemon.dns
        if service is None:
            raise UserError("the DNS server is turned off on this host: it was launched with --no-dns", 404)
        return service
