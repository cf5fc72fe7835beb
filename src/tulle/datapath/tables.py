"""What the data path needs to know to carry frames: next hops and broadcast trees, and the difference of
two states.

Everything is keyed by short id, since that is what a frame on the wire says. Addresses are text, as the
mesh has them.
"""

from collections.abc import Callable, Mapping
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


HopId = str | ShortId
"""What a neighbour is known by when frames come from it: its address by VXLAN, its short id by the sleeve."""


@dataclass(frozen=True, slots=True)
class Hop:
    """A neighbour, as frames are sent to it.

    By VXLAN the two ends' addresses say where. By the sleeve ``peer`` does, the neighbour's short id, since
    several neighbours may have one address (a NAT's); see ``sleeve_hop``.
    """

    remote_ip: str
    local_ip: str
    carrier: CarrierKind = CarrierKind.VXLAN
    peer: ShortId | None = None

    @property
    def id(self) -> HopId:
        """What frames from this neighbour are known by."""
        if self.carrier is CarrierKind.VXLAN:
            return self.remote_ip
        assert self.peer is not None
        return self.peer


def sleeve_hop(peer: ShortId) -> Hop:
    """The hop to a neighbour that is reached by the sleeve."""
    return Hop("", "", CarrierKind.SLEEVE, peer)


@dataclass(frozen=True, slots=True)
class Tree:
    """Our place in one source's broadcast tree.

    Frames of that source are taken only from ``parent`` (None: from nobody, as for our own tree) and copied
    to ``children``.
    """

    parent: HopId | None
    children: tuple[tuple[ShortId, Hop], ...] = ()


@dataclass(frozen=True, slots=True)
class Tables:
    """A complete state of the data path: to each peer a hop, for each source a tree (our own included).

    ``direct`` has the neighbours' own addresses, whatever the routes are: heartbeats and echoes of VXLAN go
    there. Those to whom nothing may go in the clear are not in it.
    """

    self_id: ShortId | None = None
    direct: Mapping[ShortId, Hop] = field(default_factory=dict)
    routes: Mapping[ShortId, Hop] = field(default_factory=dict)
    trees: Mapping[ShortId, Tree] = field(default_factory=dict)

    def without_tunnels(self, unless: Callable[[str], bool]) -> "Tables":
        """These tables without what goes, in the clear, to other addresses than those that may have it."""

        def may(hop: Hop) -> bool:
            return hop.carrier is not CarrierKind.VXLAN or unless(hop.remote_ip)

        return Tables(
            self.self_id,
            {peer: hop for peer, hop in self.direct.items() if may(hop)},
            {peer: hop for peer, hop in self.routes.items() if may(hop)},
            {
                source: Tree(tree.parent, tuple(child for child in tree.children if may(child[1])))
                for source, tree in self.trees.items()
                if not isinstance(tree.parent, str) or unless(tree.parent)
            },
        )


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
