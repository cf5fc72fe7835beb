"""What gossip says about one peer: the unit of the topology, as a plain value."""

from dataclasses import dataclass

from tulle.mesh.peername import PeerName


@dataclass(frozen=True, slots=True)
class ConnectionSummary:
    """One end's view of a connection it has.

    ``address`` is "ip:port" of the other end as seen from here: the dialled address of an outbound
    connection, the ephemeral one of an inbound connection. It is text from the network: printable, but not
    parsed. ``established`` means that frames pass, not only gossip.
    """

    name: PeerName
    address: str
    outbound: bool
    established: bool


@dataclass(frozen=True, slots=True)
class PeerSummary:
    """A peer and its connections, as it described them in ``version``.

    ``uid`` tells apart the incarnations of a peer that restarted; a higher (version, uid) replaces a lower
    one. ``short_id`` (0 to 4095) is None while the peer has none.
    """

    name: PeerName
    nickname: str
    uid: int
    version: int
    short_id: int | None
    connections: tuple[ConnectionSummary, ...]

    def __hash__(self) -> int:
        """Of the version alone, which stands for the rest: hundreds of connections would cost too much."""
        return hash((self.name, self.uid, self.version))
