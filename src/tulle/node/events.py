"""What a node wants done by whoever does the I/O, besides what the mesh and the allocator want."""

from dataclasses import dataclass

from tulle.datapath.groups.pruning import GroupTables
from tulle.datapath.sleeve.orders import SleeveOrder
from tulle.datapath.tables import Tables
from tulle.ipam.events import Done, Failed
from tulle.mesh.events import CloseLink, Dial, Resolve, Writable


@dataclass(frozen=True, slots=True)
class Frame:
    """Write this frame of the daemon's own into the data path."""

    data: bytes


@dataclass(frozen=True, slots=True)
class SleeveDo:
    """An order for the side of the sleeve that has its sockets and keys."""

    order: SleeveOrder


@dataclass(frozen=True, slots=True)
class UseTables:
    """Carry frames by these tables from now on, and take tunnelled ones from the addresses in them only."""

    tables: Tables


@dataclass(frozen=True, slots=True)
class UseGroups:
    """Make no copies of multicast, in the trees of those tables, that these say nobody listens to."""

    tables: GroupTables


@dataclass(frozen=True, slots=True)
class ForgetPathMtus:
    """Have the kernel forget what it was told of narrow paths; it would believe it for ten minutes."""


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the log; ``level`` is debug, info, warning or error."""

    level: str
    text: str


NodeEvent = (
    Dial
    | Resolve
    | CloseLink
    | Writable
    | Done
    | Failed
    | Frame
    | SleeveDo
    | UseTables
    | UseGroups
    | ForgetPathMtus
    | Note
)
