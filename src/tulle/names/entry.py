"""One name of one container: the unit of the names that gossip keeps alike on all peers.

An entry is never deleted from the shared state, only replaced: removing a name writes a tombstone with a
higher version. Because the larger of two entries always wins, peers may hear of changes in any order,
twice or late, and still agree. Only the peer that made an entry (its origin) may change it.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import NamedTuple

from tulle.mesh.peername import PeerName


class Key(NamedTuple):
    """What an entry is about. ``hostname`` is complete, with a final dot, and spelt as its origin did."""

    hostname: str
    origin: PeerName
    container: str
    address: int

    @property
    def ip(self) -> IPv4Address:
        """The address as the rest of the program wants it."""
        return IPv4Address(self.address)


@dataclass(frozen=True, slots=True)
class Entry:
    """The state of a key.

    ``version`` counts the changes that the origin made. ``tombstone`` is zero for a live name, otherwise
    the Unix time at which its origin removed it; it breaks ties and is shown to people, nothing is timed
    by it.
    """

    key: Key
    version: int
    tombstone: int

    @property
    def live(self) -> bool:
        """Whether the name is to be answered."""
        return self.tombstone == 0

    def replaces(self, other: "Entry") -> bool:
        """Whether this is news to somebody who holds ``other``: a total order on the states of a key."""
        return (self.version, self.tombstone) > (other.version, other.tombstone)
