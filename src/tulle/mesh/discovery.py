"""Addresses of peers that we could connect to but have only heard of."""

from collections.abc import Container

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
    for name, texts in _mentions(topology, wanted).items():
        for text, outbound in texts:
            address = parse_address(text)
            if address is not None and len(found) < MAX_ADDRESSES:
                found.setdefault(address if outbound else (address[0], port), name)
    return found


def _mentions(topology: Topology, wanted: set[PeerName]) -> dict[PeerName, list[tuple[str, bool]]]:
    """What others call the wanted peers: addresses as text, and whether they work for dialling."""
    mentions: dict[PeerName, list[tuple[str, bool]]] = {name: [] for name in wanted}
    for peer in topology.peers.values() if wanted else ():
        for connection in peer.connections:
            texts = mentions.get(connection.name)
            if texts is not None and len(texts) < MAX_ADDRESSES_PER_PEER:
                mention = (connection.address, connection.outbound)
                if mention not in texts:
                    texts.append(mention)
    return mentions
