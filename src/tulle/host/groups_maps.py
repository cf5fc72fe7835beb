"""The kernel's tables that say where a multicast group has listeners (``groups.h``)."""

import struct
import time

from tulle.datapath.groups.pruning import Branch, GroupTables, Twig
from tulle.datapath.groups.record import Group
from tulle.datapath.tables import ShortId
from tulle.host.bpf.layout import TICK_SECONDS
from tulle.host.bpf.map import Layout, Map

VALID = 60.0
"""Seconds for which the kernel believes what the daemon last said. Then it sends everything everywhere: who
has joined since, on other hosts, nobody has told it."""

_TWIG = struct.Struct("=II")
_BRANCH = struct.Struct("=Q")
_LISTENER = struct.Struct("=Q16s")
_FLAG = struct.Struct("=B")
_WORD = struct.Struct("=I")


def _unpack_twig(raw: bytes) -> Twig:
    source, child = _TWIG.unpack(raw)
    return Twig(ShortId(source), ShortId(child))


def _unpack_listener(raw: bytes) -> tuple[Branch, Group]:
    branch, group = _LISTENER.unpack(raw)
    return Branch(branch), Group(group)


BRANCHES = Layout[Twig, Branch](
    "branches",
    _TWIG,
    lambda twig: _TWIG.pack(*twig),
    _unpack_twig,
    _BRANCH,
    _BRANCH.pack,
    lambda raw: Branch(_BRANCH.unpack(raw)[0]),
)
LISTENERS = Layout[tuple[Branch, Group], int](
    "listeners",
    _LISTENER,
    lambda key: _LISTENER.pack(*key),
    _unpack_listener,
    _FLAG,
    _FLAG.pack,
    lambda raw: int(_FLAG.unpack(raw)[0]),
)
PRUNED_UNTIL = Layout[int, int](
    "pruned_until",
    _WORD,
    _WORD.pack,
    lambda raw: int(_WORD.unpack(raw)[0]),
    _WORD,
    _WORD.pack,
    lambda raw: int(_WORD.unpack(raw)[0]),
)


class GroupMaps:
    """The open tables. At first they hold what an earlier daemon left."""

    def __init__(
        self,
        branches: Map[Twig, Branch],
        listeners: Map[tuple[Branch, Group], int],
        pruned_until: Map[int, int],
    ) -> None:
        self._branches = branches
        self._listeners = listeners
        self._pruned_until = pruned_until
        listening = frozenset(key for key, _ in listeners.items())
        self.tables = GroupTables(dict(branches.items()), listening)

    def apply(self, tables: GroupTables) -> None:
        """Prune by these tables from now on. Between the two states nothing is lost: what is added comes
        first, and a branch that is not found gets everything."""
        old, self.tables = self.tables, tables
        for key in tables.listening - old.listening:
            self._listeners.set(key, 1)
        for twig, branch in tables.branches.items():
            if old.branches.get(twig) != branch:
                self._branches.set(twig, branch)
        for twig in old.branches.keys() - tables.branches.keys():
            self._branches.delete(twig)
        for key in old.listening - tables.listening:
            self._listeners.delete(key)
        self.confirm()

    def confirm(self) -> None:
        """There is still a daemon that keeps the tables true; to be called every few seconds."""
        self._pruned_until.set(0, int((time.monotonic() + VALID) / TICK_SECONDS) & 0xFFFFFFFF)

    def close(self) -> None:
        """Let go of the tables; the kernel goes on by them for a while."""
        for one in (self._branches, self._listeners, self._pruned_until):
            one.close()
