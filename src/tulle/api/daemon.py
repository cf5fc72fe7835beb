"""What the HTTP API asks of the daemon: one method for each thing that a user can want.

All methods run in the daemon's event loop. A method raises UserError when the request cannot be met (its
``status`` becomes the HTTP status: 400 wrong request, 404 not there, 409 clash, 503 not yet), StorageError
when the disk would not take it, and RequestCancelled when the container went away. ``allocate``, ``claim``,
``prime`` and everything that rests on them may wait without limit; when the client hangs up, the call is
cancelled (CancelledError) and must leave no trace: the request is withdrawn and nothing stays allocated.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Protocol

from tulle.api.addresses import AddressSpec
from tulle.api.containers import ContainerRef
from tulle.api.report import Report


class RequestCancelled(Exception):
    """The container that asked is gone, so there is nothing left to do; the API answers "cancelled"."""


@dataclass(frozen=True, slots=True)
class AttachRequest:
    """Give a container an interface and addresses; none given means one of the default subnet.

    ``hostname`` None: the container's own name. It may be a single label or end with our domain.
    ``rewrite_hosts`` puts the addresses and ``extra_hosts`` (name, address) into the container's hosts file.
    """

    container: ContainerRef
    addresses: tuple[AddressSpec, ...] = ()
    hostname: str | None = None
    without_dns: bool = False
    rewrite_hosts: bool = False
    no_multicast_route: bool = False
    extra_hosts: tuple[tuple[str, IPv4Address], ...] = ()


@dataclass(frozen=True, slots=True)
class DetachRequest:
    """Take addresses from a container; none given means those of the default subnet."""

    container: ContainerRef
    addresses: tuple[AddressSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class ExposeRequest:
    """Let the host take part in the network; no address given means one of the default subnet."""

    addresses: tuple[AddressSpec, ...] = ()
    hostname: str | None = None
    without_masquerade: bool = False


@dataclass(frozen=True, slots=True)
class NameRequest:
    """Records to add or to remove.

    ``container`` is an ident, as ``DaemonApi.identify`` gives it (EXTERNAL for addresses of no container).
    Add: ``hostname`` None means the container's own name, no ``addresses`` means all that it holds.
    Remove: what is not given matches everything; at least one of the three is given.
    """

    container: str | None
    hostname: str | None
    addresses: tuple[IPv4Address, ...] = ()


@dataclass(frozen=True, slots=True)
class DnsService:
    """The DNS server of this host; ``domain`` ends with a dot. ``address`` is where containers reach it."""

    domain: str
    address: IPv4Address
    port: int


@dataclass(frozen=True, slots=True)
class Takeover:
    """Outcome of rmpeer: ``addresses`` now ours, and who could not be asked what they know of the peer."""

    addresses: int
    unasked: tuple[str, ...] = ()


class DaemonApi(Protocol):
    """The daemon as the API sees it."""

    @property
    def ready(self) -> bool:
        """Whether the network is set up and requests can be served; ``launch`` waits for it."""

    @property
    def default_subnet(self) -> IPv4Network | None:
        """Where addresses come from when no subnet is named; None: address allocation is turned off."""

    @property
    def dns(self) -> DnsService | None:
        """None: the DNS server is turned off."""

    proxy_addresses: Sequence[str]
    """Where Docker clients reach the API proxy, as in DOCKER_HOST; none while it does not run."""

    @property
    def remove_everything(self) -> bool:
        """Whether a reset is under way, after which nothing of us is left on this machine."""

    async def report(self) -> Report:
        """Everything, now."""

    async def connect(self, peers: Sequence[str], replace: bool) -> None:
        """Add ``host[:port]`` targets, or make them the only ones."""

    async def forget(self, peers: Sequence[str]) -> None:
        """Stop dialling these targets; connections that exist stay."""

    async def allocate(self, ident: str, subnet: IPv4Network, check_alive: bool) -> IPv4Interface:
        """The address that ``ident`` holds in ``subnet``, given to it now if it had none. May wait."""

    async def lookup(self, ident: str, subnet: IPv4Network | None) -> list[IPv4Interface]:
        """What ``ident`` holds in ``subnet`` (None: in the default subnet); empty if nothing."""

    async def claim(
        self, ident: str, interface: IPv4Interface, check_alive: bool, no_error_on_unknown: bool
    ) -> None:
        """Record that ``ident`` uses this address. May wait for its owner to answer.

        ``no_error_on_unknown``: succeed at once when nobody can say yet whom the address belongs to.
        """

    async def adopt(self, ident: str, interface: IPv4Interface) -> None:
        """Claim what is in use already, however long that takes; a failure is said in the log only."""

    async def release(self, ident: str, address: IPv4Address | None) -> list[IPv4Interface]:
        """Free one address, or all that ``ident`` holds; returns what was freed."""

    async def held(self) -> Mapping[str, Sequence[IPv4Interface]]:
        """Every address in use on this host, by ident."""

    async def prime(self) -> None:
        """Wait until addresses can be allocated, starting the election if need be."""

    async def takeover(self, peer: str, force: bool) -> Takeover:
        """Take over the ranges of a dead peer (name or nickname)."""

    async def leave(self, force: bool) -> None:
        """Give all our ranges to other peers. The daemon allocates nothing afterwards."""

    async def identify(self, container: str) -> str:
        """The ident of a container as users write it; the full id of one that Docker knows, or that is known
        here from before."""

    async def attach(self, request: AttachRequest) -> list[IPv4Interface]:
        """All addresses asked for; those the container already had are fine. May wait."""

    async def detach(self, request: DetachRequest) -> list[IPv4Interface]:
        """The addresses taken away."""

    async def expose(self, request: ExposeRequest) -> list[IPv4Interface]:
        """The host's addresses of this request. May wait."""

    async def hide(self, addresses: tuple[AddressSpec, ...]) -> list[IPv4Interface]:
        """The addresses taken from the host; none given means those of the default subnet."""

    async def dns_add(self, request: NameRequest) -> None:
        """Add records; adding one that exists is fine."""

    async def dns_remove(self, request: NameRequest) -> int:
        """How many of our own records went."""

    async def dns_holders(self) -> Collection[str]:
        """Every ident with records of ours."""

    async def dns_lookup(self, name: str) -> list[IPv4Address]:
        """The live addresses of a name, single label or full; empty if there are none."""

    async def stop(self) -> None:
        """Begin to end the daemon, leaving the data path up; returns at once."""

    async def reset(self, force: bool) -> None:
        """Leave the cluster, remove everything from this machine, state included, then begin to end.

        Without ``force`` it refuses (409) and changes nothing when our ranges cannot be given away safely.
        """
