"""What peers tell each other about addresses: our state out, theirs in, and space from one to the other."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network
from random import Random

from tulle.errors import Incompatible
from tulle.instant import Instant
from tulle.ipam import weave
from tulle.ipam.asking import Asking
from tulle.ipam.directory import Directory
from tulle.ipam.election import Election, Step
from tulle.ipam.journal import Journal
from tulle.ipam.merge import RingMismatch
from tulle.ipam.reclaim import lost_range
from tulle.ipam.records import VOTE, VOTE_KEY, vote_record
from tulle.ipam.ring import Range, Ring
from tulle.ipam.territory import Territory
from tulle.mesh.channel import Broadcast, Keys, Unicast
from tulle.mesh.peername import PeerName

STATE: Keys = frozenset({"state"})
"""The one thing this channel keeps alike on all peers."""

QUESTION: Keys = frozenset({"question"})
"""An empty state, with which a peer that has no vote asks for the range to be divided."""


class Exchange:
    """Conversation with the other peers. Messages go out through the journal."""

    def __init__(
        self, territory: Territory, election: Election, directory: Directory, journal: Journal, rng: Random
    ) -> None:
        self._territory, self._election = territory, election
        self._directory, self._journal = directory, journal
        self._said: tuple[int, weave.State] | None = None
        self._bytes = b""
        self.asking = Asking(territory.me, rng, self.request_space)

    def encode_all(self, now: Instant) -> bytes:
        """Our state, with what every peer is called."""
        return weave.encode_state(self._state(self._nicknames()), self._territory.me, now.wall)

    def encode(self, keys: Keys, now: Instant) -> bytes:
        """Our state, or the question while there is still something to ask.

        The same goes to one neighbour after the other, so it is put into bytes once.
        """
        nicknames = self._directory.nicknames_of_absent(self._territory.ring.owners)
        if not self._territory.divided:
            state = weave.State(nicknames) if keys == QUESTION else self._state(nicknames)
            return weave.encode_state(state, self._territory.me, now.wall)
        said = (int(now.wall), self._state(nicknames))
        if self._said != said:
            self._said, self._bytes = said, weave.encode_state(said[1], self._territory.me, now.wall)
        return self._bytes

    def need_ring(self, now: Instant) -> None:
        """Somebody needs the range to be divided: see to it."""
        if not self._territory.divided:
            self._take(self._election.want(now))

    def absorb(self, state: weave.State, sender: PeerName, may_reply: bool, now: Instant) -> None:
        """Take in what a peer said. ``may_reply`` unless it was spoken to many. Raises BadMessage."""
        self._directory.learn(state.nicknames)
        if state.ring is not None:
            self._merge(state.ring, sender, now)
        elif self._territory.divided:
            if may_reply:
                self.send_ring(sender, now)
        elif state.claims is not None:
            self._take(self._election.hear(state.claims))
        elif may_reply and self._election.votes:
            self._take(self._election.want(now))

    def donate(self, wanted: Range, to: PeerName, now: Instant) -> None:
        """A peer asks for space: give some or say no, and show it the ring in any case.

        While our own ring is in doubt we stay silent about what is in it; the peer asks again.
        """
        if not self._territory.divided or to == self._territory.me:
            return
        if not self.is_about_ring(wanted) and not self._territory.settling.settled(now):
            return
        given = self._territory.donate(wanted, to)
        if given is None:
            self._territory.report_free()
            self._direct(to, weave.SpaceDenied(wanted), now)
        else:
            self._journal.log("debug", f"gave {given} to {self._directory.label(to)}")
            self._journal.send(Broadcast(STATE))
        self.send_ring(to, now)

    def request_space(self, peer: PeerName, wanted: Range, now: Instant) -> None:
        """Ask a peer for free addresses of this range."""
        self._direct(peer, weave.SpaceRequest(wanted), now)

    def request_ring(self, peer: PeerName, now: Instant) -> None:
        """Ask a peer for its ring: it sends it after denying space that nobody has."""
        beyond = self._territory.universe.end
        self.request_space(peer, Range(beyond, beyond + 1), now)

    def is_about_ring(self, wanted: Range) -> bool:
        """Whether a request is for what ``request_ring`` asks, where there is no space."""
        return wanted.clip(self._territory.universe).size <= 0

    def tell_in_use(self, to: PeerName, addresses: Iterable[int], now: Instant) -> None:
        """Tell a peer of our own kind what we use without owning it: it may be about to take it over."""
        if to in self.asking.natives and (some := tuple(sorted(addresses)[: weave.MAX_IN_USE])):
            self._direct(to, weave.InUse(some), now)

    def show_and_ask(self, peer: PeerName, now: Instant) -> None:
        """Show a peer our ring, and ask for its own as it is then."""
        self.send_ring(peer, now)
        self.request_ring(peer, now)

    def send_ring(self, to: PeerName, now: Instant) -> None:
        """Show a peer our ring."""
        self._direct(to, weave.RingUpdate(self._state(self._nicknames())), now)

    def _direct(self, to: PeerName, message: weave.Direct, now: Instant) -> None:
        self._journal.send(Unicast(to, weave.encode_direct(message, self._territory.me, now.wall)))

    def _state(self, nicknames: Mapping[PeerName, str]) -> weave.State:
        if self._territory.divided:
            return weave.State(nicknames, None, self._territory.ring)
        return weave.State(nicknames, self._election.claims, None)

    def _nicknames(self) -> dict[PeerName, str]:
        return self._directory.nicknames(self._territory.ring.owners)

    def _merge(self, theirs: Ring, sender: PeerName, now: Instant) -> None:
        was_divided = self._territory.divided
        try:
            lost, differs = self._territory.merge(theirs)
        except RingMismatch as mismatch:
            raise Incompatible(f"{self._directory.label(sender)}: {mismatch}") from None
        if self._territory.divided and not was_divided:
            self._journal.save(VOTE, VOTE_KEY, None)
        for piece in lost:
            self._journal.log("warning", lost_range(piece, self._territory, self._directory))
        if differs:
            self.send_ring(sender, now)

    def _take(self, step: Step) -> None:
        """Do what the election leads to."""
        if step.chosen is not None:
            self._territory.divide(step.chosen)
            self._journal.save(VOTE, VOTE_KEY, None)
            universe = IPv4Network((self._territory.universe.start, _prefix(self._territory.universe)))
            count = len(step.chosen)
            among = "belongs to this peer" if count == 1 else f"is divided among {count} peers"
            self._journal.log("info", f"{universe} {among} now")
        elif step.vote is not None:
            self._journal.save(VOTE, VOTE_KEY, vote_record(*step.vote))
        if step.ask:
            self._journal.send(Broadcast(QUESTION))
        elif step.vote is not None or step.chosen is not None:
            self._journal.send(Broadcast(STATE))


def _prefix(universe: Range) -> int:
    return 33 - universe.size.bit_length()
