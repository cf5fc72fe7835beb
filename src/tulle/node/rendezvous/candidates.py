"""Addresses at which peers may be reached: which of ours to tell, and which of theirs to believe.

An offer makes us send a few packets to each address in it. So nobody may name more than a few, nor one where
a packet has more than one receiver or does not leave this host, nor one inside the network that we make.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from tulle.datapath.sleeve.orders import Endpoint
from tulle.node.rendezvous.messages import Candidate, Origin

MAX_LOCAL = 4
MAX_SEEN = 4


class Whereabouts:
    """Where we are ourselves. ``port`` is the mesh's; ``overlay`` the network of the containers, if known."""

    def __init__(self, port: int, overlay: IPv4Network | None) -> None:
        self._port = port
        self._overlay = overlay
        self._local: tuple[IPv4Interface, ...] = ()
        self._seen: tuple[Endpoint, ...] = ()

    def set_local(self, interfaces: Iterable[IPv4Interface]) -> bool:
        """The addresses on our interfaces; says whether what we tell is different now."""
        before = self.candidates()
        self._local = tuple(sorted(one for one in interfaces if self._is_somewhere(one.ip)))
        return self.candidates() != before

    def set_seen(self, endpoints: Iterable[Endpoint]) -> bool:
        """The addresses at which others see us; says whether what we tell is different now."""
        seen = tuple(sorted(set(endpoints)))
        if seen == self._seen:
            return False
        before = self.candidates()
        self._seen = seen
        return self.candidates() != before

    def candidates(self) -> tuple[Candidate, ...]:
        """What to tell of ourselves."""
        local = [Endpoint(str(one.ip), self._port) for one in self._local][:MAX_LOCAL]
        seen = [one for one in self._seen if one not in local][:MAX_SEEN]
        return (
            *(Candidate(Origin.LOCAL, endpoint) for endpoint in local),
            *(Candidate(Origin.SEEN, endpoint) for endpoint in seen),
        )

    def believable(self, told: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """What a peer told of itself, without what cannot be true or must not be tried."""
        return tuple(dict.fromkeys(one for one in told if self._may_try(one.endpoint)))

    def _may_try(self, endpoint: Endpoint) -> bool:
        ip = IPv4Address(endpoint.ip)
        ours = any(ip in (one.ip, one.network.broadcast_address) for one in self._local)
        return endpoint.port != 0 and self._is_somewhere(ip) and not ours

    def _is_somewhere(self, ip: IPv4Address) -> bool:
        """Whether this is the address of one host, outside of our own network."""
        nowhere = ip.is_multicast or ip.is_loopback or ip.is_unspecified or ip.is_link_local or ip.is_reserved
        in_this_network = int(ip) < 1 << 24
        return not (nowhere or in_this_network or (self._overlay is not None and ip in self._overlay))
