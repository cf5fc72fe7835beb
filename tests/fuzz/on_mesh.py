"""Fuzzing of a whole mesh: two links over which anything may come, while time passes."""

from random import Random

from source import Source

from recordings import all_bodies
from tulle.instant import Instant
from tulle.mesh import descriptions
from tulle.mesh.descriptions import Descriptions
from tulle.mesh.dialect import BroadcastMessage, Control, GossipMessage, Heartbeat, Message, UnicastMessage
from tulle.mesh.dialect.weave.messages import decode_message, encode_message
from tulle.mesh.dialect.weave.session import WeaveSession
from tulle.mesh.dialect.weave.topology import encode_topology
from tulle.mesh.events import LinkId
from tulle.mesh.mesh import Mesh, MeshConfig
from tulle.mesh.peername import PeerName, format_name
from tulle.mesh.summary import ConnectionSummary, PeerSummary

ME, *OTHERS = (PeerName(0x020000000000 + number) for number in range(1, 6))
ADDRESSES = (
    "10.0.0.2:6783",
    "10.0.0.3:40000",
    "",
    "10.0.0.2",
    "[fe80::1]:6783",
    "host:6783",
    "10.0.0.9:99999",
)


class Life:
    """A mesh and its two neighbours."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.now = Instant(1000.0, 1_700_000_000.0)
        self.mesh = Mesh(MeshConfig(ME, "me", 7, short_id=1, carriers=("fastdp", "sleeve")), Random(1))
        self.links: list[LinkId] = []
        for number, peer in enumerate(OTHERS[:2]):
            self.greet(peer, number)

    def greet(self, peer: PeerName, number: int) -> None:
        link = LinkId(len(self.links))
        self.links.append(link)
        features = {
            "PeerNameFlavour": "mac",
            "Name": format_name(peer),
            "NickName": "h",
            "UID": "9",
            "ConnID": str(number + 1),
            "ShortID": str(self.source.number(2) % 4096),
            "Overlays": "fastdp sleeve",
        }
        ip = f"10.0.0.{number + 2}"
        if self.mesh.accepted(link, (ip, 40000), ("10.0.0.1", 6783), self.now):
            self.mesh.received(link, WeaveSession(True, features, None, bytes(32)).start(), self.now)
        self.look()

    def run(self) -> None:
        """Do what the input says."""
        while self.source.more():
            step = self.source.number() % 8
            if step == 0:
                self.wait(self.source.number(2) / 100)
            elif step == 1:
                self.mesh.closed(self.source.pick(self.links), "test", self.now)
            elif step == 2:
                self.greet(self.source.pick(OTHERS), self.source.number() % 3)
            elif step == 3:
                self.mesh.set_established(
                    self.source.pick(self.links), bool(self.source.number() % 2), self.now
                )
            else:
                self.hear()
            self.look()

    def wait(self, seconds: float) -> None:
        """Time passes; the work that is due then comes to an end."""
        self.now = self.now.later(seconds)
        for _ in range(5):
            self.mesh.tick(self.now)
            if self.mesh.next_deadline() > self.now.mono:
                return
        raise AssertionError("ticking does not bring the next deadline into the future")

    def hear(self) -> None:
        body = self.source.piece() if self.source.number() % 4 == 0 else encode_message(self.message())
        self.mesh.received(self.source.pick(self.links), len(body).to_bytes(4, "big") + body, self.now)

    def message(self) -> Message:
        channel = self.source.pick(("topology", "topology", descriptions.CHANNEL, "other"))
        src, dst = self.source.pick((ME, *OTHERS)), self.source.pick((ME, *OTHERS))
        kind = self.source.number() % 5
        told = self.peers()
        payloads = {"topology": encode_topology(told), descriptions.CHANNEL: Descriptions({}).encode(told)}
        payload = payloads.get(channel) or self.source.piece()
        if kind == 0:
            return Heartbeat()
        if kind == 1:
            return Control(self.source.number() % 3, self.source.number(), b"")
        if kind == 2:
            return BroadcastMessage(channel, src, payload)
        if kind == 3:
            return UnicastMessage(channel, src, dst, payload)
        return GossipMessage(channel, src, payload)

    def peers(self) -> list[PeerSummary]:
        names = {self.source.pick((ME, *OTHERS)): None for _ in range(self.source.number() % 4)}
        return [self.peer(name) for name in names]

    def peer(self, name: PeerName) -> PeerSummary:
        ends = {end: None for end in self.source.some((ME, *OTHERS), 4) if end != name}
        connections = tuple(
            ConnectionSummary(
                end,
                self.source.pick(ADDRESSES),
                bool(self.source.number() % 2),
                bool(self.source.number() % 2),
            )
            for end in ends
        )
        short_id = self.source.pick((None, 1, 2, 3, 4095))
        version = self.source.pick((0, 1, 2, 3, 2**64 - 1))
        return PeerSummary(name, "n", self.source.pick((7, 8, 9)), version, short_id, connections)

    def yes(self) -> bool:
        return self.source.number() % 2 == 1

    def look(self) -> None:
        self.mesh.collect()
        for link in self.links:
            self.mesh.pull(link, self.now)


def fuzz_mesh(data: bytes) -> None:
    """See the module text."""
    Life(Source(data)).run()


def mesh_seeds() -> list[bytes]:
    bodies = [body for body in all_bodies() if isinstance(decode_message(body), GossipMessage)]
    return [b"\x00\x02\x00\x03\x04\x00" + len(body).to_bytes(2, "big") + body + b"\x00" for body in bodies]
