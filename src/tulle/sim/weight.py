"""How much a node keeps in memory: everything that it holds in collections, counted."""

from collections import deque
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from tulle.sim.daemon import Daemon

_COLLECTIONS = (list, tuple, set, frozenset, deque)
_TEXTS = frozenset((bytes, bytearray, str))
_ATOMS = frozenset((int, float, bool, type(None)))
_BYTES_PER_THING = 64

_AT_ALL, _PER_HOST, _PER_PATH, _PER_FACT = 1000, 300, 500, 30


def allowance(daemon: Daemon, hosts: int, waiting: int) -> int:
    """What a node may weigh that knows so many hosts and of which so many requests wait for an answer.

    That is in proportion to what it has to know (hosts, paths, arcs of the ring, names, addresses in use),
    and has nothing to do with how long it runs or what has happened.
    """
    held = sum(map(len, daemon.ipam.held().values()))
    facts = len(daemon.ipam.ring.entries) + sum(1 for _ in daemon.names.entries()) + held + waiting
    return _AT_ALL + _PER_HOST * hosts + _PER_PATH * daemon.sleeve.open_paths + _PER_FACT * facts


def weight(node: object) -> int:
    """Things in all collections that can be reached from here; 64 bytes count as one. Of what the simulator
    itself keeps nothing is counted.
    """
    seen: set[int] = set()
    total, waiting = 0, [node]
    while waiting:
        thing = waiting.pop()
        kind: Any = type(thing)
        if kind in _ATOMS or id(thing) in seen:
            continue
        seen.add(id(thing))
        if kind in _TEXTS:
            total += len(thing) // _BYTES_PER_THING  # type: ignore[arg-type]
            continue
        counts, look = _reader(kind)
        inside = look(thing)
        total += len(inside) if counts else 0
        waiting += inside
    return total


@cache
def _reader(kind: type) -> tuple[bool, Callable[[Any], list[object]]]:
    """Whether things of this kind are collections, and how to look inside: it is the same for all of them."""
    if issubclass(kind, Mapping):
        return True, lambda thing: [*thing.keys(), *thing.values()]
    if issubclass(kind, _COLLECTIONS):
        return True, list
    if not _is_ours(kind):
        return False, lambda thing: []
    slots = [slot for base in kind.__mro__ for slot in getattr(base, "__slots__", ())]
    return False, lambda thing: [
        *getattr(thing, "__dict__", {}).values(),
        *(getattr(thing, slot) for slot in slots if hasattr(thing, slot)),
    ]


def _is_ours(kind: type) -> bool:
    return kind.__module__.startswith("tulle.") and not kind.__module__.startswith("tulle.sim.")
