from random import Random

import pytest

from ipam.builders import NOW, A, B, config
from tulle.ipam.config import Consensus, Observer, Seed
from tulle.ipam.election import NOTHING, REPEAT, Election
from tulle.ipam.paxos import Claims, NodeId, Proposal


def election(bootstrap: Consensus | Seed | Observer, may_vote: bool = True) -> Election:
    return Election(config(bootstrap=bootstrap), Random(1), None, may_vote)


@pytest.mark.parametrize(("peers", "quorum"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (100, 51)])
def test_most_of_the_expected_peers_must_agree(peers: int, quorum: int) -> None:
    assert election(Consensus(peers)).elector.quorum == quorum
    guessed = election(Consensus(None))
    guessed.expect(peers)
    assert guessed.elector.quorum == quorum


def test_fewer_peers_later_never_lower_the_majority_nor_a_fixed_number() -> None:
    guessed = election(Consensus(None))
    guessed.expect(5)
    guessed.expect(1)
    assert guessed.elector.quorum == 3
    fixed = election(Consensus(3))
    fixed.expect(9)
    assert fixed.elector.quorum == 2


def test_alone_it_is_over_at_once() -> None:
    step = election(Consensus(1)).want(NOW)
    assert step.chosen == (A,)
    assert step.vote is not None


def test_a_proposal_is_repeated_but_not_at_once() -> None:
    wanting = election(Consensus(3))
    first = wanting.want(NOW)
    assert first.vote is not None
    assert wanting.want(NOW.later(REPEAT - 0.1)) == NOTHING
    second = wanting.want(NOW.later(REPEAT * 1.5))
    assert second.vote is not None
    assert second.vote[1].promise > first.vote[1].promise


def test_an_observer_asks_and_never_votes_but_passes_on_what_it_hears() -> None:
    observer = election(Observer())
    assert observer.claims is None
    assert observer.want(NOW).ask
    ballot = Proposal(1, NodeId(B, 1))
    assert observer.hear({NodeId(B, 1): Claims(promise=ballot)}) == NOTHING
    assert observer.claims == {NodeId(B, 1): Claims(promise=ballot)}
    assert observer.elector.own_claims is None


def test_an_elector_that_knows_nothing_says_so_with_an_empty_map() -> None:
    assert election(Consensus(3)).claims == {}


def test_who_must_not_vote_acts_as_an_observer() -> None:
    assert election(Consensus(1), may_vote=False).want(NOW).ask


def test_old_news_changes_nothing() -> None:
    voter = election(Consensus(3))
    ballot = Proposal(1, NodeId(B, 1))
    news = {NodeId(B, 1): Claims(promise=ballot)}
    assert voter.hear(news).vote is not None
    assert voter.hear(news) == NOTHING
