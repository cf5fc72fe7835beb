from random import Random
from typing import Any

import pytest

from ipam.builders import A, B, C, claims_of, peer, vectors
from tulle.ipam import paxos
from tulle.ipam.paxos import MAX_ROUND, NO_CLAIMS, Claims, Elector, NodeId, Proposal
from tulle.mesh.peername import PeerName


def as_sets(known: dict[NodeId, Claims]) -> dict[NodeId, Any]:
    return {
        node: (claims.promise, claims.accepted, frozenset(claims.value), claims.origin)
        for node, claims in known.items()
    }


@pytest.mark.parametrize("vector", vectors("paxos-step"), ids=lambda vector: vector["name"].split(" (")[0])
def test_steps_equal_the_reference(vector: dict[str, Any]) -> None:
    request, expected = vector["req"], vector["res"]
    elector = Elector(NodeId(peer(request["Name"]), int(request["UID"])), request["Quorum"])
    elector.known = claims_of(request.get("Knows"))
    if request.get("Value") == "propose":
        elector.propose()
        elector.think()
    else:
        updated = elector.update(claims_of(request["Gossip"]))
        assert updated == expected["updated"]
        if updated:
            assert elector.think() == expected["thought"]
    assert as_sets(elector.known) == as_sets(claims_of(expected["knows"]))
    chosen = elector.consensus()
    assert (chosen is not None) == expected["consensus"]
    if chosen is not None:
        """With several candidates (only possible here, where votes are invented) any of them is right."""
        candidates = [set(claims.value) for claims in elector.known.values() if claims.accepted.round]
        assert set(chosen) in candidates
        assert set(map(peer, expected["value"])) in candidates


def electors(count: int, quorum: int) -> list[Elector]:
    return [Elector(NodeId(PeerName(number + 1), 7), quorum) for number in range(count)]


def tell(source: Elector, target: Elector) -> None:
    if target.update(source.known):
        target.think()


def test_alone_with_a_quorum_of_one_the_choice_is_immediate() -> None:
    (elector,) = electors(1, 1)
    elector.propose()
    elector.think()
    assert elector.consensus() == (1,)


def test_a_majority_is_enough() -> None:
    one, two, _ = electors(3, 2)
    one.propose()
    one.think()
    assert one.consensus() is None
    tell(one, two)
    tell(two, one)
    assert one.consensus() is None
    tell(one, two)
    assert two.consensus() == (1, 2)
    tell(two, one)
    assert one.consensus() == (1, 2)


@pytest.mark.parametrize(("count", "quorum"), [(4, 3), (5, 3), (6, 4)])
def test_two_minorities_never_choose_whatever_they_do(count: int, quorum: int) -> None:
    everybody = electors(count, quorum)
    sides = [everybody[: count // 2], everybody[count // 2 :]]
    sides = [side for side in sides if len(side) < quorum]
    for _ in range(6):
        for side in sides:
            for elector in side:
                elector.propose()
                elector.think()
                for source in side:
                    for target in side:
                        tell(source, target)
    assert all(elector.consensus() is None for side in sides for elector in side)


Frozen = tuple[tuple[NodeId, Claims], ...]
World = tuple[tuple[Frozen, ...], frozenset[Frozen]]


def freeze(elector: Elector) -> Frozen:
    return tuple(sorted(elector.known.items(), key=lambda item: item[0]))


def thaw(index: int, known: Frozen, quorum: int) -> Elector:
    elector = Elector(NodeId(PeerName(index + 1), 7), quorum)
    elector.known = dict(known)
    return elector


def successors(world: World, quorum: int, proposals: int) -> list[World]:
    """Every step anybody could take next: a proposal, or the arrival of anything that was ever said."""
    nodes, said = world
    rounds = max((claims.promise.round for known in nodes for _, claims in known), default=0)
    steps = []
    for index, known in enumerate(nodes):
        arrivals: list[Frozen | None] = list(said)
        for heard in arrivals + ([None] if rounds < proposals else []):
            elector = thaw(index, known, quorum)
            if heard is None:
                elector.propose()
                elector.think()
            elif not elector.update(dict(heard)):
                continue
            else:
                elector.think()
            frozen = freeze(elector)
            steps.append(((*nodes[:index], frozen, *nodes[index + 1 :]), said | {frozen}))
    return steps


@pytest.mark.parametrize(("count", "quorum", "proposals"), [(2, 2, 2), (3, 2, 1)])
def test_no_order_of_messages_makes_two_choices(count: int, quorum: int, proposals: int) -> None:
    """All schedules of few proposals, with every message delayed, repeated, reordered or lost."""
    start: World = (tuple(() for _ in range(count)), frozenset())
    seen = {start}
    todo = [start]
    choices = set()
    while todo:
        world = todo.pop()
        for step in successors(world, quorum, proposals):
            if step in seen:
                continue
            seen.add(step)
            todo.append(step)
            chosen = {thaw(index, known, quorum).consensus() for index, known in enumerate(step[0])} - {None}
            assert len(chosen) <= 1
            choices |= chosen
    assert choices


@pytest.mark.parametrize(("count", "quorum"), [(3, 2), (4, 3), (5, 3)])
def test_many_proposals_in_random_order_make_one_choice(count: int, quorum: int) -> None:
    """Schedules too many to go through: 60 by chance, with competing proposals and late messages."""
    reached = 0
    for seed in range(60):
        random = Random(seed)
        world: World = (tuple(() for _ in range(count)), frozenset())
        chosen: set[tuple[PeerName, ...] | None] = set()
        for _ in range(40):
            index = random.randrange(count)
            elector = thaw(index, world[0][index], quorum)
            if not world[1] or random.random() < 0.1:
                elector.propose()
                elector.think()
            elif elector.update(dict(random.choice(sorted(world[1], key=repr)))):
                elector.think()
            frozen = freeze(elector)
            world = ((*world[0][:index], frozen, *world[0][index + 1 :]), world[1] | {frozen})
            chosen |= {elector.consensus()} - {None}
        assert len(chosen) <= 1
        reached += len(chosen)
    assert reached


def test_an_acceptor_and_its_successor_on_one_host_are_one_vote() -> None:
    elector = Elector(NodeId(A, 2), 2)
    ballot = Proposal(1, NodeId(A, 2))
    vote = Claims(ballot, ballot, (A,), ballot)
    elector.known = {NodeId(A, 1): vote, NodeId(A, 2): vote}
    assert elector.consensus() is None
    elector.known[NodeId(B, 1)] = vote
    assert elector.consensus() == (A,)


def test_a_restarted_acceptor_keeps_its_promise() -> None:
    strong = Proposal(5, NodeId(C, 3))
    elector = Elector(NodeId(A, 1), 2, Claims(promise=strong))
    weaker = Proposal(4, NodeId(B, 2))
    elector.update({NodeId(B, 2): Claims(promise=weaker)})
    elector.think()
    assert elector.own_claims is not None
    assert elector.own_claims.promise == strong


def test_rounds_stop_at_the_largest() -> None:
    elector = Elector(NodeId(A, 1), 1)
    elector.known = {NodeId(B, 1): Claims(promise=Proposal(MAX_ROUND, NodeId(B, 1)))}
    elector.propose()
    assert elector.known[NodeId(A, 1)].promise.round == MAX_ROUND


def test_joined_claims_keep_the_later_of_each() -> None:
    first, second = Proposal(1, NodeId(A, 1)), Proposal(2, NodeId(B, 1))
    mine = Claims(second, first, (A,), first)
    theirs = Claims(first, second, (B,), second)
    assert mine.joined(theirs) == theirs.joined(mine) == Claims(second, second, (B,), second)
    assert NO_CLAIMS.joined(mine) == mine


def test_a_flood_of_acceptors_leaves_room_for_ourselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paxos, "MAX_ELECTORS", 5)
    elector = Elector(NodeId(A, 1), 2)
    claim = Claims(Proposal(1, NodeId(B, 1)))
    assert elector.update({NodeId(B, uid): claim for uid in range(1, 100)})
    assert not elector.update({NodeId(C, uid): claim for uid in range(1, 100)})
    elector.propose()
    assert len(elector.known) == 5
    assert elector.own_claims is not None
