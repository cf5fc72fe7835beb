"""Small makers of values for the tests of the mesh."""

from collections.abc import Iterable, Mapping

from tulle.instant import Instant
from tulle.mesh.config import MeshConfig
from tulle.mesh.connection import Link
from tulle.mesh.dialect import Features, Message
from tulle.mesh.events import LinkId
from tulle.mesh.greeting import features, read_features
from tulle.mesh.peername import PeerName
from tulle.mesh.summary import ConnectionSummary, PeerSummary


def at(mono: float) -> Instant:
    """A moment; the wall clock goes with it."""
    return Instant(mono, 1_700_000_000 + mono)


def config(name: int = 1, **settings: object) -> MeshConfig:
    """A peer's configuration: nickname and uid follow from the name."""
    values = {"name": PeerName(name), "nickname": f"h{name}", "uid": 1000 + name, **settings}
    return MeshConfig(**values)  # type: ignore[arg-type]


def edge(peer: int, established: bool = True, outbound: bool = True, address: str = "") -> ConnectionSummary:
    """A connection to ``peer``."""
    return ConnectionSummary(PeerName(peer), address or f"10.0.0.{peer}:6783", outbound, established)


def summary(
    name: int,
    *neighbours: int | ConnectionSummary,
    version: int = 1,
    uid: int | None = None,
    short_id: int | None = None,
) -> PeerSummary:
    """A peer and its connections."""
    edges = tuple(other if isinstance(other, ConnectionSummary) else edge(other) for other in neighbours)
    return PeerSummary(
        PeerName(name), f"h{name}", 1000 + name if uid is None else uid, version, short_id, edges
    )


class FakeSession:
    """A session whose messages are given by hand and shown as text."""

    dialect = "weave"

    def __init__(
        self,
        outbound: bool = True,
        features: Mapping[str, str] | None = None,
        password: bytes | None = None,
        private_key: bytes = b"",
    ) -> None:
        self.session_key: bytes | None = None
        self.features = features or {}
        self.sent: list[Message] = []
        self.arriving: list[Features | Message] = []

    def start(self) -> bytes:
        return b"hello"

    def receive(self, data: bytes) -> list[Features | Message]:
        arrived, self.arriving = self.arriving, []
        return arrived

    def data_to_send(self) -> bytes:
        return b""

    def encode(self, message: Message) -> bytes:
        self.sent.append(message)
        return b"x"


def make_link(
    number: int = 1,
    peer: int | None = 2,
    outbound: bool = True,
    tells_all: bool = True,
    uid: int | None = None,
    conn_uid: int = 0,
    mono: float = 0.0,
) -> Link:
    """A connection to ``peer`` that has been greeted (unless ``peer`` is None)."""
    link = Link(LinkId(number), ("10.0.0.9", 6783), ("10.0.0.1", 40000), outbound, FakeSession(), at(mono))
    if peer is not None:
        said = features(config(peer, **({} if uid is None else {"uid": uid})), 5, conn_uid, "10.0.0.1")
        if not tells_all:
            del said["TopologyPush"]
        link.greeted(read_features(said), conn_uid)
        link.carriers = ("fastdp",)
    return link


def names(values: Iterable[int]) -> frozenset[PeerName]:
    """Numbers as peer names."""
    return frozenset(map(PeerName, values))
