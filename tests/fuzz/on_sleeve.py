"""Fuzzing of the sleeve: datagrams of strangers, of somebody who sees the wire, and of a hostile peer.

The peer's datagrams are sealed as they must be, so that what is behind the seal is reached.
"""

import struct

from source import Source

from tulle.datapath.sleeve.orders import (
    AimPath,
    Arrival,
    Endpoint,
    Keys,
    KnowPeers,
    NativePath,
    OpenPath,
    PathId,
    Refused,
)
from tulle.datapath.tables import ShortId
from tulle.host.sleeve import seals
from tulle.host.sleeve.batch import Batch
from tulle.host.sleeve.seals import Seal
from tulle.host.sleeve.sleeve import Sleeve
from tulle.host.sleeve.vnet import MAX_FRAME, PREFIX
from tulle.host.sleeve.weave import WeaveFormat
from tulle.host.sleeve.wire import HEADER
from tulle.mesh.peername import PeerName

SOURCE = Endpoint("192.0.2.1", 6783)
SECRET = b"secret of the fuzzed path 32 byte"[:32]
SEALED, PLAIN = PathId(1), PathId(2)
INDEXES = {SEALED: 0x5EA1ED, PLAIN: 0x91A1}
MOST_HELD = 33 * 66_000


class _Tap:
    """Takes what a TAP would be given."""

    def on_data(self, take: object) -> None:
        """Nothing comes out of it."""

    def write_data(self, frame: bytes | memoryview) -> bool:
        size = len(frame)
        assert PREFIX < size <= MAX_FRAME
        assert frame[10] == 0x7A
        return size % 7 != 0

    def write_all(self, frames: list[bytes | memoryview]) -> list[bytes | memoryview]:
        return [frame for frame in frames if not self.write_data(frame)]


class _World:
    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeve = Sleeve(0, "127.0.0.1", lambda: self.now)
        self.sleeve.use_format(WeaveFormat())
        self.sleeve.use_tap(_Tap())  # type: ignore[arg-type]
        self.sleeve._report = self._reported
        names = {ShortId(number): PeerName(number) for number in (1, 2, 3)}
        self.sleeve.do(KnowPeers(names))
        for path, keys in ((SEALED, Keys(send=bytes(32), receive=SECRET)), (PLAIN, None)):
            self.sleeve.do(OpenPath(path, NativePath(PeerName(path), 7, INDEXES[path], keys)))
            self.sleeve.do(AimPath(path, ShortId(path), SOURCE, 1472, 0))

    def arrive(self, data: bytes, stride: int) -> None:
        data = data[:65535]
        if data:
            batch = Batch()
            batch.hold(memoryview(bytearray(data)), min(stride, len(data)) or len(data))
            self.sleeve.take(batch, SOURCE)
            self.sleeve.settle()

    def end(self) -> None:
        for path in INDEXES:
            count = self.sleeve.count(path)
            assert 0 <= count.received <= count.expected
            native = self.sleeve._paths[path]
            assert native._inward._assembly.size < MOST_HELD  # type: ignore[attr-defined]
        self.sleeve.close()

    def _reported(self, report: Arrival | Refused) -> None:
        assert isinstance(report, Arrival)
        assert report.source == SOURCE


def _unit(source: Source) -> tuple[bytes, int]:
    """A unit as a peer would send it, but with whatever in it; and how long its datagrams are."""
    path = source.pick((SEALED, PLAIN))
    epoch, number, kind = source.number() % 4, source.number(2), source.number() % 5
    last, padding, body = source.number() % 5, source.number() % 4, source.piece()
    seal = Seal.AES_256_GCM if path == SEALED else Seal.NONE
    header = HEADER.pack(INDEXES[path], epoch << 48 | number, kind | seal, 0, last, padding)
    if path == SEALED:
        secret = SECRET
        for _ in range(epoch):
            secret = seals.next_secret(secret)
        body = seals.cipher(secret, seal).encrypt(seals.nonce(header), body, header)
    body += bytes(padding)
    size = -(-len(body) // (last + 1)) or 1
    made = b""
    for position in range(last + 1):
        made += header[:17] + bytes([position]) + header[18:] + body[position * size : (position + 1) * size]
    return made, HEADER.size + size


def fuzz_sleeve(data: bytes) -> None:
    """Datagrams in any order, while time passes."""
    source, world = Source(data), _World()
    while source.more():
        match source.number() % 4:
            case 0:
                world.arrive(source.piece(), source.number(2))
            case 1:
                index = INDEXES[source.pick((SEALED, PLAIN))].to_bytes(8, "big")
                world.arrive(index + source.piece(), source.number(2))
            case 2:
                world.arrive(*_unit(source))
            case _:
                world.now += source.number() * 10
    world.end()


def sleeve_seeds() -> list[bytes]:
    """A frame, small frames together, and a message, each from a peer with and without keys."""
    frame = bytes(10) + struct.pack(">BBHHH4xH", 0x7A, 15, 2, 1, 2, 0x0800) + bytes(range(60))
    bodies = {1: frame, 2: (len(frame).to_bytes(2, "big") + frame) * 3, 3: b"\0\5hello" + bytes(9)}
    return [
        bytes([2, path, 0, 0, number, kind, last, padding]) + len(body).to_bytes(2, "big") + body
        for path in (0, 1)
        for number, (kind, body) in enumerate(bodies.items())
        for last, padding in ((0, 0), (2, 3))
    ]
