"""Address management of one peer: the IPallocation channel and the requests of this host.

Inside owned space everything is local: no message is sent for an allocation, a claim or a release. Only
when something is missing (a first ring, free space, an address somebody else owns) the other peers are
asked, and the request waits. Requests are retried whenever the ring changes, and every few seconds.

Call ``collect`` after every other call. It hands out records, answers and (into ``outbox``) messages; the
records must be committed before answers are given or messages sent, see ``journal``.
"""

import math
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from random import Random

from tulle.errors import UserError
from tulle.instant import Instant
from tulle.ipam import weave
from tulle.ipam.asking import NATIVE_PATIENCE
from tulle.ipam.config import IpamConfig
from tulle.ipam.directory import Directory
from tulle.ipam.election import Election
from tulle.ipam.events import Event
from tulle.ipam.exchange import STATE, Exchange
from tulle.ipam.fulfilment import Fulfilment, check_subnet
from tulle.ipam.journal import Journal
from tulle.ipam.leaving import Leaving
from tulle.ipam.reclaim import Reclaiming
from tulle.ipam.records import NAMES, NAMES_KEY, RecordTuple, nicknames_record, restore
from tulle.ipam.requests import Allocate, Claim, Prime, Request
from tulle.ipam.resume import resume
from tulle.ipam.ring import Ring
from tulle.ipam.status import IpamStatus
from tulle.ipam.statusview import StatusView
from tulle.ipam.takeover import Takeovers
from tulle.ipam.terms import terms
from tulle.ipam.territory import Territory
from tulle.mesh.channel import NO_KEYS, Broadcast, Gossip, Keys, Merged
from tulle.mesh.peername import PeerName
from tulle.mesh.terms import Term

TICK = 5.0
"""Seconds between retries of whatever waits."""

REPORT_INTERVAL = 30.0
"""Seconds between corrections of our free counts in the ring that nobody is waiting for."""

SLIGHTLY = 0.25
"""By how much the counts may be wrong for longer: they only tell others whom to ask first, and every
correction goes to every peer."""

TRUTH_INTERVAL = 600.0
"""Seconds between corrections of counts that are slightly wrong."""


class Allocator:
    """See the module text. ``restored`` are the records of a previous life, in any order."""

    name = "IPallocation"

    def __init__(self, config: IpamConfig, rng: Random, restored: Iterable[RecordTuple] = ()) -> None:
        self.config = config
        journal, directory = Journal(), Directory(config.peer)
        previous = restore(restored, config.peer)
        territory = Territory(config.peer, config.universe, previous.holdings, journal)
        election = Election(config, rng, previous.vote, may_vote=not previous.ring_unreadable)
        exchange = Exchange(territory, election, directory, journal, rng)
        asking = exchange.asking
        self.outbox = journal.outbox
        self._journal, self._directory, self._territory = journal, directory, territory
        self._election, self._exchange, self._asking = election, exchange, asking
        self._fulfilment = Fulfilment(territory, asking, journal, directory)
        self._reclaiming = Reclaiming(territory, asking, journal, directory)
        self._takeovers = Takeovers(
            territory, journal, exchange.request_ring, self._ownership_changed, directory.label, self._in_use
        )
        self._leaving = Leaving(territory, directory, journal, exchange.show_and_ask, self._ownership_changed)
        self._status = StatusView(
            config, territory, directory, election, self._fulfilment, self._reclaiming, asking, journal
        )
        self._next_tick = 0.0
        self._next_report = 0.0
        self._next_truth = 0.0
        self._owed = False
        directory.restore(previous.nicknames)
        resume(previous, config, territory, journal)

    # -- requests of this host

    def allocate(self, ticket: int, ident: str, subnet: IPv4Network, now: Instant) -> None:
        """Any free address of the subnet; the same one again for the same ident. Done(IPv4Interface)."""
        try:
            check_subnet(subnet, self.config.universe)
        except UserError as problem:
            self._journal.refuse(ticket, problem)
            return
        self._begin_request(ticket, Allocate(ident, subnet), now)

    def claim(
        self,
        ticket: int,
        ident: str,
        address: IPv4Address,
        prefixlen: int,
        now: Instant,
        in_use: bool = False,
    ) -> None:
        """This very address. Outside the shared range it is only noted. Done(IPv4Interface).

        ``in_use``: the holder has it already, and who takes over the range of the address leaves it to us.
        """
        if not 0 <= prefixlen <= 32:
            problem = UserError(f"{address}/{prefixlen} is not an address; the prefix length is 0 to 32")
            self._journal.refuse(ticket, problem)
            return
        interface = IPv4Interface((int(address), prefixlen))
        self._begin_request(ticket, Claim(ident, interface, in_use), now)

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
            self._fulfilment.retry(now)
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
        """Give all our ranges to another peer and stop handing out addresses. Done(Left)."""
        self._journal.retry()
        for part in (self._fulfilment, self._takeovers):
            part.close(_left())
        self._leaving.start(ticket, now)

    def terms(self) -> tuple[Term, ...]:
        """What other peers must agree with us on, as of now."""
        return terms(self._territory.ring)

    @property
    def ring(self) -> Ring:
        """Who owns what, as far as this peer has heard."""
        return self._territory.ring

    def find_peer(self, text: str) -> PeerName | None:
        """The owner of ranges that is written so: by name or nickname. Knows peers that are long gone.

        Raises UserError if several have that nickname.
        """
        return self._directory.find(text, self._territory.ring.owners)

    def label(self, peer: PeerName) -> str:
        """A peer for people to read; knows peers that are long gone."""
        return self._directory.label(peer)

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
            self._fulfilment.retry(now)

    def peers_gone(self, names: Iterable[PeerName], now: Instant) -> None:
        """The mesh forgot these peers; so do we, unless they own ranges."""
        self._directory.forget(names, self._territory.ring.owners)

    # -- the channel

    def encode_all(self, dialect: str, now: Instant) -> list[bytes]:
        """Our state, or nothing while a part of it is not on disk yet."""
        return [] if self._owes() else [self._exchange.encode_all(now)]

    def encode_some(self, dialect: str, keys: Keys, now: Instant) -> list[bytes]:
        """The state behind these keys, or nothing while a part of it is not on disk yet."""
        return [] if self._owes() or not keys else [self._exchange.encode(keys, now)]

    def merge(self, dialect: str, payload: bytes, sender: PeerName, broadcast: bool, now: Instant) -> Merged:
        """Take in the state of a peer. A broadcast is passed on as our own state, gossip if it was news."""
        before = self._territory.ring
        self._exchange.absorb(weave.decode_state(payload), sender, broadcast, now)
        self._merged(before, now)
        return Merged(STATE, STATE if self._territory.ring is not before else NO_KEYS)

    def digest(self, fine: bool, now: Instant) -> bytes:
        """See ``mesh.channel.Comparable``; fine or not, it is of the ring."""
        if self._journal.dirty or not (fine or self._territory.divided):
            return b""
        return self._territory.ring.digest

    def compare(self, theirs: bytes, fine: bool, sender: PeerName, now: Instant) -> Keys | None:
        """See ``mesh.channel.Comparable``. Who has no ring yet shows that with a digest of its own."""
        if theirs == self._territory.ring.digest:
            return NO_KEYS
        if self._territory.divided:
            return STATE
        return NO_KEYS if fine else None

    def receive(self, dialect: str, payload: bytes, src: PeerName, now: Instant) -> None:
        """Take in a message for this peer."""
        before = self._territory.ring
        match weave.decode_direct(payload):
            case weave.SpaceRequest(wanted):
                if self._exchange.is_about_ring(wanted):
                    self._exchange.tell_in_use(src, self._in_use(), now)
                self._exchange.donate(wanted, src, now)
            case weave.SpaceDenied(wanted):
                self._asking.refused(src, wanted)
                self._fulfilment.retry(now)
            case weave.RingUpdate(state):
                self._exchange.absorb(state, src, True, now)
                self._takeovers.answered(src, now)
                self._leaving.answered(src, state.ring)
                self._merged(before, now)
            case weave.InUse(addresses):
                self._takeovers.in_use(src, addresses)
            case weave.UnknownKind(kind):
                sender = self._directory.label(src)
                self._journal.log("debug", f"{sender} sent a message of unknown kind {kind}; ignored")

    # -- time and events

    def tick(self, now: Instant) -> None:
        """Retry what waits, report free space, and try the disk again."""
        self._takeovers.tick(now)
        self._leaving.tick(now)
        if now.mono >= self._territory.settling.deadline and self._territory.settling.settled(now):
            self._fulfilment.retry(now)
        if now.mono < self._next_tick:
            return
        self._next_tick = now.mono + (NATIVE_PATIENCE if self._asking.natives else TICK)
        self._journal.retry()
        self._asking.start_over(now)
        self._report_free(now)
        if self._election.wanted:
            self._exchange.need_ring(now)
        if not self._leaving.begun:
            self._reclaiming.pursue(now)
        self._fulfilment.retry(now)

    def next_deadline(self) -> float:
        """When ``tick`` has something to do; infinite while everything is at rest."""
        busy = (
            self._fulfilment.waiting
            or (self._territory.strays and not self._leaving.begun)
            or (self._election.wanted and not self._territory.divided)
            or self._journal.blocked
        )
        due = self._next_tick if busy else math.inf
        if self._asking.reachable and self._territory.counts_changed:
            due = min(due, max(self._next_tick, self._next_report))
        due = min(due, self._takeovers.next_deadline(), self._leaving.next_deadline())
        return min(due, self._territory.settling.deadline)

    def collect(self) -> list[Event]:
        """Records to commit, then log lines and answers. Fills ``outbox``."""
        called = self._directory.to_keep(self._territory.ring.owners)
        if called is not None:
            self._journal.save(NAMES, NAMES_KEY, nicknames_record(called))
        if self._owed and not self._journal.blocked:
            self._owed = False
            self._journal.send(Gossip(STATE))
        return self._journal.collect()

    def storage_failed(self, error: Exception) -> None:
        """The records of the last ``collect`` were not committed: its answers and messages do not count."""
        self._journal.storage_failed(str(error))

    def status(self) -> IpamStatus:
        """Everything a person may want to know."""
        return self._status.compose()

    # -- inside

    def _begin_request(self, ticket: int, request: Request, now: Instant) -> None:
        self._journal.retry()
        self._fulfilment.add(ticket, request, now)
        if self._fulfilment.waiting and not self._territory.divided:
            self._exchange.need_ring(now)
            self._fulfilment.retry(now)

    def _owes(self) -> bool:
        """Whether a part of our state is not on disk yet, so that it has to be told later."""
        self._owed |= self._journal.dirty
        return self._journal.dirty

    def _merged(self, before: Ring, now: Instant) -> None:
        """After others spoke; the ring was ``before`` until then."""
        if self._territory.ring is not before:
            self._leaving.merged(before, now)
        self._fulfilment.retry(now)

    def _in_use(self) -> frozenset[int]:
        """What containers here have although we do not own it."""
        return self._fulfilment.in_use.union(self._territory.strays)

    def _ownership_changed(self, now: Instant) -> None:
        self._journal.send(Broadcast(STATE))
        self._fulfilment.retry(now)

    def _report_free(self, now: Instant) -> None:
        wrong = self._territory.misreported() if self._asking.reachable else 0.0
        if not wrong or (wrong < 1 and now.mono < self._next_report):
            return
        self._next_report = now.mono + REPORT_INTERVAL
        if wrong <= SLIGHTLY and now.mono < self._next_truth:
            return
        self._next_truth = now.mono + TRUTH_INTERVAL
        before = self._territory.ring
        self._territory.report_free()
        if self._territory.ring is not before:
            self._journal.send(Gossip(STATE))


def _left() -> UserError:
    return UserError("this host has left the network and hands out no addresses; launch it again first", 503)
