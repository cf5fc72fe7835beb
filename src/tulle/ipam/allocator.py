"""Address management of one peer: the IPallocation channel and the requests of this host.

Inside owned space everything is local: no message is sent for an allocation, a claim or a release. Only when
something is missing (a first ring, free space, an address somebody else owns) the other peers are asked, and the
request waits. Requests are retried whenever the ring changes, and every few seconds.

Call ``collect`` after every other call. It hands out records, answers and (into ``outbox``) messages; the records
must be committed before answers are given or messages sent, see ``journal``.
"""

import math
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from random import Random

from tulle.errors import BadMessage, UserError
from tulle.instant import Instant
from tulle.ipam import weave
from tulle.ipam.asking import NATIVE_PATIENCE, Asking
from tulle.ipam.config import IpamConfig, Seed
from tulle.ipam.directory import Directory
from tulle.ipam.election import Election, Step
from tulle.ipam.events import Event
from tulle.ipam.fulfilment import Fulfilment, check_subnet
from tulle.ipam.journal import Journal
from tulle.ipam.merge import RingMismatch
from tulle.ipam.reclaim import Reclaiming
from tulle.ipam.records import RING, RING_KEY, VOTE, VOTE_KEY, RecordTuple, Restored, restore, vote_record
from tulle.ipam.requests import Allocate, Claim, Prime
from tulle.ipam.ring import Range, Ring
from tulle.ipam.status import IpamStatus
from tulle.ipam.statusview import StatusView
from tulle.ipam.takeover import Takeovers
from tulle.ipam.territory import Territory
from tulle.mesh.channel import NO_KEYS, Broadcast, Gossip, Keys, Merged, Unicast
from tulle.mesh.peername import PeerName

TICK = 5.0
"""Seconds between retries of whatever waits."""

REPORT_INTERVAL = 30.0
"""Seconds between corrections of our free counts in the ring that nobody is waiting for."""

STATE: Keys = frozenset({"state"})
QUESTION: Keys = frozenset({"question"})


class Allocator:
    """See the module text. ``restored`` are the records of a previous life, in any order."""

    name = "IPallocation"

    def __init__(self, config: IpamConfig, rng: Random, restored: Iterable[RecordTuple] = ()) -> None:
        self.config = config
        self._journal = Journal()
        self.outbox = self._journal.outbox
        previous = restore(restored, config.peer)
        self._directory = Directory(config.peer)
        self._territory = Territory(config.peer, config.universe, previous.holdings, self._journal)
        self._asking = Asking(config.peer, rng, self._request_space)
        self._fulfilment = Fulfilment(self._territory, self._asking, self._journal, self._directory)
        self._reclaiming = Reclaiming(self._territory, self._asking, self._journal, self._directory)
        self._takeovers = Takeovers(
            self._territory, self._journal, self._ask_ring, self._ownership_changed, self._directory.label
        )
        self._election = Election(config, rng, previous.vote, may_vote=not previous.ring_unreadable)
        self._next_tick = 0.0
        self._next_report = 0.0
        self._owed = False
        self._left = False
        self._begin(previous)

    # -- requests of this host

    def allocate(self, ticket: int, ident: str, subnet: IPv4Network, now: Instant) -> None:
        """Any free address of the subnet; the same one again for the same ident. Done(IPv4Interface)."""
        try:
            check_subnet(subnet, self.config.universe)
        except UserError as problem:
            self._journal.refuse(ticket, problem)
            return
        self._begin_request(ticket, Allocate(ident, subnet), now)

    def claim(self, ticket: int, ident: str, address: IPv4Address, prefixlen: int, now: Instant) -> None:
        """This very address. Outside the shared range it is only noted. Done(IPv4Interface)."""
        if not 0 <= prefixlen <= 32:
            problem = UserError(f"{address}/{prefixlen} is not an address; the prefix length is 0 to 32")
            self._journal.refuse(ticket, problem)
            return
        interface = IPv4Interface((int(address), prefixlen))
        self._begin_request(ticket, Claim(ident, interface), now)

    def prime(self, ticket: int, now: Instant) -> None:
        """Wait until the range is divided, and see to it that it is. Done(None)."""
        self._begin_request(ticket, Prime(), now)

    def cancel(self, ticket: int) -> None:
        """Nobody waits for this request any more; it gets no answer."""
        self._fulfilment.cancel(ticket)
        self._takeovers.cancel(ticket)

    def lookup(self, ident: str, subnet: IPv4Network | None = None) -> list[IPv4Interface]:
        """What a holder has, oldest first; only what belongs to the subnet if one is given."""
        return self._territory.holdings.of(ident, subnet)

    def release(self, ident: str, address: IPv4Address | None, now: Instant) -> list[IPv4Interface]:
        """Give back one address, or all of a holder. Returns what it had of these."""
        released = self._territory.release(ident, address)
        if released:
            self._retry(now)
        return released

    def reconcile(self, alive: Iterable[str], now: Instant) -> dict[str, list[IPv4Interface]]:
        """Release what belongs to holders that are not ``alive``. Returns what was released, by holder."""
        gone = set(self._territory.holdings.idents()) - set(alive)
        return {ident: self.release(ident, None, now) for ident in sorted(gone)}

    def held(self) -> Mapping[str, list[IPv4Interface]]:
        """All addresses in use here, by holder."""
        holdings = self._territory.holdings
        return {ident: holdings.of(ident) for ident in holdings.idents()}

    def takeover(self, ticket: int, peer: PeerName, now: Instant, force: bool = False) -> None:
        """Take the ranges of a peer that is gone, after asking the others. Done(TakenOver)."""
        self._journal.retry()
        self._takeovers.start(ticket, peer, force, now)

    def leave(self, ticket: int, now: Instant) -> None:
        """Give all our ranges to another peer and stop handing out addresses. Done(PeerName | None: the heir).

        Without anybody to give them to (None) the ranges stay registered to this peer.
        """
        self._journal.retry()
        self._left = True
        self._fulfilment.close()
        heir = self._directory.heir(self._territory.ring)
        if heir is not None and self.config.peer in self._territory.ring.owners:
            self._territory.transfer(self.config.peer, heir)
            self._journal.send(Broadcast(STATE))
        self._journal.answer(ticket, heir)

    @property
    def ring(self) -> Ring:
        """Who owns what, as far as this peer has heard."""
        return self._territory.ring

    def find_peer(self, text: str) -> PeerName | None:
        """The owner of ranges that is written so: by name or nickname. Knows peers that are long gone.

        Raises UserError if several have that nickname.
        """
        return self._directory.find(text, self._territory.ring.owners)

    # -- what the node knows

    def expect_cluster(self, size: int) -> None:
        """How many peers, this one included, are configured; the first division needs most of them."""
        self._election.expect(size)

    def peers_changed(
        self,
        reachable: frozenset[PeerName],
        nicknames: Mapping[PeerName, str],
        now: Instant,
        natives: frozenset[PeerName] = frozenset(),
    ) -> None:
        """Which peers can be reached, over any number of hops, what they are called, and which run tulle."""
        reachable -= {self.config.peer}
        self._directory.update(reachable, nicknames)
        news = reachable - self._asking.reachable
        self._asking.reachable, self._asking.natives = reachable, natives
        self._takeovers.reachable_changed(reachable, now)
        if news:
            self._retry(now)

    def peers_gone(self, names: Iterable[PeerName], now: Instant) -> None:
        """The mesh forgot these peers; so do we, unless they own ranges."""
        self._directory.forget(names, self._territory.ring.owners)

    # -- the channel

    def encode_all(self, dialect: str, now: Instant) -> list[bytes]:
        """Our state, or nothing while a part of it is not on disk yet."""
        return self.encode_some(dialect, STATE, now)

    def encode_some(self, dialect: str, keys: Keys, now: Instant) -> list[bytes]:
        """Our state, or the question of a peer that needs a ring."""
        if self._journal.dirty:
            self._owed = True
            return []
        question = bool(keys & QUESTION) and not self._territory.divided
        state = weave.State(self._directory.nicknames) if question else self._state()
        return [weave.encode_state(state, self.config.peer, now.wall)] if keys else []

    def merge(self, dialect: str, payload: bytes, sender: PeerName, broadcast: bool, now: Instant) -> Merged:
        """Take in the state of a peer. A broadcast is passed on as our own state, gossip only if it was news."""
        before = self._territory.ring
        self._absorb(weave.decode_state(payload), sender, broadcast, now)
        return Merged(STATE, STATE if self._territory.ring is not before else NO_KEYS)

    def receive(self, dialect: str, payload: bytes, src: PeerName, now: Instant) -> None:
        """Take in a message for this peer."""
        match weave.decode_direct(payload):
            case weave.SpaceRequest(wanted):
                self._donate(wanted, src, now)
            case weave.SpaceDenied(wanted):
                self._asking.refused(src, wanted)
                self._retry(now)
            case weave.RingUpdate(state):
                self._absorb(state, src, True, now)
                self._takeovers.answered(src, now)
            case weave.UnknownKind(kind):
                label = self._directory.label(src)
                self._journal.log(
                    "debug", f"ignored a message about addresses of unknown kind {kind} from {label}"
                )

    # -- time and events

    def tick(self, now: Instant) -> None:
        """Retry what waits, report free space, and try the disk again."""
        self._takeovers.tick(now)
        if now.mono < self._next_tick:
            return
        self._next_tick = now.mono + (NATIVE_PATIENCE if self._asking.natives else TICK)
        self._journal.retry()
        self._asking.start_over(now)
        self._report_free(now)
        if self._election.wanted and not self._territory.divided:
            self._step(self._election.want(now))
        if not self._left:
            self._reclaiming.pursue(now)
        self._retry(now)

    def next_deadline(self) -> float:
        """When ``tick`` has something to do; infinite while everything is at rest."""
        busy = (
            self._fulfilment.waiting
            or (self._territory.strays and not self._left)
            or (self._election.wanted and not self._territory.divided)
            or self._journal.blocked
        )
        due = self._next_tick if busy else math.inf
        if self._asking.reachable and self._territory.counts_changed:
            due = min(due, max(self._next_tick, self._next_report))
        return min(due, self._takeovers.next_deadline())

    def collect(self) -> list[Event]:
        """Records to commit, then log lines and answers. Fills ``outbox``."""
        if self._owed and not self._journal.blocked:
            self._owed = False
            self._journal.send(Gossip(STATE))
        return self._journal.collect()

    def storage_failed(self, error: Exception) -> None:
        """The records of the last ``collect`` could not be committed. Its answers and messages do not count."""
        self._journal.storage_failed(str(error))

    def status(self) -> IpamStatus:
        """Everything a person may want to know."""
        return StatusView(
            self.config,
            self._territory,
            self._directory,
            self._election,
            self._fulfilment,
            self._reclaiming,
            self._asking,
            self._journal,
        ).compose()

    # -- inside

    def _begin(self, previous: Restored) -> None:
        for problem in previous.problems:
            self._journal.log("error", problem)
        if previous.ring_unreadable:
            self._journal.log(
                "error",
                "the stored division of the address range is unreadable: addresses are given out again once a peer"
                " has told us; if this is the only host, 'tulle reset' it",
            )
        stored = previous.ring
        if stored is not None and stored.range != self._territory.universe:
            self._journal.log(
                "warning",
                f"the address range was {stored.range} before and is {self._territory.universe} now: the stored"
                " division is dropped; addresses in use stay as they are",
            )
            self._journal.save(RING, RING_KEY, None)
        elif stored is not None:
            self._territory.adopt(stored, save=False)
            if previous.peer != self.config.peer:
                self._journal.log(
                    "warning",
                    f"this host was {self._directory.label(previous.peer or stored.seeds[0])} before; ranges of"
                    " that name stay with it until 'tulle rmpeer' takes them over",
                )
        elif isinstance(self.config.bootstrap, Seed) and not previous.ring_unreadable:
            self._territory.divide(self.config.bootstrap.peers)

    def _begin_request(self, ticket: int, request: Allocate | Claim | Prime, now: Instant) -> None:
        self._journal.retry()
        self._fulfilment.add(ticket, request, now)
        self._want_ring(now)

    def _want_ring(self, now: Instant) -> None:
        if self._fulfilment.waiting and not self._territory.divided:
            self._step(self._election.want(now))
            self._retry(now)

    def _retry(self, now: Instant) -> None:
        self._fulfilment.retry(now)

    def _state(self) -> weave.State:
        if self._territory.divided:
            return weave.State(self._directory.nicknames, None, self._territory.ring)
        return weave.State(self._directory.nicknames, self._election.claims, None)

    def _absorb(self, state: weave.State, sender: PeerName, may_reply: bool, now: Instant) -> None:
        self._directory.learn(state.nicknames)
        if state.ring is not None:
            self._merge_ring(state.ring, sender, now)
        elif self._territory.divided:
            if may_reply:
                self._send_ring(sender, now)
        elif state.claims is not None:
            self._step(self._election.hear(state.claims))
            self._retry(now)
        elif may_reply and self._election.votes:
            self._step(self._election.want(now))
            self._retry(now)

    def _merge_ring(self, theirs: Ring, sender: PeerName, now: Instant) -> None:
        before = self._territory.ring
        try:
            lost, differs = self._territory.merge(theirs)
        except RingMismatch as mismatch:
            raise BadMessage(f"{self._directory.label(sender)}: {mismatch}") from None
        if differs:
            self._send_ring(sender, now)
        if not before.entries and self._territory.divided:
            self._journal.save(VOTE, VOTE_KEY, None)
        for piece in lost:
            self._reclaiming.lost(piece)
        if self._territory.ring is not before:
            self._retry(now)

    def _step(self, step: Step) -> None:
        """Do what the election asks for."""
        if step.chosen is not None:
            self._territory.divide(step.chosen)
            self._journal.save(VOTE, VOTE_KEY, None)
            self._journal.log(
                "info", f"address range {self.config.universe} divided among {len(step.chosen)} peers"
            )
        elif step.tell and self._election.elector.own_claims is not None:
            elector = self._election.elector
            self._journal.save(VOTE, VOTE_KEY, vote_record(elector.me, self._election.elector.own_claims))
        if step.ask:
            self._journal.send(Broadcast(QUESTION))
        elif step.tell or step.chosen is not None:
            self._journal.send(Broadcast(STATE))

    def _donate(self, wanted: Range, to: PeerName, now: Instant) -> None:
        if not self._territory.divided or to == self.config.peer:
            return
        given = self._territory.donate(wanted, to)
        if given is None:
            self._territory.report_free()
            self._direct(to, weave.SpaceDenied(wanted), now)
        else:
            self._journal.log("debug", f"gave {given} to {self._directory.label(to)}")
            self._journal.send(Broadcast(STATE))
        self._send_ring(to, now)

    def _report_free(self, now: Instant) -> None:
        urgent = self._territory.report_due() if self._asking.reachable else None
        if urgent is None or (not urgent and now.mono < self._next_report):
            return
        self._next_report = now.mono + REPORT_INTERVAL
        self._territory.report_free()

    def _ownership_changed(self, now: Instant) -> None:
        self._journal.send(Broadcast(STATE))
        self._retry(now)

    def _send_ring(self, to: PeerName, now: Instant) -> None:
        self._direct(to, weave.RingUpdate(self._state()), now)

    def _ask_ring(self, peer: PeerName, now: Instant) -> None:
        beyond = self._territory.universe.end
        self._direct(peer, weave.SpaceRequest(Range(beyond, beyond + 1)), now)

    def _request_space(self, peer: PeerName, wanted: Range, now: Instant) -> None:
        self._direct(peer, weave.SpaceRequest(wanted), now)

    def _direct(self, to: PeerName, message: weave.Direct, now: Instant) -> None:
        self._journal.send(Unicast(to, weave.encode_direct(message, self.config.peer, now.wall)))
