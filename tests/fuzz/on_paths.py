"""Fuzzing of native paths: what a hostile peer may answer, claim and keep silent about, over their life."""

from source import Source

from tulle.datapath.sleeve.conversation import Setup
from tulle.datapath.sleeve.messages import Answer, Ask, decode
from tulle.datapath.sleeve.native import NativeConversation
from tulle.datapath.sleeve.orders import AimPath, Arrival, Count, Endpoint, PathId, SendMessage
from tulle.datapath.sleeve.pathsize import MOST, SAFE
from tulle.datapath.tables import ShortId
from tulle.errors import BadMessage
from tulle.instant import Instant

PATH = PathId(1)
PLACES = [Endpoint(f"192.0.2.{number}", 6783) for number in range(1, 9)]
MOST_AT_ONCE = 256
"""Messages that one message of the peer's, or one turn, may lead to."""


class _World:
    """A conversation, and the questions it has asked, which the peer answers or does not."""

    def __init__(self, source: Source) -> None:
        self.now = Instant(1000.0, 0.0)
        told = tuple(source.some(PLACES, 3))
        setup = Setup(PATH, 7, bool(source.number() % 2), False, told, ShortId(2), 1376, 6783, 0)
        self.conversation = NativeConversation(setup, self.now)
        self.questions: list[tuple[int, Endpoint]] = []
        self.answered_at: set[Endpoint] = set()
        self.count = Count(0, 0, 0, 0)
        self.conversation.start(self.now)
        self.obey()

    def step(self, source: Source) -> None:
        match source.number() % 7:
            case 0:
                self.hear(source.piece(), source.pick(PLACES))
            case 1:
                self.hear(Ask(source.number(4), bool(source.number() % 2)).encode(), source.pick(PLACES))
            case 2 if self.questions:
                self.answer(*source.pick(self.questions[-32:]), source)
            case 3:
                self.answer(source.number(4), source.pick(PLACES), source)
            case 4:
                grown = [total + source.number(2) for total in self.count]
                self.count = Count(*grown)
                self.conversation.counted(self.count, self.now)
            case 5:
                self.conversation.candidates(tuple(source.some(PLACES, 4)), self.now)
                self.conversation.short_id_changed(source.pick((ShortId(2), None)), self.now)
                self.conversation.stand_by(bool(source.number() % 2), self.now)
                self.conversation.doubt(self.now)
            case _:
                self.now = self.now.later(source.number() / 16)
                self.conversation.tick(self.now)
        self.obey()

    def answer(self, number: int, endpoint: Endpoint, source: Source) -> None:
        if (number, endpoint) in self.questions:
            self.answered_at.add(endpoint)
        told = Answer(number, source.pick(PLACES), source.number(8), source.number(8))
        self.hear(told.encode(), endpoint)

    def hear(self, message: bytes, endpoint: Endpoint) -> None:
        self.conversation.arrived(Arrival(PATH, message, endpoint, len(message)), self.now)

    def obey(self) -> None:
        said = self.conversation.collect()
        assert len(said) <= MOST_AT_ONCE
        for utterance in said:
            if isinstance(utterance, SendMessage):
                assert utterance.size <= MOST
                self.note(utterance)
            elif isinstance(utterance, AimPath):
                assert SAFE <= utterance.size <= MOST
                assert utterance.group in (0, 4, 8, 16)
                assert utterance.endpoint in self.answered_at, "frames go where nobody has answered"
        self.conversation.status()

    def note(self, order: SendMessage) -> None:
        try:
            message = decode(order.message)
        except BadMessage as error:
            raise AssertionError("we say what we do not understand") from error
        if isinstance(message, Ask):
            self.questions.append((message.number, order.endpoint))


def fuzz_paths(data: bytes) -> None:
    """Nothing escapes, work is bounded, time goes on, and frames go only where an answer came from."""
    source = Source(data)
    world = _World(source)
    for _ in range(128):
        if not source.more():
            break
        world.step(source)
    world.now = world.now.later(3600)
    world.conversation.tick(world.now)
    world.obey()
    assert world.conversation.next_deadline() > world.now.mono


def path_seeds() -> list[bytes]:
    """A path that is found, carries frames, and falls silent."""
    found = bytes((1, 0, 1)) + (bytes((2, 255)) + bytes(17)) * 3
    carries = bytes((4,)) + bytes((1, 0)) * 4 + bytes((6, 8)) + (bytes((2, 255)) + bytes(17)) * 4
    silent = bytes((6, 8)) * 12
    return [found + carries + silent, found + bytes((1, 0, 0, 0, 1, 1, 3)) + carries]
