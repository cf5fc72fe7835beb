"""Taking the ranges of a peer that is gone (rmpeer).

A takeover by mistake makes two peers hand out the same addresses, and no protocol can undo that. So first
we make as sure as the network allows:

* the peer must not be reachable now, over any number of hops;
* every other owner of ranges is asked for its view of the ring, and must answer. Any of them may have got
  space from the lost peer that we have not heard of yet. Owners that cannot be reached may be on the other
  side of a partition together with the peer, alive and well: then the takeover is refused, and says who
  they are;
* ``force`` means that a human knows better than both.

The question is a request for space outside the whole range: nobody owns any there, so every peer, Weave
Net's too, answers with a denial and its ring.

What containers of the living have of the lost peer's addresses goes to the hosts of these containers, not to
the heir: a host that starts over with an empty disk and under a new name still runs what it ran before. The
peers of our own kind answer the question with these addresses, before their ring.

Two peers may remove the same one at once. So the ranges go not to whoever asks but to an heir that everybody
finds alike among the owners: both then say the same, and nobody gives out what another one has too. Only by
force they go to the asker, who then knows better than the others; two who force it at once have the same
addresses for a moment, and the order of the repairing merge decides for one of them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tulle.errors import UserError
from tulle.instant import Instant
from tulle.ipam.journal import Journal
from tulle.ipam.ring import Range
from tulle.ipam.territory import Territory
from tulle.mesh.peername import PeerName

SOON = 1.0
"""Seconds that peers without ranges get to answer; they may have no address management at all."""

LATE = 5.0
"""Seconds that owners get to answer before the takeover is refused."""


@dataclass(frozen=True, slots=True)
class TakenOver:
    """Result of a takeover. ``unasked``: owners that could not be asked, when it was forced."""

    peer: PeerName
    ranges: tuple[Range, ...]
    unasked: tuple[PeerName, ...]

    @property
    def addresses(self) -> int:
        """How many addresses changed hands."""
        return sum(piece.size for piece in self.ranges)


@dataclass(slots=True)
class _Inquiry:
    ticket: int
    peer: PeerName
    force: bool
    soon: float
    late: float
    waiting: set[PeerName] = field(default_factory=set)
    users: dict[PeerName, Iterable[int]] = field(default_factory=dict)


class Takeovers:
    """Takeovers that wait for answers."""

    def __init__(
        self,
        territory: Territory,
        journal: Journal,
        ask: Callable[[PeerName, Instant], None],
        took: Callable[[Instant], None],
        label: Callable[[PeerName], str],
        in_use: Callable[[], Iterable[int]],
    ) -> None:
        """``ask`` requests a peer's ring, ``took`` hears that ranges changed hands, ``label`` names peers.

        ``in_use`` tells what is in use here without being owned.
        """
        self._territory, self._journal = territory, journal
        self._ask, self._took, self._label = ask, took, label
        self._in_use = in_use
        self._reachable: frozenset[PeerName] = frozenset()
        self._inquiries: list[_Inquiry] = []
        self._closed: UserError | None = None

    def start(self, ticket: int, peer: PeerName, force: bool, now: Instant) -> None:
        """Begin; the answer comes through the journal."""
        if peer == self._territory.me:
            self._journal.refuse(ticket, UserError("this host cannot remove itself; use 'tulle reset' on it"))
            return
        if self._closed is not None:
            self._journal.refuse(ticket, self._closed)
            return
        inquiry = _Inquiry(ticket, peer, force, now.mono + SOON, now.mono + LATE)
        if self._refused(inquiry, self._absent(peer)):
            return
        inquiry.waiting = set(self._reachable) - {peer}
        for other in sorted(inquiry.waiting):
            self._ask(other, now)
        self._inquiries.append(inquiry)
        self._proceed(now)

    def answered(self, peer: PeerName, now: Instant) -> None:
        """The peer sent us its ring."""
        for inquiry in self._inquiries:
            inquiry.waiting.discard(peer)
        self._proceed(now)

    def in_use(self, peer: PeerName, addresses: Iterable[int]) -> None:
        """The peer uses these addresses and does not own them."""
        for inquiry in self._inquiries:
            inquiry.users[peer] = addresses

    def reachable_changed(self, reachable: frozenset[PeerName], now: Instant) -> None:
        """These peers can be reached now."""
        self._reachable = reachable
        for inquiry in self._inquiries:
            inquiry.waiting &= reachable
        self._proceed(now)

    def cancel(self, ticket: int) -> None:
        """Nobody waits for this one any more."""
        self._inquiries = [inquiry for inquiry in self._inquiries if inquiry.ticket != ticket]

    def close(self, reason: UserError) -> None:
        """This peer leaves: what it took over now would be nobody's afterwards."""
        self._closed = reason
        for inquiry in self._inquiries:
            self._journal.refuse(inquiry.ticket, reason)
        self._inquiries.clear()

    def tick(self, now: Instant) -> None:
        """Time has passed."""
        self._proceed(now)

    def next_deadline(self) -> float:
        """When the next inquiry has waited long enough."""
        return min((min(inquiry.soon, inquiry.late) for inquiry in self._inquiries), default=float("inf"))

    def _heir(self, inquiry: _Inquiry) -> PeerName:
        """Who gets the ranges: with as little regard as can be to who else there is, for views may differ."""
        owners = self._territory.ring.owners - {inquiry.peer}
        if inquiry.force or not owners:
            return self._territory.me
        return min(owners, key=lambda owner: owner ^ inquiry.peer)

    def _absent(self, peer: PeerName) -> list[PeerName]:
        return sorted(self._territory.ring.owners - self._reachable - {peer, self._territory.me})

    def _refused(self, inquiry: _Inquiry, unasked: Iterable[PeerName]) -> bool:
        """Refuse the takeover if there is a reason to that force does not override."""
        if inquiry.force:
            return False
        who = self._label(inquiry.peer)
        if inquiry.peer in self._reachable:
            text = (
                f"{who} is reachable now, so its addresses are in use: run 'tulle reset' there, or, if"
                " another host pretends to be it, add --force"
            )
        elif names := ", ".join(map(self._label, unasked)):
            text = (
                f"cannot ask {names} about the ranges of {who}: if these are only cut off from here, {who}"
                " may be running among them, and taking its ranges would give addresses out twice. Bring them"
                f" back, or, if you know that {who} is gone for good, repeat with --force"
            )
        else:
            return False
        self._journal.refuse(inquiry.ticket, UserError(text, 409))
        return True

    def _proceed(self, now: Instant) -> None:
        for inquiry in list(self._inquiries):
            owners = inquiry.waiting & self._territory.ring.owners
            if (
                not inquiry.waiting
                or (now.mono >= inquiry.soon and (not owners or inquiry.force))
                or now.mono >= inquiry.late
            ):
                self._finish(inquiry, owners, now)
            elif now.mono >= inquiry.soon:
                inquiry.soon = inquiry.late

    def _finish(self, inquiry: _Inquiry, silent: set[PeerName], now: Instant) -> None:
        self._inquiries.remove(inquiry)
        unasked = sorted({*self._absent(inquiry.peer), *silent})
        if self._refused(inquiry, unasked):
            return
        ranges = self._territory.transfer(inquiry.peer, self._heir(inquiry), self._users(inquiry))
        self._journal.answer(inquiry.ticket, TakenOver(inquiry.peer, tuple(ranges), tuple(unasked)))
        if ranges:
            self._took(now)

    def _users(self, inquiry: _Inquiry) -> dict[int, PeerName]:
        """Whose each address is that somebody uses; of two who use the same one, the lower peer's."""
        users = {**inquiry.users, self._territory.me: self._in_use()}
        return {address: peer for peer in sorted(users, reverse=True) for address in users[peer]}
