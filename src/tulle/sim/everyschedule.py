"""The first election, in every order in which it can happen.

Electors are taken one step at a time: somebody proposes, or somebody hears what somebody else knew at some
time before. That covers messages that are late, lost, repeated and overtaken. All states that can be reached
in this way are visited, each once. Who has decided takes no further part: it speaks of the ring from then on.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tulle.ipam.paxos import Claims, Elector, NodeId
from tulle.mesh.peername import PeerName

Known = frozenset[tuple[NodeId, Claims]]


@dataclass(frozen=True, slots=True)
class _State:
    """What each elector knows, what each has ever said, and how many proposals each may still make."""

    known: tuple[Known, ...]
    past: tuple[frozenset[Known], ...]
    proposals: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Explored:
    """``agreed``: in no state have two electors decided differently, and what was decided stays so.

    ``decided`` counts the states in which somebody has decided; ``complete``: there are no other states.
    """

    states: int
    complete: bool
    agreed: bool
    decided: int


def explore(electors: int, proposals: tuple[int, ...], most_states: int = 1_000_000) -> Explored:
    """Visit every state of an election in which these electors make so many proposals each."""
    quorum = electors // 2 + 1
    nodes = tuple(NodeId(PeerName(number + 1), number + 1) for number in range(electors))
    nothing: Known = frozenset()
    first = _State((nothing,) * electors, (frozenset(),) * electors, proposals)
    seen, frontier, decided = {first}, [first], 0
    while frontier:
        state = frontier.pop()
        choices = {choice for known in state.known if (choice := _choice(nodes[0], quorum, known))}
        if len(choices) > 1:
            return Explored(len(seen), False, False, decided)
        decided += bool(choices)
        for following in _steps(state, nodes, quorum):
            if following not in seen:
                if not _stands(choices, following, nodes[0], quorum):
                    return Explored(len(seen), False, False, decided)
                seen.add(following)
                frontier.append(following)
        if len(seen) > most_states:
            return Explored(len(seen), False, True, decided)
    return Explored(len(seen), True, True, decided)


def _stands(choices: set[tuple[PeerName, ...]], following: _State, node: NodeId, quorum: int) -> bool:
    """What was decided before stays decided."""
    after = {choice for known in following.known if (choice := _choice(node, quorum, known))}
    return choices <= after


def _choice(node: NodeId, quorum: int, known: Known) -> tuple[PeerName, ...] | None:
    return _elector(node, quorum, known).consensus()


def _elector(node: NodeId, quorum: int, known: Known) -> Elector:
    elector = Elector(node, quorum)
    elector.known = dict(known)
    return elector


def _steps(state: _State, nodes: tuple[NodeId, ...], quorum: int) -> Iterator[_State]:
    for here, node in enumerate(nodes):
        if _choice(node, quorum, state.known[here]):
            continue
        if state.proposals[here]:
            elector = _elector(node, quorum, state.known[here])
            elector.propose()
            elector.think()
            yield _after(state, here, elector, proposed=True)
        for there in range(len(nodes)):
            if there != here:
                for told in state.past[there]:
                    elector = _elector(node, quorum, state.known[here])
                    if elector.update(dict(told)):
                        elector.think()
                        yield _after(state, here, elector, proposed=False)


def _after(state: _State, here: int, elector: Elector, proposed: bool) -> _State:
    known = frozenset(elector.known.items())
    said = state.past[here] if elector.consensus() else state.past[here] | {known}
    left = state.proposals[here] - proposed
    return _State(
        (*state.known[:here], known, *state.known[here + 1 :]),
        (*state.past[:here], said, *state.past[here + 1 :]),
        (*state.proposals[:here], left, *state.proposals[here + 1 :]),
    )
