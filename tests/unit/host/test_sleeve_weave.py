"""Paths in Weave Net's format, joined in memory, and the recorded datagrams of real ones."""

import errno
import random
from collections.abc import Mapping, Sequence

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings import RUNS, datagrams, recordings
from tulle.datapath.sleeve.orders import AimPath, Arrival, Endpoint, PathId, Refused, SendMessage, WeavePath
from tulle.datapath.sleeve.weave import heartbeat
from tulle.datapath.sleeve.weave_packet import WeaveFrame, decode_frames, encode_frame, overlay_mtu, sender_of
from tulle.datapath.tables import ShortId
from tulle.datapath.tapframe import DATA
from tulle.host.msghdr import Vectors
from tulle.host.sleeve.segments import packets
from tulle.host.sleeve.udp import Buffer, UdpSocket
from tulle.host.sleeve.vnet import NO_NOTES, TAP_HEADER, VNET
from tulle.host.sleeve.weave import WeaveFormat, WeaveTraffic, path_mtu
from tulle.mesh.peername import PeerName

A, B, C = (PeerName(0x020000000000 + number) for number in (1, 2, 3))
IDS = {A: ShortId(11), B: ShortId(22), C: ShortId(33)}
KEY = bytes(range(32))
HERE, THERE = Endpoint("127.0.0.1", 6783), Endpoint("127.0.0.2", 6783)
MAC_A, MAC_B = bytes.fromhex("0a0000000001"), bytes.fromhex("0a0000000002")


class Net:
    """A socket and the outlets behind it, which remember everything."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, bool]] = []
        self.largest = 1472
        self.superframes = 0
        self.delivered: list[tuple[bytes, PeerName, PeerName, PeerName]] = []
        self.reports: list[Arrival | Refused] = []
        self.names: Mapping[ShortId, PeerName] = {number: name for name, number in IDS.items()}

    @property
    def socket(self) -> "Net":
        return self

    def send(self, pieces: Sequence[Buffer], endpoint: Endpoint, df: bool = True) -> int:
        datagram = b"".join(pieces)
        if df and len(datagram) > self.largest:
            return errno.EMSGSIZE
        self.sent.append((datagram, df))
        return 0

    def send_alike(self, data: bytes, length: int, endpoint: Endpoint) -> None:
        assert len(data) % length == 0
        self.sent += [(data[at : at + length], True) for at in range(0, len(data), length)]

    def deliver_plain(
        self, frame: bytes, dst: PeerName, src: PeerName, peer: PeerName, notes: bytes = NO_NOTES
    ) -> bool:
        header = TAP_HEADER.pack(DATA, 64, 2, 1, 1, 0x0800)
        whole = memoryview(bytearray(notes + header + frame))
        self.delivered += [(packet, dst, src, peer) for packet in packets(whole)]
        self.superframes += notes != NO_NOTES
        return True

    def report(self, report: Arrival | Refused) -> None:
        self.reports.append(report)


class End:
    """One end of a path."""

    def __init__(
        self,
        me: PeerName,
        peer: PeerName,
        key: bytes | None,
        dialler: bool,
        to: Endpoint,
        net: Net | None = None,
    ) -> None:
        self.net = net or Net()
        self.sealed = key is not None
        self.format = WeaveFormat()
        self.path: WeaveTraffic = self.format.open(PathId(1), WeavePath(me, peer, key, dialler), self.net)  # type: ignore[arg-type]
        self.aim(to)

    def aim(self, to: Endpoint, size: int = 1472, fragments: bool = True) -> None:
        self.path.aim(AimPath(PathId(1), ShortId(1), to, size, 0, fragments))

    def send(
        self, frame: bytes, src: PeerName = A, dst: PeerName = B, notes: bytes = bytes(VNET.size)
    ) -> None:
        header = TAP_HEADER.pack(DATA, 64, IDS.get(dst, 99), IDS.get(src, 99), IDS[B], 0x0800)
        self.path.frame(memoryview(bytearray(notes + header + frame)))


@pytest.fixture(params=[None, KEY], ids=["plain", "sealed"])
def ends(request: pytest.FixtureRequest) -> tuple[End, End]:
    return End(A, B, request.param, True, THERE), End(B, A, request.param, False, HERE)


def carry(source: End, target: End, of: Endpoint = HERE) -> list[tuple[bytes, PeerName, PeerName, PeerName]]:
    source.path.flush()
    for datagram, _ in source.net.sent:
        assert target.format.take(memoryview(datagram), of)
    source.net.sent.clear()
    target.format.settle()
    return target.net.delivered


def ip_frame(size: int, df: bool = False) -> bytes:
    packet = dpkt.ip.IP(src=b"\x0a\x20\0\x01", dst=b"\x0a\x20\0\x02", p=17, df=int(df), data=bytes(size - 20))
    return bytes(dpkt.ethernet.Ethernet(dst=MAC_B, src=MAC_A, data=packet))


def test_frames_arrive_with_their_names(ends: tuple[End, End]) -> None:
    here, there = ends
    frames = [ip_frame(size) for size in (60, 1300, 84)]
    for frame in frames:
        here.send(frame)
    here.send(frames[0], src=C)
    assert carry(here, there) == [
        (frames[0], B, A, A),
        (frames[1], B, A, A),
        (frames[2], B, A, A),
        (frames[0], B, C, A),
    ]
    assert there.path.count().dropped == 0


def test_small_frames_travel_together(ends: tuple[End, End]) -> None:
    here, there = ends
    for _ in range(10):
        here.send(ip_frame(84))
    here.path.flush()
    assert [df for _, df in here.net.sent] == [False]
    assert len(carry(here, there)) == 10


def test_classes_travel_apart(ends: tuple[End, End]) -> None:
    here, _ = ends
    for df in (True, False, True):
        here.send(ip_frame(84, df))
    here.path.flush()
    assert sorted(df for _, df in here.net.sent) == [False, True]


def test_no_more_frames_wait_than_are_good(ends: tuple[End, End]) -> None:
    here, _ = ends
    for _ in range(1000):
        here.send(ip_frame(84))
    assert len(here.net.sent) >= 900 / 64


def test_frames_of_peers_without_a_name_are_dropped(ends: tuple[End, End]) -> None:
    here, there = ends
    here.send(ip_frame(84), dst=PeerName(5))
    here.send(ip_frame(84), src=PeerName(5))
    assert carry(here, there) == []
    assert here.path.count().dropped == 2


def superframe(payload: bytes, gso_size: int) -> tuple[bytes, bytes]:
    """Notes and frame of a TCP superframe, as the kernel gives it."""
    tcp = dpkt.tcp.TCP(sport=1, dport=2, seq=1000, flags=dpkt.tcp.TH_ACK | dpkt.tcp.TH_PUSH, sum=0)
    tcp.data = payload
    packet = dpkt.ip.IP(src=b"\x0a\x20\0\x01", dst=b"\x0a\x20\0\x02", p=6, df=1, data=bytes(tcp))
    packet.len = 20 + len(bytes(tcp))
    frame = bytearray(bytes(dpkt.ethernet.Ethernet(dst=MAC_B, src=MAC_A, data=packet)))
    pseudo = packet.src + packet.dst + (6).to_bytes(2, "big") + len(bytes(tcp)).to_bytes(2, "big")
    frame[50:52] = (0xFFFF - dpkt.in_cksum(pseudo)).to_bytes(2, "big")
    return VNET.pack(1, 1, 68, gso_size, 48, 16), bytes(frame)


def test_superframes_are_cut_and_completed(ends: tuple[End, End]) -> None:
    here, there = ends
    payload = random.Random(1).randbytes(20_000)
    notes, frame = superframe(payload, 1336)
    here.send(frame, notes=notes)
    delivered = [dpkt.ethernet.Ethernet(item[0]).data for item in carry(here, there)]
    assert b"".join(packet.data.data for packet in delivered) == payload
    assert there.net.superframes == 1
    for packet in delivered:
        raw = bytes(packet.data)
        pseudo = packet.src + packet.dst + b"\0\x06" + len(raw).to_bytes(2, "big")
        assert dpkt.in_cksum(pseudo + raw) == 0
        assert packet.df


def test_what_is_too_big_is_answered_once(ends: tuple[End, End]) -> None:
    here, there = ends
    here.aim(THERE, size=1000)
    notes, frame = superframe(bytes(20_000), 1336)
    here.send(frame, notes=notes)
    assert carry(here, there) == []
    ((answer, dst, src, peer),) = here.net.delivered
    assert (dst, src, peer) == (A, B, B)
    found = dpkt.ethernet.Ethernet(answer)
    assert found.dst == MAC_A
    assert found.data.data.data.mtu == overlay_mtu(1000, here.sealed)


def test_messages_arrive_whatever_their_source(ends: tuple[End, End]) -> None:
    here, there = ends
    stranger = Endpoint("192.0.2.1", 7)
    here.path.message(SendMessage(PathId(1), THERE, heartbeat(7)))
    carry(here, there, of=stranger)
    (arrival,) = there.net.reports
    assert isinstance(arrival, Arrival)
    assert arrival[:3] == (PathId(1), heartbeat(7), stranger)


def test_a_refused_message_tells_what_passes(ends: tuple[End, End]) -> None:
    here, _ = ends
    here.path.message(SendMessage(PathId(1), THERE, bytes(60000)))
    assert here.net.reports == [Refused(PathId(1), path_mtu(THERE) or 0)]
    here.path.message(SendMessage(PathId(1), THERE, bytes(60001), df=False))
    assert len(here.net.reports) == 1
    assert [df for _, df in here.net.sent] == [False]


def test_without_a_key_frames_count_only_from_where_the_peer_was_heard() -> None:
    here, there = End(A, B, None, True, THERE), End(B, A, None, False, HERE)
    here.send(ip_frame(84))
    assert carry(here, there, of=Endpoint("192.0.2.1", 6783)) == []
    assert there.path.count().dropped == 1


def test_messages_on_behalf_of_others_do_not_count() -> None:
    here, there = End(A, B, None, True, THERE), End(B, A, None, False, HERE)
    for src, dst in ((C, B), (A, C)):
        contents = encode_frame(WeaveFrame(src, dst, heartbeat(1)))
        there.format.take(memoryview(A.to_bytes(6, "big") + contents), HERE)
    here.format.take(memoryview(B.to_bytes(6, "big") + encode_frame(WeaveFrame(A, B, ip_frame(84)))), THERE)
    assert there.net.reports == []
    assert here.net.delivered == []
    assert here.path.count().dropped == 1


def test_a_datagram_full_of_messages_costs_no_more_than_a_few() -> None:
    """Anybody can send such a one to a path without a key."""
    there = End(B, A, None, False, HERE)
    message = encode_frame(WeaveFrame(A, B, heartbeat(7)))
    assert there.format.take(memoryview(A.to_bytes(6, "big") + 1800 * message), THERE)
    assert 0 < len(there.net.reports) < 10


def test_replays_and_forgeries_are_counted() -> None:
    here, there = End(A, B, KEY, True, THERE), End(B, A, KEY, False, HERE)
    here.send(ip_frame(84))
    here.path.flush()
    ((datagram, _),) = here.net.sent
    for data in (datagram, datagram, datagram[:-1] + b"\0", datagram[:20]):
        there.format.take(memoryview(data), HERE)
    assert there.path.count()[1:] == (1, 1, 3)


def test_datagrams_of_nobody_and_of_closed_paths() -> None:
    here = End(A, B, None, True, THERE)
    assert not here.format.take(memoryview(b"short"), THERE)
    assert not here.format.take(memoryview(C.to_bytes(6, "big") + bytes(40)), THERE)
    assert here.format.take(memoryview(B.to_bytes(6, "big")), THERE)
    later = here.format.open(PathId(2), WeavePath(A, B, None, True), here.net)  # type: ignore[arg-type]
    here.path.close()
    assert here.format.take(memoryview(B.to_bytes(6, "big")), THERE)
    later.close()
    assert not here.format.take(memoryview(B.to_bytes(6, "big")), THERE)


@given(st.binary(max_size=200))
def test_hostile_datagrams_do_no_harm(data: bytes) -> None:
    for key in (None, KEY):
        end = End(A, B, key, True, THERE)
        end.format.take(memoryview(B.to_bytes(6, "big") + data), THERE)
        assert end.path.count().received + end.path.count().dropped >= 1


@pytest.mark.parametrize("run", RUNS)
def test_recorded_datagrams_give_their_frames(run: str) -> None:
    recording = recordings(run)[0]
    client, server = recording.client.split(":")[0], recording.server.split(":")[0]
    items = [item for item in datagrams(run) if (item.source, item.target) == (client, server)]
    end = End(A, sender_of(items[0].data), recording.session_key or None, False, Endpoint(client, 6783))
    assert end.path._peer == B
    for item in items:
        assert end.format.take(memoryview(item.data), Endpoint(client, 6783))
    end.format.settle()
    count = end.path.count()
    assert (count.received, count.dropped) == (len(items), 0)
    assert 0 <= count.expected - count.received <= 1  # one number was used for what the kernel refused
    assert all((dst, src, peer) == (A, B, B) for _, dst, src, peer in end.net.delivered)
    kinds = {int.from_bytes(frame[12:14], "big") for frame, *_ in end.net.delivered}
    assert kinds == {0x0800, 0x0806, 0x86DD}
    assert {len(report.message) for report in end.net.reports if isinstance(report, Arrival)} >= {22, 60001}


def test_what_the_kernel_knows_of_paths() -> None:
    assert path_mtu(Endpoint("127.0.0.1", 6783)) == 65535
    assert path_mtu(Endpoint("no address", 6783)) is None


def test_frames_fill_datagrams(ends: tuple[End, End]) -> None:
    here, _ = ends
    for _ in range(60):
        here.send(ip_frame(300, df=True))
    here.path.flush()
    sizes = [len(datagram) for datagram, _ in here.net.sent]
    assert all(size <= 1472 for size in sizes)
    assert len(sizes) == 15


def test_unencrypted_datagrams_can_be_read_by_anyone() -> None:
    here = End(A, B, None, True, THERE)
    here.send(ip_frame(84))
    here.path.flush()
    ((datagram, _),) = here.net.sent
    assert sender_of(datagram) == A
    assert decode_frames(datagram[6:]) == ([WeaveFrame(A, B, ip_frame(84))], 0)


class RealNet(Net):
    """The same with a socket of the kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.real = UdpSocket(0, "127.0.0.1")

    @property
    def socket(self) -> UdpSocket:  # type: ignore[override]
        return self.real


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "sealed"])
def test_over_sockets_of_the_kernel(key: bytes | None) -> None:
    here, there = RealNet(), RealNet()
    source, target = Endpoint("127.0.0.1", here.real.port), Endpoint("127.0.0.1", there.real.port)
    sender, receiver = End(A, B, key, True, target, here), End(B, A, key, False, source, there)
    payload = random.Random(2).randbytes(50_000)
    notes, frame = superframe(payload, 1336)
    sender.send(frame, notes=notes)
    sender.send(ip_frame(1400, df=False))
    sender.path.flush()
    sender.path.message(SendMessage(PathId(1), target, bytes(60001), df=False))
    buffer = memoryview(bytearray(1 << 16))
    room = Vectors([buffer])
    while some := there.real.receive([room]):
        (received,) = some
        assert received.source == source
        for at in range(0, received.size, received.stride):
            assert receiver.format.take(buffer[at : min(at + received.stride, received.size)], source)
    receiver.format.settle()
    tcp = [dpkt.ethernet.Ethernet(item[0]).data for item in there.delivered[:-1]]
    assert b"".join(packet.data.data for packet in tcp) == payload
    assert there.delivered[-1][0] == ip_frame(1400, df=False)
    assert [len(report.message) for report in there.reports if isinstance(report, Arrival)] == [60001]
    for net in (here, there):
        assert net.real.unsent == 0
        net.real.close()
