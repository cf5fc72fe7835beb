"""What the data path needs to know to carry frames: next hops and broadcast trees, and the difference of
two states.

Everything is keyed by short id, since that is what a frame on the wire says. Addresses are text, as the
mesh has them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NewType

ShortId = NewType("ShortId", int)

SHORT_IDS = 4096
MAX_CHILDREN = 256
"""What the kernel's tree holds; well above the default limit of 200 connections."""


class CarrierKind(IntEnum):
    """Who takes a frame to its next hop; the number is what the kernel's tables say."""

    VXLAN = 1
    SLEEVE = 2


@dataclass(frozen=True, slots=True)
class Hop:
    """A neighbour, as frames are sent to it: both ends' addresses, and by which carrier."""

    remote_ip: str
    local_ip: str
    carrier: CarrierKind = CarrierKind.VXLAN


@dataclass(frozen=True, slots=True)
class Tree:
    """Our place in one source's broadcast tree.

    Frames of that source are taken only from ``parent_ip`` (None: from nobody, as for our own tree) and
    copied to ``children``.
    """

    parent_ip: str | None
    children: tuple[tuple[ShortId, Hop], ...] = ()


@dataclass(frozen=True, slots=True)
class Tables:
    """A complete state of the data path: to each peer a hop, for each source a tree (our own included).

    ``direct`` has the neighbours' own addresses, whatever the routes are: heartbeats and echoes go there.
    """

    self_id: ShortId | None = None
    direct: Mapping[ShortId, Hop] = field(default_factory=dict)
    routes: Mapping[ShortId, Hop] = field(default_factory=dict)
    trees: Mapping[ShortId, Tree] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """How to get from one state to another, in the order in which to do it.

    What is set is set first, routes before trees, so that no frame that could pass before is lost in
    between; then our own id changes; then the rest is taken away. In no intermediate state can a frame
    circle: broadcasts have one parent in each state, and relays count down.
    """

    set_direct: Mapping[ShortId, Hop] = field(default_factory=dict)
    set_routes: Mapping[ShortId, Hop] = field(default_factory=dict)
    set_trees: Mapping[ShortId, Tree] = field(default_factory=dict)
    self_id: ShortId | None = None
    drop_trees: tuple[ShortId, ...] = ()
    drop_routes: tuple[ShortId, ...] = ()
    drop_direct: tuple[ShortId, ...] = ()

    def __bool__(self) -> bool:
        return self != NO_CHANGE


NO_CHANGE = Change()


def diff(old: Tables, new: Tables) -> Change:
    """The smallest change that makes ``old`` into ``new``; no own id in ``new`` leaves the old one."""
    return Change(
        set_direct={key: hop for key, hop in new.direct.items() if old.direct.get(key) != hop},
        set_routes={key: hop for key, hop in new.routes.items() if old.routes.get(key) != hop},
        set_trees={key: tree for key, tree in new.trees.items() if old.trees.get(key) != tree},
        self_id=new.self_id if new.self_id != old.self_id else None,
        drop_trees=tuple(key for key in old.trees if key not in new.trees),
        drop_routes=tuple(key for key in old.routes if key not in new.routes),
        drop_direct=tuple(key for key in old.direct if key not in new.direct),
    )
