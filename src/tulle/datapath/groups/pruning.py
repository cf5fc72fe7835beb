"""Which copies of a group's frames are needed: broadcast trees without the branches where nobody listens.

What hangs on one child of ours in one source's tree is a *branch*, named by a digest of the peers in it:
trees that have the same peers behind the same child share what is known of them, and a change of the trees
cannot meet knowledge of another branch. The kernel finds the branch of (source, child), then looks whether
(branch, group) is there. A branch that it does not find gets everything; so it is with every branch in which
there is somebody whose wishes are not known (Weave Net's peers, newcomers, hosts whose daemon is dead).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple, NewType, Protocol

from tulle.datapath.ghosts import Ghost
from tulle.datapath.groups.record import Group, Interest
from tulle.datapath.tables import ShortId, Tables
from tulle.mesh.peername import PeerName, name_bytes

Branch = NewType("Branch", int)
"""64 bits."""

MAX_BRANCHES = 65536
MAX_LISTENING = 65536
"""What the kernel's tables hold in one state; branches beyond that get everything."""


class Twig(NamedTuple):
    """A child of ours in the tree of a source."""

    source: ShortId
    child: ShortId


@dataclass(frozen=True, slots=True)
class GroupTables:
    """A complete state: the branch of each twig that is pruned, and the groups wanted in each branch."""

    branches: Mapping[Twig, Branch] = field(default_factory=dict)
    listening: frozenset[tuple[Branch, Group]] = frozenset()


class Trees(Protocol):
    """The part of the mesh's routes that tells who is behind whom."""

    def behind(self, source: PeerName) -> Mapping[PeerName, frozenset[PeerName]]:
        """Who gets what ``source`` broadcasts from each of our children, the child included."""

    def first_to_spread(self, source: PeerName, among: frozenset[PeerName]) -> PeerName | None:
        """Which of these peers is the first to pass on what ``source`` broadcasts."""


def prune(
    tables: Tables,
    owners: Mapping[ShortId, PeerName],
    trees: Trees,
    ghosts: Sequence[Ghost],
    interests: Mapping[PeerName, Interest],
) -> GroupTables:
    """What to prune in the trees of these tables. ``owners`` has the live peers by short id."""
    if any(ghost.name is None for ghost in ghosts):
        return GroupTables()  # which branch they hang on is not known
    willing = frozenset(name for name, interest in interests.items() if not interest.everything)
    if not willing:
        return GroupTables()
    named: dict[frozenset[PeerName], Branch | None] = {}
    branches: dict[Twig, Branch] = {}
    listening: set[tuple[Branch, Group]] = set()
    for twig, peers in _twigs(tables, owners, trees, ghosts):
        if peers not in named:
            branch = branch_of(peers)
            wanted = {(branch, group) for name in peers & willing for group in interests[name].groups}
            fits = len(listening) + len(wanted) <= MAX_LISTENING
            named[peers] = branch if peers <= willing and fits else None
            if named[peers] is not None:
                listening |= wanted
        found = named[peers]
        if found is not None and len(branches) < MAX_BRANCHES:
            branches[twig] = found
    return GroupTables(branches, frozenset(listening))


@lru_cache(maxsize=4096)
def branch_of(peers: frozenset[PeerName]) -> Branch:
    """The name of the branch with these peers, the same whoever computes it and when."""
    digest = blake2b(b"".join(map(name_bytes, sorted(peers))), digest_size=8).digest()
    return Branch(int.from_bytes(digest, "big"))


def _twigs(
    tables: Tables, owners: Mapping[ShortId, PeerName], trees: Trees, ghosts: Sequence[Ghost]
) -> Iterator[tuple[Twig, frozenset[PeerName]]]:
    """Every child in the trees of live sources, with the peers behind it, unless a ghost hangs on it."""
    for source, tree in sorted(tables.trees.items()):
        name = owners.get(source)
        if name is None or not tree.children:
            continue
        behind = trees.behind(name)
        feeders = {_feeder(name, ghost, trees) for ghost in ghosts}
        for child, _ in tree.children:
            peers = behind.get(owners[child]) if child in owners else None
            if peers and not peers & feeders:
                yield Twig(source, child), peers


def _feeder(source: PeerName, ghost: Ghost, trees: Trees) -> PeerName | None:
    """Who sends the ghost what the source broadcasts; the same rule as for the trees themselves."""
    return source if source in ghost.neighbours else trees.first_to_spread(source, ghost.neighbours)
