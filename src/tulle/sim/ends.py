"""What the network sees of hosts, and the two ends of a connection between them."""

from dataclasses import dataclass, field
from typing import Protocol

from tulle.datapath.tapframe import ControlFrame

Address = tuple[str, int]
"""IP address and port."""


class Host(Protocol):
    """What a host does with connections, which are told apart by the numbers that ``Network`` gave them."""

    ip: str
    port: int

    def accept(self, connection: int, remote: Address) -> bool:
        """Somebody connects; False closes at once."""

    def dialled(self, connection: int, target: Address, local: Address) -> None:
        """The connection that was asked for is there."""

    def dial_failed(self, target: Address, reason: str) -> None:
        """Nobody answers there, or refuses."""

    def received(self, connection: int, data: bytes) -> None:
        """Bytes arrived."""

    def writable(self, connection: int) -> None:
        """A stream that was full takes bytes again."""

    def closed(self, connection: int, reason: str) -> None:
        """The other end closed, or the network broke the connection."""


class FrameTaker(Protocol):
    """The data path of a host."""

    ip: str
    alive: bool

    def arrived(self, frame: ControlFrame, source: str, hops: int) -> None:
        """A frame came over the network, and may be sent on so many times."""


@dataclass(slots=True, eq=False)
class End:
    """One end of a connection.

    ``inbox`` is what waits for the path to come back, ``arrival`` when the last piece sent to this end is
    due, ``unread`` how many bytes are under way to it. ``lonely_since``: since when nothing can have come
    from the other machine, not even an answer of its kernel. ``ended``: word is on its way that the other end
    is gone.
    """

    connection: int
    host: Host
    peer: "End | None" = None
    open: bool = True
    inbox: list[bytes | None] = field(default_factory=list)
    arrival: float = 0.0
    unread: int = 0
    cut_at: float = 0.0
    lonely_since: float | None = None
    ended: bool = False
