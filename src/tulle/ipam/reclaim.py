"""Getting back addresses that are in use here but whose range belongs to another peer."""

from ipaddress import IPv4Address

from tulle.instant import Instant
from tulle.ipam.asking import Asking
from tulle.ipam.directory import Directory
from tulle.ipam.journal import Journal
from tulle.ipam.ring import Range
from tulle.ipam.territory import Territory

BATCH = 64
"""How many addresses are asked back at a time; the rest follows on later ticks."""

RETRY_DENIED = 60.0
"""Seconds until an owner that uses the address itself is asked again."""


class Reclaiming:
    """Asks the owners of strays for them, in the background."""

    def __init__(self, territory: Territory, asking: Asking, journal: Journal, directory: Directory) -> None:
        self._territory, self._asking = territory, asking
        self._journal, self._directory = journal, directory
        self._denied_until: dict[int, float] = {}

    def denied(self, address: int) -> bool:
        """Whether the owner said that it uses the address itself."""
        return address in self._denied_until

    def pursue(self, now: Instant) -> None:
        """Ask for some of what is missing."""
        strays = self._territory.strays
        for address in [address for address in self._denied_until if address not in strays]:
            del self._denied_until[address]
        due = sorted(address for address in strays if now.mono >= self._denied_until.get(address, 0.0))
        for address in due[:BATCH]:
            wanted = Range(address, address + 1)
            if not self._asking.pursue(wanted, self._territory.ring, now):
                self._refused(address, now)

    def _refused(self, address: int, now: Instant) -> None:
        if address not in self._denied_until:
            owner, holder = self._territory.owner(address), self._territory.holdings.holder(address)
            label = self._directory.label(owner) if owner is not None else "nobody"
            self._journal.log(
                "error",
                f"{IPv4Address(address)} is used twice: here by {holder}, and on {label}, which owns it now;"
                " give one of the two another address",
            )
        self._denied_until[address] = now.mono + RETRY_DENIED


def lost_range(piece: Range, territory: Territory, directory: Directory) -> str:
    """What to tell people of a range that went to others without being given away."""
    owner = territory.owner(piece.start)
    label = directory.label(owner) if owner is not None else "nobody"
    strays = len(territory.space.used_in(piece))
    rest = f"; {strays} addresses in use here are asked back" if strays else ""
    return f"the range {piece} belongs to {label} now and is given up here{rest}"
