"""What the mesh wants done or known: drained with ``Mesh.collect`` after every call.

Dial, CloseLink, Writable and Resolve are orders to whoever does the I/O; the rest is news for the node.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NewType

from tulle.mesh.peername import PeerName

LinkId = NewType("LinkId", int)
"""One TCP connection, numbered by whoever does the I/O; never on the wire and never used twice."""

Address = tuple[str, int]
"""IP address as text, and port."""


@dataclass(frozen=True, slots=True)
class Dial:
    """Connect to ``target`` and answer with ``Mesh.dialled`` or ``Mesh.dial_failed``."""

    target: Address


@dataclass(frozen=True, slots=True)
class Resolve:
    """Look ``host`` up and answer with ``Mesh.resolved`` (with no address when there is none)."""

    host: str


@dataclass(frozen=True, slots=True)
class CloseLink:
    """Close this connection; the mesh has forgotten it already.

    ``last_words`` are bytes that tell the other end why; try to deliver them first, but do not wait long.
    """

    link: LinkId
    reason: str
    last_words: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Writable:
    """``Mesh.pull`` has bytes for this connection."""

    link: LinkId


@dataclass(frozen=True, slots=True)
class LinkUp:
    """There is a link to ``peer``, and it is the only one: its carriers may start.

    ``conn_uid`` is the same number at both ends. ``carriers`` is what both ends offer, in the order that
    control messages index. ``session_key`` is the secret of this connection, None without a password;
    ``both_trusted`` says that each end counts the other's address as trusted, so that frames need no
    encryption. ``native``: the peer runs tulle too, and its kernel answers echoes. ``remote_port`` is the
    peer's mesh port if we dialled (``outbound``), otherwise of no meaning. ``translated``: there is a NAT
    between.
    """

    link: LinkId
    peer: PeerName
    remote_ip: str
    local_ip: str
    outbound: bool
    conn_uid: int
    carriers: tuple[str, ...]
    session_key: bytes | None = field(repr=False)
    both_trusted: bool
    native: bool = False
    remote_port: int = 0
    translated: bool = False


@dataclass(frozen=True, slots=True)
class LinkDown:
    """A link that was up is gone."""

    link: LinkId
    peer: PeerName
    reason: str


@dataclass(frozen=True, slots=True)
class CarrierControl:
    """A message from the other end's carrier; ``carrier`` validly indexes the ``carriers`` of LinkUp."""

    link: LinkId
    carrier: int
    tag: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class TopologyChanged:
    """Peers, their connections or routes are different from before (several changes make one event)."""


@dataclass(frozen=True, slots=True)
class PeersGone:
    """These peers cannot be reached over any connections any more and were forgotten."""

    names: tuple[PeerName, ...]


@dataclass(frozen=True, slots=True)
class ShortIdChanged:
    """Our own short id is another one now, because a peer with a lower name had the same."""

    short_id: int


@dataclass(frozen=True, slots=True)
class Acquainted:
    """The peers to go to after a restart are these now; see ``MeshConfig.acquaintances``."""

    peers: Mapping[PeerName, Address]


@dataclass(frozen=True, slots=True)
class Log:
    """A line for the operator; ``level`` is "debug", "info", "warning" or "error"."""

    level: str
    text: str


MeshEvent = (
    Dial
    | Resolve
    | CloseLink
    | Writable
    | LinkUp
    | LinkDown
    | CarrierControl
    | TopologyChanged
    | PeersGone
    | ShortIdChanged
    | Acquainted
    | Log
)
