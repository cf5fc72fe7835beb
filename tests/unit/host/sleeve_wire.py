"""A wire between two ends of a path, and frames to send over it."""

import struct
from collections.abc import Iterable

from tulle.datapath.sleeve.orders import AimPath, Count, Endpoint, Keys, NativePath, PathId, SendMessage
from tulle.datapath.tables import ShortId
from tulle.host.msghdr import Vectors
from tulle.host.sleeve.batch import Batch
from tulle.host.sleeve.inward import Inward
from tulle.host.sleeve.outward import Outward
from tulle.host.sleeve.seals import Seal
from tulle.host.sleeve.vnet import PREFIX, TAP_HEADER, VNET
from tulle.host.sleeve.workshop import Opened, Workshop
from tulle.mesh.peername import PeerName

PATH = PathId(1)
THERE = Endpoint("10.9.9.2", 6783)
INDEX = 0x1122334455667788
KEYS = Keys(send=b"s" * 32, receive=b"r" * 32)


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Wire:
    """In the place of the UDP socket: keeps what is sent, one datagram after the other."""

    def __init__(self) -> None:
        self.datagrams: list[bytes] = []
        self.calls = 0

    def send(self, pieces: Iterable[bytes], endpoint: Endpoint, df: bool = True) -> int:
        assert endpoint == THERE
        assert df
        self.datagrams.append(b"".join(pieces))
        self.calls += 1
        return 0

    def send_many(self, pieces: Vectors, count: int, length: int, together: int, endpoint: Endpoint) -> None:
        made = [pieces.join(2 * number, 2) for number in range(count)]
        assert together == made[0][18] + 1
        assert all(len(one) == length for one in made[:-1]), "the kernel takes datagrams of one length"
        assert len(made[-1]) <= length
        self.datagrams += made
        self.calls += 1


class End:
    """The receiving end: collects frames and messages."""

    def __init__(self, keys: Keys | None = KEYS, clock: Clock | None = None) -> None:
        theirs = Keys(send=keys.receive, receive=keys.send) if keys else None
        path = NativePath(PeerName(1), 1, INDEX, theirs)
        self.opened = Opened()
        self.inward = Inward(path, self.opened, clock or Clock())
        self.batch = Batch()
        self.frames: list[bytes] = []
        self.messages: list[bytes] = []

    def frames_came(self, frames: list[memoryview]) -> None:
        self.frames += map(bytes, frames)

    def message_came(self, message: bytes) -> None:
        self.messages.append(message)

    def take(self, datagrams: Iterable[bytes]) -> None:
        """Each datagram by itself, as without UDP_GRO."""
        for datagram in datagrams:
            self.take_together([datagram])

    def take_together(self, datagrams: list[bytes]) -> None:
        """Datagrams of one length, the last of which may be shorter, as UDP_GRO puts them together."""
        data = b"".join(datagrams)
        self.batch.hold(memoryview(data), len(datagrams[0]))
        at = 0
        while at < self.batch.count:
            run = self.batch.run(at)
            self.inward.take(run, self)
            at += run.number
        self.opened.clear()

    @property
    def count(self) -> Count:
        return self.inward.count(0)


def sender(
    wire: Wire,
    keys: Keys | None = KEYS,
    *,
    size: int = 1472,
    group: int = 0,
    seal: Seal = Seal.AES_256_GCM,
    clock: Clock | None = None,
) -> Outward:
    """The sending end, aimed."""
    path = NativePath(PeerName(2), INDEX, 2, keys)
    made = Outward(path, wire, Workshop(), clock or Clock(), seal)  # type: ignore[arg-type]
    made.aim(AimPath(PATH, ShortId(2), THERE, size, group))
    return made


def say(outward: Outward, message: bytes, size: int = 0) -> None:
    outward.message(SendMessage(PATH, THERE, message, size))


def send(outward: Outward, *frames: bytes) -> None:
    """Frames as the TAP gives them: at the beginning of a buffer."""
    for frame in frames:
        buffer = bytearray(70_000)
        buffer[: len(frame)] = frame
        outward.frame(memoryview(buffer)[: len(frame)])
    outward.flush()


def tap_frame(ethernet: bytes, vnet: bytes = bytes(VNET.size)) -> bytes:
    """A data frame of the TAP; ``vnet`` counts positions from the tap header on."""
    return vnet + TAP_HEADER.pack(0x7A, 15, 2, 1, 2, 0x0800) + ethernet


def tcp_superframe(payload: bytes, segment: int = 1324, *, ipv6: bool = False, flags: int = 0x99) -> bytes:
    """TCP with time stamps, as the kernel leaves it: the checksum is the pseudo header's sum."""
    options = bytes.fromhex("0101080a0000000100000002")
    tcp = struct.pack(">HHIIBBHHH", 40000, 80, 0xFFFFFF00, 7, 8 << 4, flags, 500, 0, 0) + options
    return _superframe(tcp, payload, segment, ipv6, protocol=6, checksum_at=16, kind=4 if ipv6 else 1)


def udp_superframe(payload: bytes, segment: int = 1300, *, ipv6: bool = False) -> bytes:
    """UDP with segmentation offload."""
    udp = struct.pack(">HHHH", 40000, 53, 8 + len(payload), 0)
    return _superframe(udp, payload, segment, ipv6, protocol=17, checksum_at=6, kind=5)


def _superframe(
    transport: bytes, payload: bytes, segment: int, ipv6: bool, *, protocol: int, checksum_at: int, kind: int
) -> bytes:
    length = len(transport) + len(payload)
    if ipv6:
        addresses = bytes(range(32))
        network = struct.pack(">IHBB", 6 << 28, length, protocol, 64) + addresses
    else:
        addresses = bytes([10, 32, 0, 1, 10, 32, 0, 2])
        network = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, 65530, 0x4000, 64, protocol, 0) + addresses
        network = network[:10] + (0xFFFF - summed(network)).to_bytes(2, "big") + network[12:]
    pseudo = summed(addresses + struct.pack(">HH", protocol, length))
    made = bytearray(transport)
    made[checksum_at : checksum_at + 2] = pseudo.to_bytes(2, "big")
    start = 14 + 14 + len(network)
    vnet = struct.pack("<BBHHHH", 1, kind, start + len(transport), segment, start, checksum_at)
    ethertype = b"\x86\xdd" if ipv6 else b"\x08\x00"
    return tap_frame(b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01" + ethertype + network + made + payload, vnet)


def summed(data: bytes) -> int:
    """The ones' complement sum of RFC 1071, word by word."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def ethernet_of(frame: bytes) -> bytes:
    return frame[PREFIX:]
