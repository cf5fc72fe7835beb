"""Address management as people and reports see it."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from tulle.mesh.peername import PeerName


@dataclass(frozen=True, slots=True)
class EntryStatus:
    """One token of the ring. ``free`` is the owner's own count for us, else what the owner last reported."""

    token: IPv4Address
    size: int
    peer: PeerName
    nickname: str
    known: bool
    """Whether the owner is this host or can be reached."""
    version: int
    free: int


@dataclass(frozen=True, slots=True)
class OwnerStatus:
    """All that one peer owns."""

    peer: PeerName
    nickname: str
    known: bool
    addresses: int
    free: int

    @property
    def used(self) -> int:
        """Addresses it does not report as free."""
        return self.addresses - self.free


@dataclass(frozen=True, slots=True)
class PaxosStatus:
    """The election of the first ring, while there is none."""

    elector: bool
    quorum: int
    known: int


@dataclass(frozen=True, slots=True)
class StrayStatus:
    """An address in use here whose range belongs to another peer.

    ``denied``: the owner was asked for it and says that it is in use there as well.
    """

    address: IPv4Address
    ident: str
    owner: PeerName
    nickname: str
    denied: bool


@dataclass(frozen=True, slots=True)
class PendingAllocate:
    """An allocation that waits, and the owners of free space it cannot ask."""

    ident: str
    subnet: IPv4Network
    waits_for: tuple[PeerName, ...]


@dataclass(frozen=True, slots=True)
class PendingClaim:
    """A claim that waits, and the owner it cannot ask."""

    ident: str
    interface: IPv4Interface
    waits_for: tuple[PeerName, ...]


@dataclass(frozen=True, slots=True)
class IpamStatus:
    """A consistent picture of one moment."""

    range: IPv4Network
    default_subnet: IPv4Network
    ready: bool
    """Whether the range is divided."""
    active: int
    """Addresses in use here."""
    entries: tuple[EntryStatus, ...]
    owners: tuple[OwnerStatus, ...]
    paxos: PaxosStatus | None
    pending_allocates: tuple[PendingAllocate, ...]
    pending_claims: tuple[PendingClaim, ...]
    strays: tuple[StrayStatus, ...]
    unsaved: bool
    """Whether the disk refused the last write: nothing new is handed out until it works again."""
