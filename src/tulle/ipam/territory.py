"""What this peer owns and what is in use on it: ring, space and holdings kept in step, and on disk.

Owning and using are separate. Addresses in use stay in use when their range is lost (a takeover while this
peer was away, a repaired conflict): they become *strays*, which are never handed out twice here, are shown
to people, and are asked back from the new owner.
"""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from tulle.ipam.config import network_range
from tulle.ipam.holdings import Holdings
from tulle.ipam.journal import Journal
from tulle.ipam.merge import repairing_merge
from tulle.ipam.records import HELD, RING, RING_KEY, held_record, ring_record
from tulle.ipam.ring import Range, Ring
from tulle.ipam.settling import Settling
from tulle.ipam.space import Space
from tulle.mesh.peername import PeerName

MAX_OWN_SPLIT = 1 << 16
"""With more entries than this nothing is split any further: every peer has to hold the ring."""


class Territory:
    """The ring from the view of one peer, with the addresses in use here."""

    def __init__(self, me: PeerName, universe: IPv4Network, holdings: Holdings, journal: Journal) -> None:
        self.me = me
        self.universe = network_range(universe)
        self.ring = Ring(*self.universe)
        self.space = Space()
        self.holdings = holdings
        self.strays: set[int] = set()
        self.settling = Settling()
        self._journal = journal
        self.counts_changed = False
        """Whether our free counts in the ring may be out of date."""
        for address in holdings:
            if address in self.universe:
                self.space.use(address)

    @property
    def divided(self) -> bool:
        """Whether there is a ring: everything else has to wait for it."""
        return bool(self.ring.entries)

    def owner(self, address: int) -> PeerName | None:
        """Who owns the address."""
        return self.ring.owner(address)

    def adopt(self, ring: Ring, save: bool = True) -> list[Range]:
        """Make this the ring. Returns the ranges lost by it."""
        if ring == self.ring:
            return []
        was_divided, self.ring = self.divided, ring
        if save:
            self._journal.save(RING, RING_KEY, ring_record(ring, self.me))
        gained, lost = self.space.own(ring.owned_ranges(self.me))
        self.counts_changed |= bool(gained or lost)
        if not was_divided:
            self.strays = {
                address for address in self.space.used_in(self.universe) if not self.space.owns(address)
            }
        for piece in gained:
            self.strays.difference_update(self.space.used_in(piece))
        for piece in lost:
            self.strays.update(self.space.used_in(piece))
        return lost

    def divide(self, peers: tuple[PeerName, ...]) -> None:
        """Make the first ring."""
        self.adopt(Ring(*self.universe).claim_for_peers(peers))

    def merge(self, theirs: Ring) -> tuple[list[Range], bool]:
        """Take another peer's ring in. Raises RingMismatch.

        Returns the ranges lost, and whether our view of who owns what differs from theirs in what they
        spoke of.
        """
        merged, contested = repairing_merge(self.ring, theirs)
        self.settling.heard()
        if contested:
            merged = merged.with_entries(
                entry.raised() if entry.token in contested and entry.peer == self.me else entry
                for entry in merged.entries
            )
        lost = self.adopt(merged)
        if lost:
            self.report_free()
        owners = {entry.token: entry.peer for entry in self.ring.entries}
        return lost, any(owners[entry.token] != entry.peer for entry in theirs.entries)

    def donate(self, wanted: Range, to: PeerName) -> Range | None:
        """Give a peer some of our free addresses in this range; None when there are none to give."""
        clipped = wanted.clip(self.universe)
        if clipped.size <= 0 or len(self.ring.entries) >= MAX_OWN_SPLIT:
            return None
        given = self.space.donation(clipped)
        if given is not None:
            self.adopt(self.ring.grant(given, to))
            self.report_free()
        return given

    def transfer(self, source: PeerName, to: PeerName, users: Mapping[int, PeerName]) -> list[Range]:
        """Everything of ``source`` becomes ``to``'s, by force, but for the addresses of ``users``.

        Returns what it was.
        """
        ranges = self.ring.owned_ranges(source)
        ring = self.ring.transfer(source, to)
        for address in sorted(users):
            inherited = self.ring.owner(address) == source
            if inherited and users[address] != to and len(ring.entries) < MAX_OWN_SPLIT:
                ring = ring.grant(Range(address, address + 1), users[address])
        self.adopt(ring)
        self.report_free()
        return ranges

    def report_free(self) -> None:
        """Put the true numbers of free addresses into our entries."""
        self.counts_changed = False
        self.adopt(self.ring.report_free(self.me, self.space.free_in))

    def misreported(self) -> float:
        """How wrong the ring is about our free space: 0 is the truth, 1 means something instead of nothing.

        Between these it is the share of the larger number by which the worst of our entries is wrong.
        """
        if not self.counts_changed:
            return 0.0
        reported = self.ring.report_free(self.me, self.space.free_in)
        pairs = zip(self.ring.entries, reported.entries, strict=True)
        return max((abs(old.free - new.free) / max(old.free, new.free, 1) for old, new in pairs), default=0.0)

    def hold(self, ident: str, interface: IPv4Interface) -> None:
        """Note on disk that ``ident`` has the address, which nobody else may have here."""
        address = int(interface)
        self.holdings.add(ident, interface)
        self._journal.save(HELD, str(interface.ip), held_record(ident, interface))
        if address in self.universe:
            self.space.use(address)
            self.counts_changed = True

    def release(self, ident: str, address: IPv4Address | None) -> list[IPv4Interface]:
        """Take one or all addresses from a holder; they become free if we own them."""
        dropped = self.holdings.drop(ident, address)
        for interface in dropped:
            self._journal.save(HELD, str(interface.ip), None)
            if int(interface) in self.universe:
                self.space.release(int(interface))
                self.strays.discard(int(interface))
                self.counts_changed = True
        return dropped
