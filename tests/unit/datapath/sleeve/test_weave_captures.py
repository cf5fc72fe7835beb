"""The recorded clusters of the original, with our conversation as either end of each connection."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pytest

from recordings import RUNS, Recording, datagrams, recordings
from tulle.datapath.carrier import CarrierState
from tulle.datapath.sleeve.conversation import Setup, Tell
from tulle.datapath.sleeve.orders import Arrival, Endpoint, PathId, SendMessage
from tulle.datapath.sleeve.weave import FRAGMENTATION_TEST, HEARTBEAT_SIZE, PMTU_VERIFIED, WeaveConversation
from tulle.datapath.sleeve.weave_packet import FRAME_OVERHEAD, PacketReader, decode_frames, overhead
from tulle.datapath.tables import ShortId
from tulle.instant import Instant
from tulle.mesh.dialect import Control
from tulle.mesh.dialect.weave.messages import decode_features, decode_message
from tulle.mesh.dialect.weave.sealing import Opener

PATH = PathId(1)
PORT = 6783
WIRE_MTU = 1500
CONNECTIONS = [(run, item, leads) for run in RUNS for item in recordings(run) for leads in (True, False)]


@dataclass
class Spoken:
    """What one end said in a recording: messages over UDP, and control messages over TCP."""

    datagrams: list[tuple[float, Arrival]] = field(default_factory=list)
    control: list[tuple[float, Tell]] = field(default_factory=list)


def timed_bodies(recording: Recording, from_client: bool) -> Iterator[tuple[float, bytes]]:
    """One end's messages with the times at which they were complete."""
    opener = Opener(recording.session_key, from_dialler=from_client) if recording.session_key else None
    held, skip = b"", 7 + (33 if recording.session_key else 1)
    for chunk in recording.chunks:
        if chunk.from_client != from_client:
            continue
        held += chunk.data
        if skip and len(held) >= skip:
            held, skip = held[skip:], 0
        while not skip and len(held) >= 4 and len(held) >= (end := 4 + int.from_bytes(held[:4], "big")):
            yield chunk.time, opener.open(held[4:end]) if opener else held[4:end]
            held = held[end:]


def spoken(run: str, recording: Recording, by_client: bool) -> Spoken:
    ends = recording.client.split(":")[0], recording.server.split(":")[0]
    source, target = ends if by_client else ends[::-1]
    reader = PacketReader(recording.session_key or None, dialler=not by_client)
    said = Spoken()
    for item in datagrams(run):
        if (item.source, item.target) == (source, target):
            for frame in decode_frames(reader.read(item.data)).frames:
                if not any(frame.data[:14]):
                    arrival = Arrival(PATH, frame.data, Endpoint(source, PORT), len(item.data))
                    said.datagrams.append((item.time, arrival))
    for time, body in list(timed_bodies(recording, by_client))[1:]:
        message = decode_message(body)
        if isinstance(message, Control):
            assert message.carrier == 0
            said.control.append((time, Tell(message.tag, message.payload)))
    return said


def conn_uid(recording: Recording) -> int:
    ours, theirs = (decode_features(next(recording.bodies(end))) for end in (True, False))
    return int(ours["ConnID"]) ^ int(theirs["ConnID"])


class Replay:
    """One end of a recorded connection, played by us."""

    def __init__(self, run: str, recording: Recording, leads: bool) -> None:
        self.encrypted = bool(recording.session_key)
        other_ip = (recording.server if leads else recording.client).split(":")[0]
        self.conversation = WeaveConversation(
            Setup(
                path=PATH,
                conn_uid=conn_uid(recording),
                leads=leads,
                encrypted=self.encrypted,
                candidates=(Endpoint(other_ip, PORT),) if leads else (),
                short_id=ShortId(7),
                mtu=1376,
                port=PORT,
                ordinal=0,
            )
        )
        self.theirs = spoken(run, recording, by_client=not leads)
        self.told: list[Tell] = []
        self.sent: list[SendMessage] = []
        self.time = next(time for time, _ in timed_bodies(recording, from_client=not leads))

    @property
    def now(self) -> Instant:
        return Instant(self.time, self.time)

    def play(self) -> None:
        """Hear all that they said, when they said it."""
        self.conversation.start(self.now)
        self.settle()
        happenings: list[tuple[float, Arrival | Tell]] = [*self.theirs.datagrams, *self.theirs.control]
        for time, what in sorted(happenings, key=lambda item: item[0]):
            self.pass_time(time)
            if isinstance(what, Arrival):
                self.conversation.arrived(what, self.now)
            else:
                self.conversation.control(what.tag, what.payload, self.now)
            self.settle()

    def pass_time(self, until: float) -> None:
        while (due := max(self.time, self.conversation.next_deadline())) < until:
            self.time = due
            self.conversation.tick(self.now)
            self.settle()
        self.time = until

    def settle(self) -> None:
        """Be the kernel: send what fits, refuse what does not."""
        for utterance in self.conversation.collect():
            if isinstance(utterance, Tell):
                self.told.append(utterance)
            elif isinstance(utterance, SendMessage):
                size = len(utterance.message) + FRAME_OVERHEAD + overhead(self.encrypted) + 28
                if utterance.df and size > WIRE_MTU:
                    self.conversation.refused(WIRE_MTU, self.now)
                    self.settle()
                else:
                    self.sent.append(utterance)
                    self.acknowledge(utterance.message)

    def acknowledge(self, message: bytes) -> None:
        """The original tests the MTU once, we for ever: it would go on to acknowledge, as it did before."""
        if self.time > self.theirs.control[-1][0] and len(message) not in (
            HEARTBEAT_SIZE,
            FRAGMENTATION_TEST,
        ):
            mtu = (len(message) - 14).to_bytes(2, "big")
            self.conversation.control(PMTU_VERIFIED, mtu, self.now)
            self.settle()


def kinds(messages: Iterable[bytes]) -> list[bytes]:
    """The different messages, in the order in which they were first said."""
    return list(dict.fromkeys(messages))


@pytest.mark.parametrize(("run", "recording", "leads"), CONNECTIONS, ids=str)
def test_we_say_what_the_original_said(run: str, recording: Recording, leads: bool) -> None:
    replay = Replay(run, recording, leads)
    replay.play()
    original = spoken(run, recording, by_client=leads)
    assert replay.told == [tell for _, tell in original.control]
    assert kinds(sent.message for sent in replay.sent) == kinds(
        item.message for _, item in original.datagrams
    )
    status = replay.conversation.status()
    assert status.state == CarrierState.ESTABLISHED
    assert status.mtu == (1414 if replay.encrypted else 1438)
