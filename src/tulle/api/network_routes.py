"""Rows that change the network: targets, peers, containers, the host, and the daemon's own end."""

from collections.abc import Iterable
from ipaddress import IPv4Interface

from aiohttp import web

from tulle.api import bodies
from tulle.api.addresses import ManualAddress, parse_interface
from tulle.api.answers import as_json, done, text
from tulle.api.daemon import DaemonApi, ExposeRequest
from tulle.api.names import check_target
from tulle.errors import UserError


class NetworkRoutes:
    """The handlers. Those that are ours take and give JSON; the others are Weave Net's."""

    def __init__(self, daemon: DaemonApi) -> None:
        self._daemon = daemon

    def routes(self) -> list[web.RouteDef]:
        """Rows for the control address."""
        return [
            web.post("/connect", self.connect),
            web.post("/forget", self.forget),
            web.delete("/peer", self.leave),
            web.delete("/peer/{id}", self.takeover),
            web.post("/expose/{ip}/{length}", self.expose_address),
            web.post("/attach", self.attach),
            web.post("/detach", self.detach),
            web.post("/expose", self.expose),
            web.post("/hide", self.hide),
            web.post("/stop", self.stop),
            web.post("/reset", self.reset),
            web.get("/proxyaddrs", self.proxy_addresses),
        ]

    async def connect(self, request: web.Request) -> web.Response:
        form = await _form(request)
        replace = form.get("replace", ["false"])[-1] == "true"
        await self._daemon.connect(_targets(form, may_be_empty=replace), replace)
        return text("")

    async def forget(self, request: web.Request) -> web.Response:
        await self._daemon.forget(_targets(await _form(request), may_be_empty=False))
        return text("")

    async def leave(self, request: web.Request) -> web.Response:
        await self._daemon.leave(_force(request))
        return done()

    async def takeover(self, request: web.Request) -> web.Response:
        peer = request.match_info["id"]
        outcome = await self._daemon.takeover(peer, _force(request))
        answer = f"{outcome.addresses} IPs taken over from {peer}\n"
        if outcome.unasked:
            answer += f"could not be asked what they know of {peer}: {', '.join(outcome.unasked)}\n"
        return text(answer)

    async def expose_address(self, request: web.Request) -> web.Response:
        interface = parse_interface(f"{request.match_info['ip']}/{request.match_info['length']}")
        without_masquerade = request.query.get("skipNAT") == "true"
        await self._daemon.expose(
            ExposeRequest((ManualAddress(interface),), without_masquerade=without_masquerade)
        )
        return done()

    async def proxy_addresses(self, request: web.Request) -> web.Response:
        addresses = self._daemon.proxy_addresses
        if not addresses:
            raise UserError("the Docker API proxy does not run here", 404)
        return text("\n".join(addresses))

    async def attach(self, request: web.Request) -> web.Response:
        body = await bodies.read(request, bodies.AttachBody)
        return _addresses(await self._daemon.attach(body.request()))

    async def detach(self, request: web.Request) -> web.Response:
        body = await bodies.read(request, bodies.DetachBody)
        return _addresses(await self._daemon.detach(body.request()))

    async def expose(self, request: web.Request) -> web.Response:
        body = await bodies.read(request, bodies.ExposeBody)
        return _addresses(await self._daemon.expose(body.request()))

    async def hide(self, request: web.Request) -> web.Response:
        body = await bodies.read(request, bodies.HideBody)
        return _addresses(await self._daemon.hide(bodies.specs(body.addresses)))

    async def stop(self, request: web.Request) -> web.Response:
        await self._daemon.stop()
        return done()

    async def reset(self, request: web.Request) -> web.Response:
        await self._daemon.reset(_force(request))
        return done()


async def _form(request: web.Request) -> dict[str, list[str]]:
    """The fields of the query and of a form in the body; files are not taken."""
    fields: dict[str, list[str]] = {}
    posted = await request.post()
    for source in (request.query.items(), posted.items()):
        for key, value in source:
            if isinstance(value, str):
                fields.setdefault(key, []).append(value)
    return fields


def _targets(form: dict[str, list[str]], may_be_empty: bool) -> list[str]:
    peers = [check_target(peer) for peer in form.get("peer", [])]
    if not peers and not may_be_empty:
        raise UserError("no peer is given; send peer=HOST, once for each")
    return peers


def _force(request: web.Request) -> bool:
    return request.query.get("force") == "true"


def _addresses(interfaces: Iterable[IPv4Interface]) -> web.Response:
    return as_json({"addresses": [str(interface) for interface in interfaces]})
