"""Rows that only look: status tables, report, metrics. Safe for an unprotected address."""

import asyncio

import msgspec
from aiohttp import web

from tulle.api import views
from tulle.api.answers import as_json, text
from tulle.api.containers import EXPOSED_HOST
from tulle.api.daemon import DaemonApi
from tulle.api.gotemplate import render
from tulle.api.report import to_json
from tulle.errors import UserError


class StatusRoutes:
    """The handlers; each one makes a fresh report and shows a part of it."""

    def __init__(self, daemon: DaemonApi) -> None:
        self._daemon = daemon

    def routes(self) -> list[web.RouteDef]:
        """What the status address serves."""
        return [
            web.get("/status", self.status),
            web.get("/status/{view}", self.view),
            web.get("/report", self.report),
            web.get("/metrics", self.metrics),
            web.get("/ps", self.ps),
        ]

    async def status(self, request: web.Request) -> web.Response:
        if not self._daemon.ready:
            raise UserError("not ready yet: the daemon is still setting up the network; ask again soon", 503)
        return text(views.status(await self._daemon.report()))

    async def view(self, request: web.Request) -> web.Response:
        view = views.VIEWS.get(request.match_info["view"])
        if view is None:
            known = ", ".join(views.VIEWS)
            raise UserError(f"there is no status of {request.match_info['view']!r}; there are {known}", 404)
        return text(view(await self._daemon.report()))

    async def report(self, request: web.Request) -> web.Response:
        report = await self._daemon.report()
        template = request.query.get("format")
        if template is None:
            return web.Response(body=to_json(report), content_type="application/json")
        return text(await asyncio.to_thread(render, template, msgspec.to_builtins(report)))

    async def metrics(self, request: web.Request) -> web.Response:
        from tulle.api.metrics import CONTENT_TYPE, exposition

        body = exposition(await self._daemon.report())
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    async def ps(self, request: web.Request) -> web.Response:
        report = await self._daemon.report()
        wanted = request.query.getall("container", [])
        idents = {word if word == EXPOSED_HOST else await self._daemon.identify(word) for word in wanted}
        found = [entry for entry in report.containers if not wanted or entry.container in idents]
        if request.headers.get("Accept") == "application/json":
            return as_json(found)
        return text(views.ps(found))
