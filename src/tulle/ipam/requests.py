"""What users of address management wait for."""

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network

from tulle.ipam.config import host_range
from tulle.ipam.ring import Range


@dataclass(frozen=True, slots=True)
class Allocate:
    """Any free address of the subnet for ``ident``."""

    ident: str
    subnet: IPv4Network

    def __str__(self) -> str:
        return f"allocating for {self.ident} in {self.subnet}"

    @property
    def wanted(self) -> Range:
        """Where the address may come from."""
        return host_range(self.subnet)


@dataclass(frozen=True, slots=True)
class Claim:
    """Exactly this address for ``ident``. ``in_use``: it had the address before this daemon started."""

    ident: str
    interface: IPv4Interface
    in_use: bool = False

    def __str__(self) -> str:
        return f"claiming {self.interface} for {self.ident}"

    @property
    def wanted(self) -> Range:
        """The address as a range."""
        return Range(int(self.interface), int(self.interface) + 1)


@dataclass(frozen=True, slots=True)
class Prime:
    """Wait until the range is divided."""


Request = Allocate | Claim | Prime
