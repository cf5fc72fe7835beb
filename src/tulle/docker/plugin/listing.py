"""What the engine says of the networks that it has of us."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from tulle.docker.engine import Engine
from tulle.docker.plugin import messages
from tulle.docker.plugin.messages import IpamData, NetworkRequest
from tulle.docker.plugin.networks import Network, make_network
from tulle.docker.plugin.pools import SPACE
from tulle.errors import UserError


class _Config(msgspec.Struct, frozen=True, rename="pascal"):
    subnet: str = ""
    gateway: str = ""
    auxiliary: dict[str, str] | None = msgspec.field(name="AuxiliaryAddresses", default=None)


class _Ipam(msgspec.Struct, frozen=True, rename="pascal"):
    driver: str = ""
    config: list[_Config] | None = None


class Listed(msgspec.Struct, frozen=True, rename="pascal"):
    """A network, as the engine lists it."""

    id: str
    name: str
    driver: str = ""
    internal: bool = False
    ipam: _Ipam = msgspec.field(name="IPAM", default=_Ipam())
    options: dict[str, str] | None = None

    def subnets(self) -> Sequence[str]:
        """Its subnets, as text."""
        return [config.subnet for config in self.ipam.config or ()]

    def as_network(self, driver: str, largest_mtu: int, multicast: bool) -> Network:
        """The network as it would be, had the engine just asked for it. Raises UserError."""
        data = [
            IpamData(
                SPACE if self.ipam.driver == driver else "",
                config.subnet,
                _with_length(config.gateway, config.subnet),
                {name: _with_length(one, config.subnet) for name, one in (config.auxiliary or {}).items()},
            )
            for config in self.ipam.config or ()
        ]
        options: dict[str, Any] = {messages.GENERIC: self.options or {}, messages.INTERNAL: self.internal}
        return make_network(NetworkRequest(self.id, options, data), largest_mtu, multicast)


async def list_networks(engine: Engine, driver: str) -> list[Listed]:
    """Every network of a driver. Raises EngineUnreachable, EngineRefused, UserError."""
    filters = json.dumps({"driver": [driver]})
    answer = await engine.request("GET", "/networks", query={"filters": filters})
    try:
        found = msgspec.json.decode(answer, type=list[Listed])
    except msgspec.MsgspecError as error:
        raise UserError(f"Docker's list of networks cannot be understood: {error}") from None
    return [one for one in found if one.driver == driver]


def _with_length(address: str, subnet: str) -> str:
    return f"{address.partition('/')[0]}/{subnet.partition('/')[2]}" if address else ""
