"""Who is connected to whom, as sets of bits.

Every peer has a bit; its connections are an integer with the bits of the peers it lists. Searching a full
mesh of hundreds of peers is then a few hundred operations on integers. ``mutual`` keeps only connections that
both ends list as established: those that carry frames.
"""

from collections.abc import Iterable, Iterator

from tulle.mesh.peername import UNKNOWN_PEER, PeerName
from tulle.mesh.summary import PeerSummary

_SPARSE = 16
_IN_BYTE = [tuple(bit for bit in range(8) if byte >> bit & 1) for byte in range(256)]


def bits(mask: int) -> Iterator[int]:
    """The positions of the ones in ``mask``, lowest first.

    Few are taken one by one, many by the byte: each operation on the whole mask costs by its length.
    """
    if mask.bit_count() * _SPARSE < mask.bit_length():
        while mask:
            low = mask & -mask
            yield low.bit_length() - 1
            mask ^= low
        return
    start = 0
    for byte in mask.to_bytes((mask.bit_length() + 7) // 8, "little"):
        for bit in _IN_BYTE[byte]:
            yield start + bit
        start += 8


class Graph:
    """All peers and their connections.

    ``generation`` grows with every change of an edge or a peer, ``mutual_generation`` only where ``mutual``
    is another than before: most of what peers tell of themselves changes nothing for frames.
    """

    def __init__(self) -> None:
        self.generation = 0
        self.mutual_generation = 0
        self.names: list[PeerName] = []
        self.listed: list[int] = []
        self.mutual: list[int] = []
        self._live: list[int] = []
        self._bit: dict[PeerName, int] = {}
        self._free: list[int] = []

    def bit(self, name: PeerName) -> int | None:
        """The position of this peer, if it is in the graph."""
        return self._bit.get(name)

    def mask(self, names: Iterable[PeerName]) -> int:
        """These peers as a set of bits."""
        mask = 0
        for name in names:
            mask |= 1 << self._bit[name]
        return mask

    def connections(self, name: PeerName) -> int:
        """The peers that this one lists, as a set of bits."""
        return self.listed[self._bit[name]]

    def put(self, peer: PeerSummary) -> None:
        """Replace what is known of this peer's connections; peers it lists are added without any."""
        me = self._claim(peer.name)
        listed = live = 0
        for connection in peer.connections:
            mask = 1 << self._claim(connection.name)
            listed |= mask
            if connection.established:
                live |= mask
        own = ~(1 << me)
        self._set(me, listed & own, live & own)

    def remove(self, names: Iterable[PeerName]) -> None:
        """Forget peers that no peer outside ``names`` lists."""
        doomed = [self._bit[name] for name in names]
        for bit in doomed:
            self._set(bit, 0, 0)
        for bit in doomed:
            del self._bit[self.names[bit]]
            self.names[bit] = UNKNOWN_PEER
            self._free.append(bit)
        self.generation += 1
        self.mutual_generation += 1

    def reach(self, start: PeerName) -> frozenset[PeerName]:
        """Every peer on a path from ``start`` over connections of any state, ``start`` included."""
        reached = frontier = 1 << self._bit[start]
        while frontier:
            found = 0
            for bit in bits(frontier):
                found |= self.listed[bit]
            frontier = found & ~reached
            reached |= frontier
        return frozenset(self.names[bit] for bit in bits(reached))

    def has_detour(self, one: PeerName, other: PeerName) -> bool:
        """Whether one reaches the other by way of others, over connections that both their ends list."""
        start, goal = self._bit.get(one), self._bit.get(other)
        if start is None or goal is None:
            return False
        reached = 1 << start
        frontier = [start]
        while frontier:
            here = frontier.pop()
            for bit in bits(self.listed[here] & ~reached):
                direct = here == start and bit == goal
                if direct or not self.listed[bit] >> here & 1:
                    continue
                if bit == goal:
                    return True
                reached |= 1 << bit
                frontier.append(bit)
        return False

    def _claim(self, name: PeerName) -> int:
        bit = self._bit.get(name)
        if bit is not None:
            return bit
        self.generation += 1
        if self._free:
            bit = self._free.pop()
            self.names[bit] = name
        else:
            bit = len(self.names)
            self.names.append(name)
            for table in (self.listed, self.mutual, self._live):
                table.append(0)
        self._bit[name] = bit
        return bit

    def _set(self, me: int, listed: int, live: int) -> None:
        if listed == self.listed[me] and live == self._live[me]:
            return
        self.generation += 1
        changed = live ^ self._live[me]
        self.listed[me] = listed
        self._live[me] = live
        for other in bits(changed):
            if not self._live[other] >> me & 1:
                continue
            self.mutual_generation += 1
            self.mutual[me] ^= 1 << other
            self.mutual[other] ^= 1 << me
