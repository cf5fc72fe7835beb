"""How address management is set up on one peer."""

from dataclasses import dataclass
from ipaddress import IPv4Network

from tulle.errors import UserError
from tulle.ipam.ring import Range
from tulle.mesh.peername import PeerName

_MAX_PREFIX = 30


@dataclass(frozen=True, slots=True)
class Consensus:
    """Divide the range when a majority of ``quorum_of`` peers agree on who there is.

    None: not known yet; 1 until ``Allocator.expect_cluster`` says more.
    """

    quorum_of: int | None = None


@dataclass(frozen=True, slots=True)
class Seed:
    """Divide the range among these peers at once, trusting that all of them were told the same."""

    peers: tuple[PeerName, ...]


@dataclass(frozen=True, slots=True)
class Observer:
    """Never take part in dividing the range; ask those who do."""


@dataclass(frozen=True, slots=True)
class IpamConfig:
    """``uid`` is the number of this run of the process; ``universe`` the range shared by all peers."""

    peer: PeerName
    uid: int
    universe: IPv4Network
    default_subnet: IPv4Network
    bootstrap: Consensus | Seed | Observer = Consensus()

    def __post_init__(self) -> None:
        if self.universe.prefixlen > _MAX_PREFIX:
            raise UserError(
                f"address range {self.universe} is too small; it needs 4 addresses or more (a /{_MAX_PREFIX})"
            )
        if network_range(self.universe).end > 0xFFFF_FFFF:
            raise UserError(f"address range {self.universe} may not reach the end of all IPv4 addresses")
        if not self.default_subnet.subnet_of(self.universe):
            raise UserError(
                f"default subnet {self.default_subnet} is not inside the address range {self.universe}"
            )
        if isinstance(self.bootstrap, Seed) and not self.bootstrap.peers:
            raise UserError("seed needs at least one peer name: --ipalloc-init seed=NAME,NAME,...")
        if isinstance(self.bootstrap, Consensus) and (self.bootstrap.quorum_of or 1) < 1:
            raise UserError("consensus needs the number of peers to agree, at least 1")


def network_range(network: IPv4Network) -> Range:
    """All addresses of a network."""
    start = int(network.network_address)
    return Range(start, start + network.num_addresses)


def host_range(subnet: IPv4Network) -> Range:
    """The addresses of a subnet that hosts may have: all but the first and the last."""
    whole = network_range(subnet)
    return Range(whole.start + 1, whole.end - 1)
