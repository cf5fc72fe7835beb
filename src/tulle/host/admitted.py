"""What has to pass the forward chains of others, which drop what they do not know.

It is accepted behind their own first word on everything, if they have one (Docker's DOCKER-USER, where people
keep rules of their own), and before all others: no packet has to pass rules that do not concern it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from tulle.host.rules import FirewallConfig, Wanted

MARK = "tulle: "
"""What the comments of our rules among those of others begin with."""
FIRST_WORD = "DOCKER-USER"


@dataclass(frozen=True, slots=True)
class Admitted:
    """Traffic within ``bridge``, to and from ``exposed`` networks, and, if ``routed``, what is marked."""

    bridge: str
    exposed: Sequence[IPv4Network] = ()
    routed: bool = False

    @classmethod
    def of(cls, config: FirewallConfig, wanted: Wanted) -> "Admitted":
        """What a firewall admits itself."""
        networks = {one.address.network for one in wanted.exposed}
        routed = config.gateway is not None and bool(wanted.routed.networks)
        return cls(config.bridge, sorted(networks), routed)
