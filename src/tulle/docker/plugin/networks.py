"""The networks that Docker has of us, kept in the daemon's store: Docker tells of each only once."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Protocol

import msgspec

from tulle.docker.plugin import messages
from tulle.docker.plugin.messages import IpamData, NetworkRequest
from tulle.docker.plugin.pools import SPACE
from tulle.errors import UserError
from tulle.host.routed import Routed
from tulle.host.store import Change, Record

KIND = "docker-network"
_MTU = ("tulle.mtu", "com.docker.network.driver.mtu", "com.docker.network.mtu")
_MULTICAST = ("tulle.multicast", "works.weave.multicast")
_SMALLEST_MTU = 576


class Network(msgspec.Struct, frozen=True):
    """One network. ``mtu`` None: as every attachment's.

    ``gateway`` is the one that the user named; ``dealt_here`` tells whether its addresses come from our own
    IPAM driver, and not from Docker's. ``reserved`` are addresses that no container gets by itself.
    """

    ident: str
    subnet_text: str
    gateway: str | None = None
    internal: bool = False
    multicast: bool = True
    mtu: int | None = None
    dealt_here: bool = True
    reserved: tuple[str, ...] = ()

    @property
    def subnet(self) -> IPv4Network:
        """Where its containers' addresses are."""
        return IPv4Network(self.subnet_text)

    @property
    def routed(self) -> bool:
        """Whether its containers leave it through their host."""
        return not self.internal and self.gateway is None


class Keeper(Protocol):
    """Where records survive: the daemon's store."""

    def commit(self, changes: Iterable[Change]) -> None:
        """Write all changes or, with a StorageError, none."""


@dataclass(frozen=True, slots=True)
class _Change:
    kind: str
    key: str
    value: bytes | None


class Networks:
    """All of them, by their id."""

    def __init__(self, store: Keeper, records: Iterable[Record], default: IPv4Network | None) -> None:
        self._store = store
        self._default = default
        self._known = dict(_restored(records))

    def get(self, ident: str) -> Network:
        """The network with this id. Raises UserError."""
        network = self._known.get(ident)
        if network is None:
            raise UserError(
                f"tulle does not know the network {ident[:12]}, perhaps because its state was lost; remove"
                " the network and make it again"
            )
        return network

    def find(self, ident: str) -> Network | None:
        """The network with this id, if there is one."""
        return self._known.get(ident)

    def all(self) -> list[Network]:
        """Every network, oldest first."""
        return list(self._known.values())

    def reserved(self) -> set[IPv4Address]:
        """Addresses that no container gets by itself."""
        return {
            IPv4Address(text)
            for network in self._known.values()
            for text in (*network.reserved, network.gateway)
            if text is not None
        }

    def routed(self) -> Routed:
        """Whose gateway the host is to be."""
        ways: dict[bool, list[IPv4Network]] = {True: [], False: []}
        for network in self._known.values():
            ways[network.routed].append(network.subnet)
        return Routed.of(ways[True], ways[False])

    def add(self, network: Network) -> None:
        """Keep a network. Raises UserError where it clashes with another, StorageError."""
        for other in self._known.values():
            if other.ident != network.ident:
                self._check_apart(network, other)
        self._store.commit([_Change(KIND, network.ident, msgspec.json.encode(network))])
        self._known[network.ident] = network

    def remove(self, ident: str) -> None:
        """Forget a network; one that is not known is forgotten already. Raises StorageError."""
        if ident in self._known:
            self._store.commit([_Change(KIND, ident, None)])
            del self._known[ident]

    def _check_apart(self, network: Network, other: Network) -> None:
        """Networks are kept apart by their subnets. The default one may hold others, and have many names."""
        if not network.subnet.overlaps(other.subnet) or self._default in (network.subnet, other.subnet):
            return
        raise UserError(
            f"{network.subnet} overlaps {other.subnet}, which network {other.ident[:12]} has on this host;"
            " choose another --subnet",
            409,
        )


def make_network(request: NetworkRequest, largest_mtu: int, multicast: bool = True) -> Network:
    """The network that a request describes; ``multicast`` is the default. Raises UserError."""
    if request.ipv6:
        raise UserError("tulle's networks have IPv4 addresses only; leave --ipv6 out")
    if len(request.ipv4 or ()) != 1:
        raise UserError("a network of tulle's has one subnet; give one --subnet, or none for the default one")
    data = (request.ipv4 or [IpamData()])[0]
    options: Mapping[str, Any] = request.options or {}
    wishes = _wishes(options.get(messages.GENERIC) or {})
    subnet = messages.subnet(data.pool or "")
    gateway = messages.interface(data.gateway).ip if data.gateway else None
    dealt_here = data.address_space == SPACE
    return Network(
        request.network_id,
        str(subnet),
        gateway=str(gateway) if dealt_here and _is_host(gateway, subnet) else None,
        internal=options.get(messages.INTERNAL) is True,
        multicast=_truth(_first(wishes, _MULTICAST, str(multicast))),
        mtu=_size(_first(wishes, _MTU, ""), largest_mtu),
        dealt_here=dealt_here,
        reserved=tuple(str(messages.interface(str(one)).ip) for one in (data.aux_addresses or {}).values()),
    )


def _restored(records: Iterable[Record]) -> Iterator[tuple[str, Network]]:
    for record in records:
        if record.kind == KIND:
            network = msgspec.json.decode(record.value, type=Network)
            yield network.ident, network


def _is_host(gateway: IPv4Address | None, subnet: IPv4Network) -> bool:
    """Whether it is an address that somebody can have; the subnet's own stands for "none"."""
    return gateway is not None and gateway != subnet.network_address


def _wishes(generic: object) -> dict[str, str]:
    """The ``--opt`` values. Raises UserError for one that nobody here understands."""
    wishes = generic if isinstance(generic, dict) else {}
    for name in wishes:
        if name not in (*_MTU, *_MULTICAST) and not str(name).startswith("com.docker."):
            raise UserError(
                f"tulle has no network option {str(name)[:60]!r}; it has {_MTU[0]} and {_MULTICAST[0]}"
            )
    return {str(name): str(value) for name, value in wishes.items()}


def _first(wishes: Mapping[str, str], names: Iterable[str], otherwise: str) -> str:
    return next((wishes[name] for name in names if name in wishes), otherwise)


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0", "yes", "no"):
        raise UserError(f"{_MULTICAST[0]} is true or false, not {text[:60]!r}")
    return text.lower() in ("true", "1", "yes")


def _size(text: str, largest: int) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 6 and _SMALLEST_MTU <= int(text) <= largest):
        raise UserError(
            f"{_MTU[0]} is a number of bytes from {_SMALLEST_MTU} to {largest}, not {text[:60]!r}"
        )
    return int(text)
