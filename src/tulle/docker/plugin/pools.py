"""Pools: what Docker calls the subnet of a network. The id that Docker keeps says all there is to know."""

from dataclasses import dataclass
from ipaddress import IPv4Network

from tulle.docker.plugin import messages
from tulle.docker.plugin.messages import PoolRequest
from tulle.errors import UserError

SPACE = "TulleLocal"
"""The address space of our pools; networks whose addresses Docker itself deals out have another."""


@dataclass(frozen=True, slots=True)
class Pool:
    """``subnet`` is what containers see; automatic addresses come from ``part`` of it."""

    subnet: IPv4Network
    part: IPv4Network

    @property
    def ident(self) -> str:
        """The id under which Docker knows it."""
        return str(self.subnet) if self.part == self.subnet else f"{self.subnet} {self.part}"


def parse_pool(ident: str) -> Pool:
    """The pool of an id that was made here. Raises UserError."""
    words = ident.split(" ")
    if len(words) > 2:
        raise UserError(f"{ident[:60]!r} is not a pool of tulle's")
    subnets = [messages.subnet(word) for word in words]
    return Pool(subnets[0], subnets[-1])


def choose_pool(request: PoolRequest, default: IPv4Network | None, whole: IPv4Network | None) -> Pool:
    """The pool that a user means: the ``default`` subnet if none is named. Raises UserError."""
    if request.v6:
        raise UserError("tulle's networks have IPv4 addresses only; leave --ipv6 out")
    if default is None or whole is None:
        raise UserError("address allocation is turned off here (--ipalloc-range is empty)")
    subnet = messages.subnet(request.pool) if request.pool else default
    if not subnet.subnet_of(whole):
        raise UserError(
            f"{subnet} is not inside {whole}, the range that all hosts share; choose a subnet inside, or"
            " launch the hosts with another --ipalloc-range"
        )
    part = messages.subnet(request.sub_pool) if request.sub_pool else subnet
    if not part.subnet_of(subnet):
        raise UserError(f"the --ip-range {part} is not inside the --subnet {subnet}")
    return Pool(subnet, part)
