"""How much a node keeps in memory: everything that it holds in collections, counted."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from tulle.sim.daemon import Daemon

_COLLECTIONS = (list, tuple, set, frozenset, deque)
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
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, bytes | bytearray | str):
            total += len(thing) // _BYTES_PER_THING
            continue
        inside = list(_inside(thing))
        if isinstance(thing, (*_COLLECTIONS, Mapping)):
            total += len(inside)
        waiting += inside
    return total


def _inside(thing: Any) -> Iterator[object]:
    if isinstance(thing, Mapping):
        yield from thing.keys()
        yield from thing.values()
    elif isinstance(thing, _COLLECTIONS):
        yield from thing
    elif _is_ours(type(thing)):
        yield from getattr(thing, "__dict__", {}).values()
        for kind in type(thing).__mro__:
            for slot in getattr(kind, "__slots__", ()):
                if hasattr(thing, slot):
                    yield getattr(thing, slot)


def _is_ours(kind: type) -> bool:
    return kind.__module__.startswith("tulle.") and not kind.__module__.startswith("tulle.sim.")
