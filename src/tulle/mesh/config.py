"""What the mesh is told once, at its start."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address

from tulle.mesh.events import Address
from tulle.mesh.peername import PeerName

DEFAULT_PORT = 6783


@dataclass(frozen=True, slots=True)
class MeshConfig:
    """Who we are and what we offer.

    ``uid`` is random and new for every process, never zero. ``carriers`` are offered in this order.
    ``short_id`` is None to draw one. ``conn_limit`` bounds the links that are up, ``discovery`` allows to
    connect to peers we only heard of, ``trusted_subnets`` are where frames need no encryption if the other
    end agrees. ``acquaintances`` are the peers of an earlier life and where they were.
    """

    name: PeerName
    nickname: str
    uid: int
    port: int = DEFAULT_PORT
    password: bytes | None = field(default=None, repr=False)
    conn_limit: int = 200
    discovery: bool = True
    carriers: tuple[str, ...] = ("fastdp", "sleeve")
    short_id: int | None = None
    trusted_subnets: tuple[IPv4Network | IPv6Network, ...] = ()
    acquaintances: Mapping[PeerName, Address] = field(default_factory=dict)

    def trusts(self, ip: str) -> bool:
        """Whether this address is in a trusted subnet."""
        return is_within(ip, self.trusted_subnets)


def is_within(ip: str, subnets: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether an address is in one of these subnets."""
    address = ip_address(ip)
    return any(address in subnet for subnet in subnets if subnet.version == address.version)
