"""One mesh on a stage: the test plays the network and all other peers."""

from collections.abc import Mapping
from random import Random

from mesh.builders import FakeSession, at, config
from tulle.instant import Instant
from tulle.mesh import descriptions
from tulle.mesh.channel import NO_KEYS, Keys, Merged, Outgoing
from tulle.mesh.descriptions import Descriptions
from tulle.mesh.dialect import Features, GossipMessage, Message
from tulle.mesh.dialect.weave.topology import decode_topology, encode_topology
from tulle.mesh.events import Address, LinkId, MeshEvent
from tulle.mesh.greeting import features
from tulle.mesh.mesh import Mesh
from tulle.mesh.peername import PeerName
from tulle.mesh.summary import PeerSummary


class RecordingChannel:
    """A channel whose state is the set of payloads it was given, and that remembers how it was called."""

    def __init__(self, name: str = "colours") -> None:
        self.name = name
        self.outbox: list[Outgoing] = []
        self.state: set[bytes] = set()
        self.unicasts: list[tuple[int, bytes]] = []
        self.error: Exception | None = None

    def encode_all(self, dialect: str, now: object) -> list[bytes]:
        return sorted(self.state)

    def encode_some(self, dialect: str, keys: Keys, now: object) -> list[bytes]:
        return sorted(self.state & keys)

    def merge(self, dialect: str, payload: bytes, sender: PeerName, broadcast: bool, now: object) -> Merged:
        if self.error:
            raise self.error
        keys = frozenset((payload,))
        fresh = keys - self.state or NO_KEYS
        self.state |= keys
        return Merged(keys, fresh)

    def receive(self, dialect: str, payload: bytes, src: PeerName, now: object) -> None:
        if self.error:
            raise self.error
        self.unicasts.append((src, payload))


class Stage:
    """Peer 1's mesh. Time is moved by hand with ``at``."""

    def __init__(
        self, seed: int = 0, channels: tuple[RecordingChannel, ...] = (), **settings: object
    ) -> None:
        self.sessions: dict[LinkId, FakeSession] = {}
        self._latest: FakeSession | None = None
        self.mono = 0.0
        self.mesh = Mesh(config(**{"name": 1, **settings}), Random(seed), self._session)
        for channel in channels:
            self.mesh.add_channel(channel)
        self._number = 0
        self.mesh.tick(at(0))
        self.mesh.collect()

    def _session(
        self, outbound: bool, ours: Mapping[str, str], password: bytes | None, private_key: bytes
    ) -> FakeSession:
        self._latest = FakeSession(outbound, ours, password, private_key)
        return self._latest

    @property
    def now(self) -> Instant:
        """The moment on stage."""
        return at(self.mono)

    def pass_time(self, seconds: float) -> list[MeshEvent]:
        """Let time pass, with every tick that the mesh asks for; returns what it wanted meanwhile."""
        until = self.mono + seconds
        events: list[MeshEvent] = []
        while (due := max(self.mono, self.mesh.next_deadline())) <= until:
            self.mono = due
            self.mesh.tick(at(due))
            events += self.mesh.collect()
        self.mono = until
        return events

    def accept(self, remote: Address = ("10.0.0.2", 40000)) -> LinkId | None:
        """Somebody connects; None if refused."""
        self._number += 1
        link = LinkId(self._number)
        if not self.mesh.accepted(link, remote, ("10.0.0.1", 6783), at(self.mono)):
            return None
        assert self._latest is not None
        self.sessions[link] = self._latest
        return link

    def dialled(self, target: Address) -> LinkId:
        """A dial succeeds."""
        self._number += 1
        link = LinkId(self._number)
        self.mesh.dialled(link, target, ("10.0.0.1", 40000), at(self.mono))
        assert self._latest is not None
        self.sessions[link] = self._latest
        return link

    def greet(
        self, link: LinkId, peer: int, conn_id: int = 0, tells_all: bool = True, **settings: object
    ) -> None:
        """The other end says that it is ``peer``; ``conn_uid`` becomes ours xor ``conn_id``."""
        said = features(config(peer, **settings), peer, conn_id, "10.0.0.1")
        if not tells_all:
            del said["TopologyPush"]
        self.give(link, Features(said))

    def meet(self, peer: int, conn_id: int = 0, tells_all: bool = True, **settings: object) -> LinkId:
        """``peer`` connects to us and introduces itself."""
        link = self.accept((f"10.0.0.{peer}", 40000))
        assert link is not None
        self.greet(link, peer, conn_id, tells_all, **settings)
        return link

    def our_conn_id(self, link: LinkId) -> int:
        """The connection id in our greeting."""
        return int(self.sessions[link].features["ConnID"])

    def give(self, link: LinkId, *items: Features | Message) -> None:
        """These messages arrive together."""
        self.sessions[link].arriving = list(items)
        self.mesh.received(link, b"...", at(self.mono))

    def tell(self, link: LinkId, sender: int, *peers: PeerSummary) -> None:
        """``sender`` gossips the topology."""
        self.give(link, GossipMessage("topology", PeerName(sender), encode_topology(peers)))

    def sent(self, link: LinkId) -> list[Message]:
        """The messages that leave when the socket has room."""
        session = self.sessions[link]
        while self.mesh.pull(link, at(self.mono)):
            pass
        sent, session.sent = session.sent, []
        return sent

    def told(self, link: LinkId) -> dict[int, PeerSummary]:
        """What of the topology leaves when the socket has room."""
        told: dict[int, PeerSummary] = {}
        for message in self.sent(link):
            if isinstance(message, GossipMessage) and message.channel == "topology":
                told |= {peer.name: peer for peer in decode_topology(message.payload)}
            elif isinstance(message, GossipMessage) and message.channel == descriptions.CHANNEL:
                told |= {peer.name: peer for peer in Descriptions({}).decode(message.payload)}
        return told
