"""Composing the status from the parts of an allocator."""

from collections.abc import Iterator
from ipaddress import IPv4Address

from tulle.ipam.asking import Asking
from tulle.ipam.config import IpamConfig
from tulle.ipam.directory import Directory
from tulle.ipam.election import Election
from tulle.ipam.fulfilment import Fulfilment
from tulle.ipam.journal import Journal
from tulle.ipam.reclaim import Reclaiming
from tulle.ipam.requests import Allocate, Claim
from tulle.ipam.status import (
    EntryStatus,
    IpamStatus,
    OwnerStatus,
    PaxosStatus,
    PendingAllocate,
    PendingClaim,
    StrayStatus,
)
from tulle.ipam.territory import Territory
from tulle.mesh.peername import UNKNOWN_PEER, PeerName


class StatusView:
    """Reads the parts; changes nothing."""

    def __init__(
        self,
        config: IpamConfig,
        territory: Territory,
        directory: Directory,
        election: Election,
        fulfilment: Fulfilment,
        reclaiming: Reclaiming,
        asking: Asking,
        journal: Journal,
    ) -> None:
        self._config, self._territory, self._directory = config, territory, directory
        self._election, self._fulfilment = election, fulfilment
        self._reclaiming, self._asking, self._journal = reclaiming, asking, journal

    def compose(self) -> IpamStatus:
        """The picture of this moment."""
        entries = tuple(self._entries())
        return IpamStatus(
            range=self._config.universe,
            default_subnet=self._config.default_subnet,
            ready=self._territory.divided,
            active=len(self._territory.holdings),
            entries=entries,
            owners=tuple(self._owners(entries)),
            paxos=self._paxos(),
            pending_allocates=tuple(self._allocates()),
            pending_claims=tuple(self._claims()),
            strays=tuple(self._strays()),
            unsaved=self._journal.blocked,
        )

    def _entries(self) -> Iterator[EntryStatus]:
        for entry, ranges in self._territory.ring.arcs():
            mine = entry.peer == self._config.peer
            yield EntryStatus(
                token=IPv4Address(entry.token),
                size=sum(piece.size for piece in ranges),
                peer=entry.peer,
                nickname=self._directory.nickname(entry.peer),
                known=self._directory.known(entry.peer),
                version=entry.version,
                free=sum(map(self._territory.space.free_in, ranges)) if mine else entry.free,
            )

    def _owners(self, entries: tuple[EntryStatus, ...]) -> Iterator[OwnerStatus]:
        totals: dict[PeerName, tuple[int, int]] = {}
        for entry in entries:
            size, free = totals.get(entry.peer, (0, 0))
            totals[entry.peer] = (size + entry.size, free + entry.free)
        for peer in sorted(totals):
            nickname, known = self._directory.nickname(peer), self._directory.known(peer)
            yield OwnerStatus(peer, nickname, known, *totals[peer])

    def _paxos(self) -> PaxosStatus | None:
        if self._territory.divided or not self._election.wanted:
            return None
        elector = self._election.elector
        return PaxosStatus(self._election.votes, elector.quorum, len(elector.peers))

    def _allocates(self) -> Iterator[PendingAllocate]:
        for request in self._fulfilment.waiting.values():
            if isinstance(request, Allocate):
                waits_for = self._asking.waits_for(request.wanted, self._territory.ring)
                yield PendingAllocate(request.ident, request.subnet, tuple(waits_for))

    def _claims(self) -> Iterator[PendingClaim]:
        for request in self._fulfilment.waiting.values():
            if isinstance(request, Claim):
                waits_for = self._asking.waits_for(request.wanted, self._territory.ring)
                yield PendingClaim(request.ident, request.interface, tuple(waits_for))

    def _strays(self) -> Iterator[StrayStatus]:
        for address in sorted(self._territory.strays):
            owner = self._territory.owner(address) or UNKNOWN_PEER
            holder = self._territory.holdings.holder(address) or ""
            nickname, denied = self._directory.nickname(owner), self._reclaiming.denied(address)
            yield StrayStatus(IPv4Address(address), holder, owner, nickname, denied)
