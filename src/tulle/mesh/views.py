"""Read-only pictures of the mesh for status pages: values that nothing inside depends on."""

from dataclasses import dataclass
from enum import StrEnum

from tulle.mesh.events import Address, LinkId
from tulle.mesh.peername import PeerName


class LinkState(StrEnum):
    """How far one TCP connection has come."""

    GREETING = "connecting"
    RIVAL = "duplicate"
    PENDING = "pending"
    ESTABLISHED = "established"


@dataclass(frozen=True, slots=True)
class LinkView:
    """One TCP connection. ``peer`` and what follows from it is None or empty until the other end said who it
    is.

    Times are on the monotonic clock.
    """

    link: LinkId
    state: LinkState
    remote: Address
    local: Address
    outbound: bool
    peer: PeerName | None
    nickname: str
    conn_uid: int
    carriers: tuple[str, ...]
    encrypted: bool
    both_trusted: bool
    opened: float
    last_heard: float
    bytes_in: int
    bytes_out: int


class TargetState(StrEnum):
    """What happens with an address we want a connection to."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    RETRYING = "retrying"
    FAILED = "failed"
    PENDING = "pending"
    ESTABLISHED = "established"


@dataclass(frozen=True, slots=True)
class TargetView:
    """An address we want a connection to.

    ``target`` is what the operator wrote, or the address itself when it was discovered. ``reason`` says why
    the last attempt failed; ``retry_at`` (monotonic) when the next is due; both None when they do not apply,
    and ``never`` that there will be none. ``peer`` is who answered there last.
    """

    target: str
    address: Address | None
    configured: bool
    state: TargetState
    reason: str | None
    retry_at: float | None
    never: bool
    peer: PeerName | None
