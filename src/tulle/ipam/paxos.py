"""Agreeing once, at the very start, on which peers divide the address range.

Paxos over gossip: every node keeps, for every node it has heard of, the highest proposal that node promised
to respect and the proposal it accepted last. These claims only grow, so they merge like other state. A
proposal is chosen when enough nodes have accepted values with the same origin; the value is a list of
peers.

An acceptor is a peer name with a number of its own, because a node that forgot its promises must not be
taken for the one that made them. A node that kept them (see ``own_claims``) goes on under its old number.
Quorums count peer names, so that an acceptor and its forgetful successor on the same host never make two
votes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from tulle.mesh.peername import UNKNOWN_PEER, PeerName

MAX_ROUND = 0xFFFF_FFFF

MAX_ELECTORS = 4096
"""Acceptors that are remembered, and told of, at most: nobody can read of more."""


class NodeId(NamedTuple):
    """An acceptor: a peer and the number it took when it began to take part."""

    name: PeerName
    uid: int


NOBODY = NodeId(UNKNOWN_PEER, 0)


class Proposal(NamedTuple):
    """A ballot; the greater one wins. Round 0 means none."""

    round: int
    proposer: NodeId


NO_PROPOSAL = Proposal(0, NOBODY)


@dataclass(frozen=True, slots=True)
class Claims:
    """What one acceptor is known to have promised and accepted.

    ``origin`` is the proposal that first put ``value`` forward; later proposals carry both on.
    """

    promise: Proposal = NO_PROPOSAL
    accepted: Proposal = NO_PROPOSAL
    value: tuple[PeerName, ...] = ()
    origin: Proposal = NO_PROPOSAL

    def joined(self, other: "Claims") -> "Claims":
        """The later of both in each respect."""
        latest = other if other.accepted > self.accepted else self
        return replace(latest, promise=max(self.promise, other.promise))


NO_CLAIMS = Claims()


class Elector:
    """One node's part in the election."""

    def __init__(self, me: NodeId, quorum: int, own: Claims | None = None) -> None:
        """``own`` are the claims this acceptor made before it was restarted."""
        self.me = me
        self.quorum = quorum
        self.known: dict[NodeId, Claims] = {} if own is None else {me: own}

    @property
    def own_claims(self) -> Claims | None:
        """What must be on disk before anybody is told, so that a crash breaks no promise; None before any."""
        return self.known.get(self.me)

    @property
    def peers(self) -> frozenset[PeerName]:
        """Everybody heard of in the election."""
        return frozenset(node.name for node in self.known)

    def propose(self) -> None:
        """Open a ballot of ours, above everything heard of. ``think`` makes of it what can be made."""
        last = max((claims.promise.round for claims in self.known.values()), default=0)
        ballot = Proposal(min(last + 1, MAX_ROUND), self.me)
        self._claim(replace(self.known.get(self.me, NO_CLAIMS), promise=ballot))

    def update(self, claims: Mapping[NodeId, Claims]) -> bool:
        """Take in what others know. True if any of it was new."""
        changed = False
        for node, theirs in claims.items():
            mine = self.known.get(node)
            if mine is None and len(self.known) + (self.me not in self.known) >= MAX_ELECTORS:
                continue
            joined = theirs if mine is None else mine.joined(theirs)
            changed = changed or joined != mine
            self.known[node] = joined
        return changed

    def think(self) -> bool:
        """Promise and accept what the rules allow. True if our own claims changed (and want telling)."""
        before = self.known.get(self.me, NO_CLAIMS)
        promise = max((claims.promise for claims in self.known.values()), default=NO_PROPOSAL)
        followers = {node: claims for node, claims in self.known.items() if claims.promise == promise}
        self._claim(replace(before, promise=promise))
        if promise.proposer == self.me and promise.round and _distinct(followers) >= self.quorum:
            self._accept_own(promise, followers)
        self._accept_same(promise)
        return self.known[self.me] != before

    def consensus(self) -> tuple[PeerName, ...] | None:
        """The chosen peers, sorted; None as long as there is no choice."""
        voters: dict[Proposal, set[PeerName]] = {}
        values: dict[Proposal, tuple[PeerName, ...]] = {}
        for node, claims in self.known.items():
            if claims.accepted.round:
                voters.setdefault(claims.origin, set()).add(node.name)
                values[claims.origin] = claims.value
        chosen = sorted(origin for origin, names in voters.items() if len(names) >= self.quorum)
        return tuple(sorted(set(values[chosen[0]]))) if chosen else None

    def _accept_own(self, promise: Proposal, followers: Mapping[NodeId, Claims]) -> None:
        """Phase one is complete: accept what its followers accepted last, or propose everybody known."""
        last = max(followers.values(), key=_accepted)
        if last.accepted.round:
            self._claim(Claims(promise, promise, last.value, last.origin))
        else:
            self._claim(Claims(promise, promise, tuple(sorted(self.peers)), promise))

    def _accept_same(self, promise: Proposal) -> None:
        if not promise.round:
            return
        for claims in self.known.values():
            if claims.accepted == promise:
                self._claim(Claims(promise, promise, claims.value, claims.origin))
                return

    def _claim(self, claims: Claims) -> None:
        self.known[self.me] = claims


def _distinct(nodes: Iterable[NodeId]) -> int:
    return len({node.name for node in nodes})


def _accepted(claims: Claims) -> Proposal:
    return claims.accepted
