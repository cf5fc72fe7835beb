"""The seam of the sleeve: what its pure part decides, and what the part with sockets and keys reports.

The pure part knows who is to be reached, asks for ever whether that works, and finds the path's MTU and loss.
The other part (``host.sleeve``) carries frames and the messages of the pure part, sealed or not. A path is
one direction-pair between this host and one peer; it has two indexes, one for each direction, by which the
receiver of a datagram knows the path, whatever address it came from.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, NewType

from tulle.datapath.tables import ShortId
from tulle.mesh.peername import PeerName

PathId = NewType("PathId", int)
"""Numbers the paths of this host; never used twice while it runs."""


class Endpoint(NamedTuple):
    """A UDP address."""

    ip: str
    port: int


@dataclass(frozen=True, slots=True)
class Keys:
    """The secrets from which both directions' keys are derived; 32 bytes each."""

    send: bytes = field(repr=False)
    receive: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NativePath:
    """A path to a peer of our own kind. ``keys`` None: not encrypted.

    ``send_index`` and ``receive_index`` (u64) open every datagram to and from the peer. Only the two ends
    know them, so that nobody who cannot see the traffic can forge a datagram of an unencrypted path.
    ``peer``: the kernel must be told from which neighbour a frame came, also on a path that we do not send
    frames by; its short id is what ``KnowPeers`` says.
    """

    peer: PeerName
    send_index: int = field(repr=False)
    receive_index: int = field(repr=False)
    keys: Keys | None


@dataclass(frozen=True, slots=True)
class WeavePath:
    """A path in Weave Net's own packet format. ``dialler``: we made the TCP connection (nonces tell)."""

    me: PeerName
    peer: PeerName
    session_key: bytes | None = field(repr=False)
    dialler: bool


# Orders: what the pure part wants done


@dataclass(frozen=True, slots=True)
class OpenPath:
    """Take datagrams of this path from now on. In the same step as the link is settled, so none is lost."""

    path: PathId
    format: NativePath | WeavePath


@dataclass(frozen=True, slots=True)
class ClosePath:
    """Forget the path, its keys and its counters."""

    path: PathId


@dataclass(frozen=True, slots=True)
class AimPath:
    """Frames for the neighbour with this short id go by this path.

    ``size`` is the largest UDP payload that passes; ``group`` how many datagrams may depend on each other (1:
    each stands alone; 0: as many as there are). ``short_id`` None: no frames by this path any more.
    ``fragments``: larger datagrams pass too, in IP fragments; ``tentative``: perhaps they even pass whole,
    which is being found out (both only with Weave's format).
    """

    path: PathId
    short_id: ShortId | None
    endpoint: Endpoint
    size: int
    group: int
    fragments: bool = False
    tentative: bool = False


@dataclass(frozen=True, slots=True)
class SendMessage:
    """A message of the pure part, in one datagram with DF set, padded to ``size`` bytes of UDP payload (0: as
    small as it can be). Without ``df`` the network may break it into fragments."""

    path: PathId
    endpoint: Endpoint
    message: bytes
    size: int = 0
    df: bool = True


@dataclass(frozen=True, slots=True)
class KnowPeers:
    """Who has which short id, in the whole mesh. Frames of Weave's format say names instead."""

    names: Mapping[ShortId, PeerName]


@dataclass(frozen=True, slots=True)
class SealBetween:
    """Frames that start here and go to one of these peers over relays are sealed for it alone.

    ``keys`` are the peers' public keys, ``common`` says what we have in common with the owner of one (None if
    that is no secret), ``mtu`` is the overlay's: sealed frames travel in packets like those of containers.
    """

    me: PeerName
    mtu: int
    keys: Mapping[PeerName, bytes]
    common: Callable[[PeerName, bytes], bytes | None] = field(repr=False, compare=False)


SleeveOrder = OpenPath | ClosePath | AimPath | SendMessage | KnowPeers | SealBetween


# Reports: what the pure part is told


class Arrival(NamedTuple):
    """A message from the other end of a path: authentic if the path has keys. ``size``: of its datagram."""

    path: PathId
    message: bytes
    source: Endpoint
    size: int


class Refused(NamedTuple):
    """The kernel would not send a message of this path with DF: what it knows to pass are IP packets of up to
    ``mtu`` bytes. Only for paths of Weave's format, whose search for the MTU begins with that."""

    path: PathId
    mtu: int


class Count(NamedTuple):
    """What one path has carried since it was opened, in datagrams. ``expected`` by the sender's counters, so
    ``expected - received`` were lost; ``dropped`` were forged, replayed, damaged or too late."""

    sent: int
    received: int
    expected: int
    dropped: int
