"""The conversation with a peer of our own kind: whether a path works, where its other end is, what passes.

Both ends ask and answer. An answer proves the address to which its question was sent, in both directions; so
frames only ever go to a proven address. A peer may turn up at another one at any time (a NAT forgets its
mapping, a host moves): that address is asked, and taken if it answers. Of two ways that both work, the end
that leads chooses, and the other follows, so that they do not go round in circles.
"""

import math
from dataclasses import dataclass

from tulle.datapath.carrier import EARLY, CarrierState, CarrierStatus
from tulle.datapath.echo import EchoJudge
from tulle.datapath.sleeve.conversation import Fails, Setup, Utterance, Works
from tulle.datapath.sleeve.loss import LossMeter
from tulle.datapath.sleeve.messages import Answer, Ask, decode
from tulle.datapath.sleeve.orders import AimPath, Arrival, Count, Endpoint, SendMessage
from tulle.datapath.sleeve.pathsize import PathSize
from tulle.datapath.sleeve.ways import Ways
from tulle.datapath.tables import ShortId
from tulle.errors import BadMessage
from tulle.instant import Instant
from tulle.mesh.ratelimit import TokenBucket

STANDBY_PACE = 10
"""Intervals of ``EchoJudge`` between two questions while frames go another way; NATs forget much later."""
IDLE_PACE = 2
"""The same while no frames flow, on all but the first few paths."""
PROMPT_PATHS = 32
BUSY_FOR = 5.0
"""Seconds after the last frame for which a path counts as busy."""

_REPEATS, _REPEAT_PAUSE = 4, 0.1
"""The other end may learn of the link a moment later than we: ask a few times in quick succession."""
_HOPELESS_AFTER, _HOPELESS_PAUSE = 60.0, 2.0
_INSISTENCE = 3
"""Questions in place of one when answers fail to come, so that a path that loses much is not given up."""
_CHALLENGE_PAUSE = 0.1
_ANSWERS_PER_SECOND = 200.0
_MOST_OPEN = 256


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question on its way: where it went, and whom its answer is for."""

    endpoint: Endpoint
    life: int | None = None
    size: int | None = None
    follow: bool = False


class NativeConversation:
    """See ``conversation.Conversation``."""

    def __init__(self, setup: Setup, now: Instant) -> None:
        self._setup = setup
        self._short_id = setup.short_id
        self._ways = Ways(setup.candidates)
        self._judge = EchoJudge(now.mono, setup.ordinal)
        self._size = PathSize(now.mono)
        self._loss = LossMeter(now.mono)
        self._count = Count(0, 0, 0, 0)
        self._said = self._heard = 0
        self._standing_by = False
        self._busy_until = now.mono
        self._number = 0
        self._asked: dict[int, _Asked] = {}
        self._life = 0
        self._repeat_at = math.inf
        self._repeats = 0
        self._down_since = now.mono
        self._heard_at = self._challenged_at = -math.inf
        self._answers = TokenBucket(_ANSWERS_PER_SECOND, _ANSWERS_PER_SECOND)
        self._seen: Endpoint | None = None
        self._established = False
        self._ever = False
        self._aim: AimPath | None = None
        self._utterances: list[Utterance] = []

    # What it is told

    def start(self, now: Instant) -> None:
        """Ask at once where the other end may be."""
        self.tick(now)

    def short_id_changed(self, short_id: ShortId | None, now: Instant) -> None:
        """The same path under another number: what was found out about it stays true."""
        self._short_id = short_id
        self._review(now.mono)

    def candidates(self, found: tuple[Endpoint, ...], now: Instant) -> None:
        """Ask there too, unless the path works anyway."""
        if self._ways.tell(found) and not self._judge.healthy:
            self._judge.next_turn = now.mono
            self.tick(now)

    def control(self, tag: int, payload: bytes, now: Instant) -> None:
        """Peers of our own kind say nothing over TCP."""

    def refused(self, mtu: int, now: Instant) -> None:
        """What is lost for being too large is noticed anyway."""

    def arrived(self, arrival: Arrival, now: Instant) -> None:
        """A question or an answer."""
        self._heard += 1
        try:
            message = decode(arrival.message)
        except BadMessage:
            return
        if isinstance(message, Ask):
            self._answer(message, arrival.source, now.mono)
            self._turned_up(arrival.source, message.here, now.mono)
        else:
            self._take_answer(message, arrival.source, now.mono)
        self.tick(now)

    def doubt(self, now: Instant) -> None:
        """Ask at once, and more than once."""
        self._judge.doubt(now.mono)
        self.tick(now)

    def stand_by(self, standing_by: bool, now: Instant) -> None:
        """Ask less often while frames go another way."""
        self._standing_by = standing_by
        self._set_pace(now.mono)

    def counted(self, count: Count, now: Instant) -> None:
        """Whether frames flow shows in what was carried besides our own messages."""
        before, self._count = self._count, count
        frames = count.sent - before.sent - self._said, count.received - before.received - self._heard
        self._said = self._heard = 0
        if max(frames) > 0:
            self._busy_until = now.mono + BUSY_FOR
            self._set_pace(now.mono)

    def tick(self, now: Instant) -> None:
        """Ask what is due, and judge the silence."""
        if self.next_deadline() > now.mono + EARLY:
            return
        self._set_pace(now.mono)
        self._ask_for_life(now.mono)
        self._review(now.mono)
        if self._established and self._ways.current is not None:
            alive = not self._judge.unanswered
            for number, size in self._size.turn(self._judge.rtt, alive, now.mono):
                self._ask(_Asked(self._ways.current, size=number), now.mono, size)

    def next_deadline(self) -> float:
        """When to ask or to judge next."""
        life = min(self._judge.next_turn, self._repeat_at) if self._ways.known else math.inf
        return min(life, self._size.next_turn if self._established else math.inf)

    # What it is asked

    def busy_until(self) -> float:
        """At most ``BUSY_FOR`` after the last frame."""
        return self._busy_until

    def status(self) -> CarrierStatus:
        """How it stands."""
        encrypted, rtt = self._setup.encrypted, self._judge.rtt
        if self._short_id is None:
            return CarrierStatus(CarrierState.UNUSABLE, None, rtt, encrypted, "the peer has no short id")
        if self._established and self._ways.current is not None:
            path_mtu = self._size.size + _headers(self._ways.current)
            loss = self._judge.loss if self._loss.loss is None else self._loss.loss
            mtu = self._setup.mtu
            return CarrierStatus(CarrierState.ESTABLISHED, mtu, rtt, encrypted, "", path_mtu, loss)
        state = CarrierState.LOST if self._ever else CarrierState.TRYING
        return CarrierStatus(state, None, rtt, encrypted, self._reason())

    def observed(self) -> Endpoint | None:
        """The address from which the other end says that it sees us."""
        return self._seen

    def collect(self) -> list[Utterance]:
        """See ``Conversation.collect``; where frames go is said before anything that rests on it."""
        aim = self._aim_now()
        if aim is not None and aim != self._aim:
            self._aim = aim
            self._utterances.insert(0, aim)
        said, self._utterances = self._utterances, []
        return said

    # Asking

    def _ask_for_life(self, now: float) -> None:
        if not self._ways.known:
            return
        for number in [number for number, full in self._judge.turn(now) if full]:
            self._life = number
            self._ask_about_life(now)
            if not self._judge.healthy and now - self._down_since > _HOPELESS_AFTER:
                self._judge.next_turn = now + _HOPELESS_PAUSE
        if now + EARLY >= self._repeat_at:
            self._judge.asked_again(self._life, now)
            self._ask_about_life(now)

    def _ask_about_life(self, now: float) -> None:
        for endpoint in self._where_to_ask():
            self._ask(_Asked(endpoint, life=self._life), now)
        again = not self._judge.healthy and self._repeats < _REPEATS
        self._repeat_at = now + _REPEAT_PAUSE if again else math.inf
        self._repeats += again

    def _where_to_ask(self) -> list[Endpoint]:
        """Where the other end is; everywhere when it does not answer there, and more than once if it did."""
        everywhere = self._ways.all()
        if not self._judge.healthy:
            return everywhere
        return everywhere * _INSISTENCE if self._judge.unanswered else everywhere[:1]

    def _ask(self, asked: _Asked, now: float, size: int = 0) -> None:
        self._number = (self._number + 1) & 0xFFFFFFFF
        self._asked[self._number] = asked
        for number in list(self._asked)[:-_MOST_OPEN]:
            del self._asked[number]
        here = self._established and asked.endpoint == self._ways.current
        self._say(asked.endpoint, Ask(self._number, here).encode(), size)

    def _say(self, endpoint: Endpoint, message: bytes, size: int = 0) -> None:
        self._said += 1
        self._utterances.append(SendMessage(self._setup.path, endpoint, message, size))

    def _set_pace(self, now: float) -> None:
        busy = now < self._busy_until
        idle = STANDBY_PACE if self._standing_by else IDLE_PACE
        prompt = self._setup.ordinal < PROMPT_PATHS and not self._standing_by
        self._judge.relax(1 if busy or prompt else idle, now)
        self._size.busy(busy, now)

    # Answering

    def _answer(self, question: Ask, source: Endpoint, now: float) -> None:
        """As many as are reasonable; the other end does not ask faster."""
        if self._answers.take(now):
            count = self._count
            self._say(source, Answer(question.number, source, count.received, count.expected).encode())

    def _turned_up(self, source: Endpoint, here: bool, now: float) -> None:
        """The other end asks from this address."""
        self._heard_at = now
        if source == self._ways.current:
            return
        news = self._ways.hear(source)
        if not self._judge.healthy:
            if news:
                self._judge.next_turn = now
        elif here and now - self._challenged_at >= _CHALLENGE_PAUSE:
            self._challenged_at = now
            if self._setup.leads:
                self._judge.next_turn = now
            else:
                self._ask(_Asked(source, follow=True), now)

    def _take_answer(self, answer: Answer, source: Endpoint, now: float) -> None:
        asked = self._asked.pop(answer.number, None)
        if asked is None or asked.endpoint != source:
            return
        self._seen = answer.seen
        if source != self._ways.current and (
            self._ways.current is None or self._judge.unanswered or asked.follow
        ):
            self._move(source, now)
        if asked.life is not None:
            self._judge.answered(asked.life, now)
        if asked.size is not None and source == self._ways.current:
            self._size.answered(asked.size, now)
        self._loss.report(answer.received, answer.expected, self._size.absent, now)

    def _move(self, endpoint: Endpoint, now: float) -> None:
        """The other end is here now, and the path to it may be another one."""
        self._ways.current = endpoint
        self._size.restart(now)

    # Judging

    def _review(self, now: float) -> None:
        works = self._judge.healthy and self._ways.current is not None and self._short_id is not None
        if works == self._established:
            return
        self._established = works
        if works:
            self._ever = True
            self._size.restart(now)
            self._utterances.append(Works(self._setup.mtu))
        else:
            self._down_since, self._repeats = now, 0
            self._utterances.append(Fails(self._reason()))

    def _aim_now(self) -> AimPath | None:
        """Where frames go; None as long as they have never gone anywhere."""
        current = self._ways.current
        if current is None or not self._ever:
            return None
        short_id = self._short_id if self._established else None
        return AimPath(self._setup.path, short_id, current, self._size.size, self._loss.group)

    def _reason(self) -> str:
        if self._short_id is None:
            return "the peer has no short id"
        port = self._setup.port
        if self._heard_at >= self._down_since:
            return f"the peer is heard, but our datagrams to its UDP port {port} are lost on the way"
        return f"no answer from the peer on UDP port {port}; a firewall between may block it"


def _headers(endpoint: Endpoint) -> int:
    """Bytes of IP and UDP around a datagram."""
    return 48 if ":" in endpoint.ip else 28
