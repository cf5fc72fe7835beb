"""A recorded cluster of the original, with us in the place of one host.

We are given what h1 received, over TCP and over UDP, at the times it did, and what its operator did. What we
then know must be what h1 reported: the others believed that they were talking to the original.
"""

from collections import defaultdict, deque
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from random import Random
from typing import Any

import pytest

from recordings import PASSWORD, RUNS, Datagram, Recording, datagrams, recordings, story
from tulle.datapath.carrier import Established, Neighbour, SendControl
from tulle.datapath.sleeve.carrier import SleeveCarrier
from tulle.datapath.sleeve.orders import Arrival, Endpoint, OpenPath, PathId, Refused, SendMessage, WeavePath
from tulle.datapath.sleeve.weave import FRAGMENTATION_TEST, HEARTBEAT_SIZE, PMTU_VERIFIED
from tulle.datapath.sleeve.weave_packet import PacketReader, datagram_size, decode_frames, sender_of
from tulle.datapath.tables import ShortId
from tulle.instant import Instant
from tulle.ipam import weave
from tulle.ipam.allocator import Allocator
from tulle.ipam.config import Consensus, IpamConfig, Seed
from tulle.ipam.events import Done, Failed
from tulle.mesh.dialect import BroadcastMessage, Control, Features, GossipMessage, UnicastMessage
from tulle.mesh.dialect.weave.messages import decode_features, decode_message
from tulle.mesh.dialect.weave.session import WeaveSession
from tulle.mesh.dialect.weave.topology import decode_topology
from tulle.mesh.events import (
    CarrierControl,
    CloseLink,
    Dial,
    LinkDown,
    LinkId,
    LinkUp,
    PeersGone,
    TopologyChanged,
)
from tulle.mesh.mesh import Mesh, MeshConfig
from tulle.mesh.peername import format_name, parse_name
from tulle.names import weave as names
from tulle.names.nameserver import Nameserver

H1, H2, H3 = (parse_name(f"02:00:00:00:00:0{number}") for number in (1, 2, 3))
OUR_IP = "10.99.0.2"
UNIVERSE = IPv4Network("10.32.0.0/12")
PORT = 6783
WIRE_MTU = 1500

READERS: dict[str, Callable[[bytes], Any]] = {
    "topology": decode_topology,
    "IPallocation": weave.decode_state,
    "nameserver": names.decode,
}


class Host:
    """h1, made of our own parts, and the recorded world around it."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.story = story(run)
        me = self.story["self"]
        self.recordings = [item for item in recordings(run) if item.server.startswith(OUR_IP)]
        encrypted = bool(self.recordings[0].session_key)
        bootstrap = Seed((H1, H2, H3)) if encrypted else Consensus(3)
        self.mesh = Mesh(
            MeshConfig(
                name=H1,
                nickname=me["NickName"],
                uid=me["UID"],
                short_id=me["ShortID"],
                password=PASSWORD if encrypted else None,
                carriers=("sleeve",),
            ),
            Random(1),
            self.session,
        )
        self.ipam = Allocator(IpamConfig(H1, me["UID"], UNIVERSE, UNIVERSE, bootstrap), Random(1))
        self.names = Nameserver(H1, "weave.local.")
        self.sleeve = SleeveCarrier(H1, 1376, PORT)
        self.paths: dict[int, tuple[PathId, PacketReader]] = {}
        self.mesh.add_channel(self.ipam)
        self.mesh.add_channel(self.names)
        self.answers: list[Done | Failed] = []
        self.closed: list[CloseLink] = []
        self.sent: defaultdict[int, bytes] = defaultdict(bytes)
        self.time = self.story["operations"][0][0]
        self.ahead = deque(self.happenings())

    def session(
        self, outbound: bool, features: Any, password: bytes | None, private_key: bytes
    ) -> WeaveSession:
        """With the key that h1 used, so that what the others sealed can be opened."""
        return WeaveSession(outbound, features, password, self.opening.server_private or private_key)

    @property
    def now(self) -> Instant:
        return Instant(self.time, self.time)

    # -- the recorded world

    def happenings(self) -> list[tuple[float, Callable[[], None]]]:
        """What befell h1, in order."""
        found: list[tuple[float, Callable[[], None]]] = []
        for link, recording in enumerate(self.recordings):
            opened = recording.chunks[0].time
            found.append((opened, lambda link=link, recording=recording: self.open(link, recording)))
            found.extend(
                (chunk.time, lambda link=link, data=chunk.data: self.hear(link, data))
                for chunk in recording.chunks
                if chunk.from_client
            )
        found.extend(
            (item.time, lambda item=item: self.hear_datagram(item))
            for item in datagrams(self.run)
            if item.target == OUR_IP
        )
        for time, host, text in self.story["operations"]:
            if host == "h1" or text == "kill -9 h3":
                found.append((time, lambda text=text: self.operate(text)))
        return sorted(found, key=lambda item: item[0])

    def open(self, link: int, recording: Recording) -> None:
        self.opening = recording
        ip, _, port = recording.client.partition(":")
        assert self.mesh.accepted(LinkId(link), (ip, int(port)), (OUR_IP, 6783), self.now)

    def hear(self, link: int, data: bytes) -> None:
        self.mesh.received(LinkId(link), data, self.now)

    def hear_datagram(self, item: Datagram) -> None:
        """Of the frames the kernel takes care; the rest is what the others' sleeves say to ours."""
        path, reader = self.paths[sender_of(item.data)]
        frames, rest = decode_frames(reader.read(item.data))
        assert rest == 0
        for frame in frames:
            if not any(frame.data[:14]):
                source = Endpoint(item.source, PORT)
                self.sleeve.arrived(Arrival(path, frame.data, source, len(item.data)), self.now)

    def operate(self, text: str) -> None:
        if text.startswith("POST /ip/"):
            self.ipam.allocate(1, "c1", UNIVERSE, self.now)
        elif text == "GET /ring":
            self.ipam.prime(2, self.now)
        elif text.startswith("PUT /ip/c9"):
            self.ipam.claim(3, "c9", IPv4Address("10.46.0.77"), 12, self.now)
        elif text.startswith("PUT name web"):
            self.names.add("aaaaaaaaaaaa", "web", IPv4Address("10.32.0.1"), self.now)
        elif text.startswith("kill -9 h3"):
            (link,) = (view.link for view in self.mesh.links() if view.peer == H3)
            self.mesh.closed(link, "connection reset by peer", self.now)
        elif text.startswith("DELETE /peer/h3"):
            self.ipam.takeover(4, H3, self.now, force=True)
        else:
            raise AssertionError(f"the recording did something new: {text}")

    # -- what a node does

    def play(self, until: float) -> None:
        """Let happen what happened until then."""
        while self.ahead and self.ahead[0][0] < until:
            time, happen = self.ahead.popleft()
            self.pass_time(time)
            happen()
            self.settle()
        self.pass_time(until)

    def pass_time(self, until: float) -> None:
        parts = (self.mesh, self.ipam, self.names, self.sleeve)
        while (due := max(self.time, min(part.next_deadline() for part in parts))) < until:
            self.time = due
            for part in parts:
                part.tick(self.now)
            self.settle()
        self.time = until

    def settle(self) -> None:
        """Do what the parts want done, until they want nothing more."""
        parts = (self.mesh, self.ipam, self.names, self.sleeve)
        while events := [event for part in parts for event in part.collect()]:
            for event in events:
                self.obey(event)
            for view in self.mesh.links():
                while data := self.mesh.pull(view.link, self.now):
                    self.sent[view.link] += data

    def obey(self, event: object) -> None:
        match event:
            case Dial(target):
                self.mesh.dial_failed(target, "no route to host", self.now)
            case LinkUp():
                self.sleeve.link_up(self.neighbour(event), self.now)
            case LinkDown(link):
                self.sleeve.link_down(link, self.now)
            case CarrierControl(link, _, tag, payload):
                self.sleeve.control(link, tag, payload, self.now)
            case SendControl(link, tag, payload):
                self.mesh.send_control(link, 0, tag, payload, self.now)
            case Established(link):
                self.mesh.set_established(link, True, self.now)
            case OpenPath(path, WeavePath() as format):
                self.paths[format.peer] = path, PacketReader(format.session_key, format.dialler)
            case SendMessage():
                self.carry(event)
            case Done() | Failed():
                self.answers.append(event)
            case CloseLink():
                self.closed.append(event)
            case PeersGone(names):
                self.ipam.peers_gone(names, self.now)
                self.names.peers_gone(names)
            case TopologyChanged():
                peers = self.mesh.peers()
                self.names.known_peers(frozenset(peers))
                nicknames = {name: peer.nickname for name, peer in peers.items()}
                reachable = frozenset(self.mesh.routes.unicast_all)
                self.ipam.peers_changed(reachable, nicknames, self.now)

    def neighbour(self, up: LinkUp) -> Neighbour:
        """As a node tells its carriers of a link; its number is the recorded one, for ours is random."""
        ends = [next(self.recordings[up.link].bodies(end)) for end in (True, False)]
        one, other = (int(decode_features(features)["ConnID"]) for features in ends)
        short_id = self.mesh.peers()[up.peer].short_id
        assert short_id is not None
        return Neighbour(
            link=up.link,
            peer=up.peer,
            short_id=ShortId(short_id),
            remote_ip=up.remote_ip,
            local_ip=up.local_ip,
            conn_uid=one ^ other,
            native=up.native,
            secret=up.session_key is not None,
            session_key=up.session_key,
            outbound=up.outbound,
            remote_port=up.remote_port,
        )

    def carry(self, order: SendMessage) -> None:
        """Be the kernel of h1 and the peers behind it: those acknowledged every test of the MTU that came."""
        mtu = len(order.message) - 14
        sealed = bool(self.recordings[0].session_key)
        if order.df and datagram_size(mtu, sealed) + 28 > WIRE_MTU:
            self.sleeve.refused(Refused(order.path, WIRE_MTU), self.now)
        elif len(order.message) not in (HEARTBEAT_SIZE, FRAGMENTATION_TEST):
            (peer,) = (peer for peer, (path, _) in self.paths.items() if path == order.path)
            for view in self.mesh.links():
                if view.peer == peer:
                    self.sleeve.control(view.link, PMTU_VERIFIED, mtu.to_bytes(2, "big"), self.now)

    # -- what we know, as the reports have it

    def peers(self) -> list[dict[str, Any]]:
        return [
            {
                "Name": format_name(peer.name),
                "NickName": peer.nickname,
                "UID": peer.uid,
                "ShortID": peer.short_id,
                "Version": peer.version,
                "Connections": sorted(
                    (
                        {
                            "Name": format_name(end.name),
                            "Address": end.address,
                            "Outbound": end.outbound,
                            "Established": end.established,
                        }
                        for end in peer.connections
                    ),
                    key=name_of,
                ),
            }
            for peer in sorted(self.mesh.peers().values(), key=lambda peer: peer.name)
        ]

    def ring(self) -> list[dict[str, Any]]:
        return [
            {
                "Token": str(entry.token),
                "Size": entry.size,
                "Peer": format_name(entry.peer),
                "Version": entry.version,
            }
            for entry in self.ipam.status().entries
        ]

    def entries(self) -> list[dict[str, Any]]:
        return [
            {
                "Hostname": entry.key.hostname,
                "Origin": format_name(entry.key.origin),
                "ContainerID": entry.key.container,
                "Address": str(IPv4Address(entry.key.address)),
                "Version": entry.version,
                "Tombstone": entry.tombstone,
            }
            for entry in self.names.entries()
        ]


def name_of(item: dict[str, Any]) -> str:
    return str(item["Name"])


def of_others(items: list[dict[str, Any]], owner: str) -> list[dict[str, Any]]:
    """Our own versions may count differently: those of things we do not own are others' and must be equal."""
    return [item if item[owner] != format_name(H1) else {**item, "Version": "ours"} for item in items]


def reported_peers(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Without h3 once it is dead: how fast it is forgotten is no matter of what was said."""
    alive = [peer for peer in report["peers"] if is_alive(peer, report)]
    return [{**peer, "Connections": sorted(peer["Connections"], key=name_of)} for peer in alive]


def is_alive(peer: dict[str, Any], report: dict[str, Any]) -> bool:
    return peer["NickName"] != "h3" or report["step"] < "6"


@pytest.mark.parametrize("run", RUNS)
def test_we_know_what_the_original_knew(run: str) -> None:
    host = Host(run)
    for report in host.story["reports"]:
        host.play(report["before"])
        step = report["step"]
        assert host.closed == [], step
        assert of_others(host.ring(), "Peer") == of_others(report["ring"], "Peer"), step
        assert host.entries() == report["names"], step
        peers = [peer for peer in host.peers() if is_alive(peer, report)]
        assert of_others(peers, "Name") == of_others(reported_peers(report), "Name"), step


@pytest.mark.parametrize("run", RUNS)
def test_our_own_requests_are_answered_as_those_of_the_original_were(run: str) -> None:
    host = Host(run)
    host.play(host.story["reports"][-1]["before"])
    results = {answer.ticket: answer for answer in host.answers}
    assert sorted(results) == [1, 2, 3, 4]
    assert [type(answer) for answer in results.values()] == [Done] * 4
    first, claimed = results[1], results[3]
    assert isinstance(first, Done)
    assert str(first.result) == "10.32.0.1/12"
    assert isinstance(claimed, Done)
    assert str(claimed.result) == "10.46.0.77/12"


@pytest.mark.parametrize("run", RUNS)
def test_what_we_said_can_be_understood_at_the_other_end(run: str) -> None:
    host = Host(run)
    host.play(host.story["reports"][-1]["before"])
    for link, recording in enumerate(host.recordings):
        password = PASSWORD if recording.session_key else None
        other = WeaveSession(True, {}, password, recording.client_private)
        features, *messages = other.receive(host.sent[link])
        assert isinstance(features, Features)
        assert features.values["Name"] == format_name(H1)
        channels = set()
        for message in messages:
            if isinstance(message, GossipMessage | BroadcastMessage):
                channels.add(message.channel)
                assert READERS[message.channel](message.payload)
            elif isinstance(message, UnicastMessage):
                assert message.channel == "IPallocation"
                assert weave.decode_direct(message.payload)
        assert channels == set(READERS)


@pytest.mark.parametrize("run", RUNS)
def test_our_sleeve_told_the_others_what_that_of_the_original_did(run: str) -> None:
    host = Host(run)
    host.play(host.story["reports"][-1]["before"])
    for link, recording in enumerate(host.recordings):
        password = PASSWORD if recording.session_key else None
        other = WeaveSession(True, {}, password, recording.client_private)
        ours = [message for message in other.receive(host.sent[link]) if isinstance(message, Control)]
        theirs = [decode_message(body) for body in list(recording.bodies(from_client=False))[1:]]
        assert ours == [message for message in theirs if isinstance(message, Control)]
