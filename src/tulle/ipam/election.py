"""How the first ring comes about: by agreement, from seeds, or from others.

Nothing happens before somebody needs an address, so that peers started together have met by then. After
that a proposal is repeated until there is a ring, because gossip may be lost and proposals may compete.
Once a ring exists, the election is over for good.

What our acceptor promised and accepted is on disk before anybody hears of it, under the number it took when
it first took part, and a restarted process goes on as the same acceptor. So no vote is ever counted twice,
and no promise forgotten, as long as the disk lives.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from tulle.instant import Instant
from tulle.ipam.config import Consensus, IpamConfig, Observer
from tulle.ipam.paxos import Claims, Elector, NodeId
from tulle.mesh.peername import PeerName

REPEAT = 5.0
"""Seconds until an unanswered proposal or question is repeated (up to half as much again, by chance)."""


@dataclass(frozen=True, slots=True)
class Step:
    """What an event led to.

    ``vote``: what our acceptor does changed, keep it and tell everybody. ``ask``: ask others for a ring.
    ``chosen``: the election is over, and these peers divide the range.
    """

    vote: tuple[NodeId, Claims] | None = None
    ask: bool = False
    chosen: tuple[PeerName, ...] | None = None


NOTHING = Step()


class Election:
    """This peer's way to the first ring."""

    def __init__(
        self, config: IpamConfig, rng: Random, vote: tuple[NodeId, Claims] | None, may_vote: bool
    ) -> None:
        """``vote``: what our acceptor did in a previous life. ``may_vote`` False makes an observer of us."""
        node, own = vote if vote is not None else (NodeId(config.peer, config.uid), None)
        size = config.bootstrap.quorum_of if isinstance(config.bootstrap, Consensus) else None
        self.fixed_size = size is not None
        self.size = size or 1
        self.votes = may_vote and not isinstance(config.bootstrap, Observer)
        self.elector = Elector(node, self.size // 2 + 1, own)
        self.wanted = False
        self._rng = rng
        self._again_at = 0.0

    def expect(self, size: int) -> None:
        """Learn how many peers there are to be; a smaller number never lowers the majority that is needed."""
        if not self.fixed_size and size > self.size:
            self.size = size
            self.elector.quorum = size // 2 + 1

    @property
    def claims(self) -> Mapping[NodeId, Claims] | None:
        """What to tell others: everything heard; None from an observer that has heard nothing."""
        return dict(self.elector.known) if self.votes or self.elector.known else None

    def want(self, now: Instant) -> Step:
        """A ring is needed: propose, or ask for one, unless that was done a moment ago."""
        self.wanted = True
        if now.mono < self._again_at:
            return NOTHING
        self._again_at = now.mono + REPEAT * (1 + self._rng.random() / 2)
        if not self.votes:
            return Step(ask=True)
        self.elector.propose()
        self.elector.think()
        return Step(vote=self._own_vote(), chosen=self.elector.consensus())

    def hear(self, claims: Mapping[NodeId, Claims]) -> Step:
        """Others told what they know."""
        if not self.elector.update(claims):
            return NOTHING
        if not self.votes:
            return NOTHING
        vote = self._own_vote() if self.elector.think() else None
        return Step(vote=vote, chosen=self.elector.consensus())

    def _own_vote(self) -> tuple[NodeId, Claims] | None:
        own = self.elector.own_claims
        return None if own is None else (self.elector.me, own)
