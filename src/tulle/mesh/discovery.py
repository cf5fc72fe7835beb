"""Addresses of peers that we could connect to but have only heard of."""

from collections.abc import Container, Iterator

from tulle.mesh.addresses import parse_address
from tulle.mesh.events import Address
from tulle.mesh.peername import PeerName
from tulle.mesh.topology import Topology

MAX_ADDRESSES_PER_PEER = 4
MAX_ADDRESSES = 1024
"""Limits on what gossip can make us dial."""


def discover(topology: Topology, linked: Container[PeerName], port: int) -> dict[Address, PeerName]:
    """Where peers without a link to us can be found, by what others say of their connections.

    An outbound connection names the address that worked. Of an inbound one only the IP address is of use: we
    try it with our own port.
    """
    me = topology.me.name
    wanted = {name for name in topology.peers if name != me and name not in linked}
    found: dict[Address, PeerName] = {}
    counts: dict[PeerName, int] = dict.fromkeys(wanted, 0)
    if not wanted:
        return found
    for name, address in _addresses(topology, wanted, port):
        if address not in found and counts[name] < MAX_ADDRESSES_PER_PEER:
            counts[name] += 1
            found[address] = name
            if len(found) >= MAX_ADDRESSES:
                break
    return found


def _addresses(topology: Topology, wanted: set[PeerName], port: int) -> Iterator[tuple[PeerName, Address]]:
    for peer in topology.peers.values():
        for connection in peer.connections:
            if connection.name in wanted:
                address = parse_address(connection.address)
                if address is not None:
                    yield connection.name, address if connection.outbound else (address[0], port)
