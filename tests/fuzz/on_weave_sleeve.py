"""Fuzzing of paths in Weave Net's format: any datagrams, control messages and frames, over a path's life."""

import errno
from collections.abc import Mapping, Sequence

from source import Source

from tulle.datapath.sleeve.conversation import Setup
from tulle.datapath.sleeve.orders import AimPath, Arrival, Endpoint, PathId, Refused, SendMessage, WeavePath
from tulle.datapath.sleeve.weave import WeaveConversation, heartbeat
from tulle.datapath.sleeve.weave_packet import PacketWriter, WeaveFrame, encode_frame
from tulle.datapath.tables import ShortId
from tulle.datapath.tapframe import DATA
from tulle.host.sleeve.vnet import MAX_FRAME, NO_NOTES, TAP_HEADER, VNET
from tulle.host.sleeve.weave import WeaveFormat
from tulle.instant import Instant
from tulle.mesh.peername import PeerName

ME, PEER, THIRD = PeerName(0x020000000001), PeerName(0x020000000002), PeerName(0x020000000003)
HERE, THERE = Endpoint("127.0.0.1", 6783), Endpoint("127.0.0.2", 6783)
KEY = bytes(range(32))
PATH = PathId(1)


class _World:
    """A path, its conversation and the kernel around them."""

    def __init__(self, key: bytes | None) -> None:
        self.now = Instant(1000.0, 0.0)
        self.format = WeaveFormat()
        self.path = self.format.open(PATH, WeavePath(ME, PEER, key, True), self)  # type: ignore[arg-type]
        self.theirs = PacketWriter(PEER, key, False)
        setup = Setup(PATH, 7, True, key is not None, (THERE,), ShortId(2), 1376, 6783, 0)
        self.conversation = WeaveConversation(setup)
        self.conversation.start(self.now)

    # in the place of the sleeve

    @property
    def socket(self) -> "_World":
        return self

    @property
    def names(self) -> Mapping[ShortId, PeerName]:
        return {ShortId(1): ME, ShortId(2): PEER, ShortId(3): THIRD}

    def send(self, pieces: Sequence[bytes], endpoint: Endpoint, df: bool = True) -> int:
        return errno.EMSGSIZE if df and sum(map(len, pieces)) > 1472 else 0

    def send_alike(self, data: bytes, length: int, endpoint: Endpoint) -> None:
        assert length <= 65507
        assert len(data) % length == 0

    def deliver_plain(
        self, frame: bytes, dst: PeerName, src: PeerName, peer: PeerName, notes: bytes = NO_NOTES
    ) -> bool:
        assert 14 <= len(frame) <= MAX_FRAME
        return dst in self.names.values()

    def report(self, report: Arrival | Refused) -> None:
        if isinstance(report, Arrival):
            self.conversation.arrived(report, self.now)
        else:
            self.conversation.refused(1500, self.now)

    # what happens

    def step(self, source: Source) -> None:
        match source.number() % 6:
            case 0:
                self.format.take(memoryview(PEER.to_bytes(6, "big") + source.piece()), THERE)
            case 1:
                sender, target = source.pick((PEER, THIRD)), source.pick((ME, THIRD))
                frame = encode_frame(WeaveFrame(sender, target, source.piece()))
                self.hear(frame + source.take(source.number() % 20), source.pick((THERE, HERE)))
            case 2:
                size = source.pick((22, 60001, 60000, 1452, 566, 14))
                test = heartbeat(7) if size == 22 else bytes(size)
                self.hear(encode_frame(WeaveFrame(PEER, ME, test)), source.pick((THERE, HERE)))
            case 3:
                self.conversation.control(source.number() % 5, source.take(source.number() % 4), self.now)
            case 4:
                notes = source.take(VNET.size).ljust(VNET.size, b"\0")
                ends = source.number() % 4, source.number() % 4
                frame = notes + TAP_HEADER.pack(DATA, 64, *ends, 2, 0x0800) + source.piece()
                self.path.frame(memoryview(bytearray(frame)))
            case _:
                self.now = self.now.later(source.number())
                self.conversation.tick(self.now)
        self.obey()

    def hear(self, frames: bytes, source: Endpoint) -> None:
        self.format.take(memoryview(self.theirs.write(frames, df=True)), source)
        self.format.settle()

    def obey(self) -> None:
        while said := self.conversation.collect():
            for utterance in said:
                if isinstance(utterance, SendMessage):
                    self.path.message(utterance)
                elif isinstance(utterance, AimPath):
                    self.path.aim(utterance)


def fuzz_weave_sleeve(data: bytes) -> None:
    """Nothing escapes, and time goes on."""
    source = Source(data)
    world = _World(source.pick((None, KEY)))
    for _ in range(64):
        if not source.more():
            break
        world.step(source)
    world.path.flush()
    world.now = world.now.later(3600)
    world.conversation.tick(world.now)
    world.obey()
    assert world.conversation.next_deadline() > world.now.mono
    assert world.path.count().received >= 0


def weave_sleeve_seeds() -> list[bytes]:
    """A life from the first heartbeat to frames, without a key and with one."""
    life = bytes((2, 0, 0, 3, 1, 0, 2, 1, 0, 2, 3, 0, 3, 2, 0, 3, 3, 2, 5, 0x9E))
    frame = bytes((4, *bytes(10), 1, 2, 0, 60)) + bytes(12) + b"\x08\x00\x45" + bytes(45)
    return [bytes((key,)) + life + frame + bytes((5, 1)) for key in (0, 1)]
