"""The plugin's socket: Docker posts to a path per call and gets JSON; an error is JSON with ``Err``."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from tulle.docker.plugin import messages
from tulle.docker.plugin.driver import Driver
from tulle.docker.plugin.ipam import Ipam
from tulle.docker.plugin.messages import (
    AddressRelease,
    AddressRequest,
    EndpointNote,
    EndpointRequest,
    NetworkRemoval,
    NetworkRequest,
    Nothing,
    PoolRequest,
)
from tulle.errors import StorageError, UserError

log = logging.getLogger(__name__)

Answer = dict[str, Any]
Handler = Callable[[Any], Awaitable[Answer]]
Call = tuple[type[msgspec.Struct], Handler]

CONTENT_TYPE = "application/vnd.docker.plugins.v1.1+json"
LARGEST_BODY = 1 << 20
IMPLEMENTS = {"Implements": ["NetworkDriver", "IpamDriver"]}


def calls(driver: Driver, ipam: Ipam) -> Mapping[str, Call]:
    """Everything that Docker may call, and what handles it."""
    network: dict[str, Call] = {
        "GetCapabilities": (Nothing, lambda _: driver.capabilities()),
        "CreateNetwork": (NetworkRequest, driver.create_network),
        "DeleteNetwork": (NetworkRemoval, driver.delete_network),
        "CreateEndpoint": (EndpointRequest, driver.create_endpoint),
        "DeleteEndpoint": (EndpointNote, driver.delete_endpoint),
        "EndpointOperInfo": (EndpointNote, driver.look),
        "Join": (EndpointNote, driver.join),
        "Leave": (EndpointNote, driver.leave),
        **dict.fromkeys(_NOT_OURS, (Nothing, driver.nothing)),
    }
    addresses: dict[str, Call] = {
        "GetCapabilities": (Nothing, lambda _: ipam.capabilities()),
        "GetDefaultAddressSpaces": (Nothing, lambda _: ipam.default_spaces()),
        "RequestPool": (PoolRequest, ipam.request_pool),
        "ReleasePool": (Nothing, driver.nothing),
        "RequestAddress": (AddressRequest, ipam.request_address),
        "ReleaseAddress": (AddressRelease, ipam.release_address),
    }
    return {
        **{f"NetworkDriver.{name}": call for name, call in network.items()},
        **{f"IpamDriver.{name}": call for name, call in addresses.items()},
    }


_NOT_OURS = (
    "DiscoverNew",
    "DiscoverDelete",
    "ProgramExternalConnectivity",
    "RevokeExternalConnectivity",
    "AllocateNetwork",
    "FreeNetwork",
)
"""Other nodes of a swarm, published ports, and what a swarm's manager asks before a network is anywhere."""


def make_app(table: Mapping[str, Call]) -> web.Application:
    """The application behind the socket."""
    app = web.Application(client_max_size=LARGEST_BODY)

    async def activate(_request: web.Request) -> web.Response:
        return _answer(IMPLEMENTS)

    async def serve(request: web.Request) -> web.Response:
        name = request.match_info["call"]
        call = table.get(name)
        if call is None:
            return _answer({"Err": f"tulle has no call {name[:60]!r}"}, 404)
        try:
            return _answer(await call[1](messages.decode(await request.read(), call[0])))
        except UserError as error:
            log.info("Docker's %s is refused: %s", name, error)
            return _answer({"Err": str(error)}, 400)
        except StorageError as error:
            log.error("Docker's %s failed: %s", name, error)
            return _answer({"Err": str(error)}, 500)
        except Exception:
            log.exception("internal error in Docker's %s", name)
            return _answer({"Err": "internal error of tulle; its log says more"}, 500)

    app.router.add_post("/Plugin.Activate", activate)
    app.router.add_post("/{call}", serve)
    return app


def _answer(body: Answer, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type=CONTENT_TYPE, status=status)
