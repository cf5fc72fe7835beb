"""Asking a peer's kernel whether frames get through, and judging the answers.

The other side's kernel turns an echo round without its daemon, so an answer proves the path, in both
directions and for the size of the frame, and nothing else. Silence proves the path bad only if we were awake
to hear an answer: a daemon that was stopped or starved finds its own deadlines passed, and must not blame
the path for that.
"""

import math
import struct
from dataclasses import dataclass

from tulle.datapath.carrier import EARLY
from tulle.datapath.tapframe import ETHERNET_HEADER
from tulle.errors import BadMessage

INTERVAL = 1.0
"""Seconds between probes of a path that answers."""
RETRY = 0.5
"""Seconds between probes of a path that does not."""
HASTE = 6
"""Probes within the time that an answer may take, as soon as one fails to come: a lost path must be known in
under two seconds."""
LOST_AFTER = 4
"""Unanswered probes of full size, one after the other, that mean the path is lost."""
BACK_AFTER = 2
"""Answers, one after the other, that mean it works."""

_SHARING = 16
"""Paths that are probed at the same moment: waking up costs more than a probe, but a burst of many delays."""
_MOMENTS = 8
"""Different moments within an interval."""
_LATE = 0.25
_SLACK = 0.05
_PATIENCE = 0.3
_MAX_PATIENCE = 3.0
_REMEMBERED = 64
_SMOOTHING = 8
_ENOUGH = 20
"""Questions after which one may speak of a share that is lost, which is an average over about as many."""
_MAGIC = 0x74756C65
_ASK, _ANSWER = 1, 2
_ECHO = struct.Struct(">IBBHQQ")
SMALL = ETHERNET_HEADER + _ECHO.size


@dataclass(frozen=True, slots=True)
class Echo:
    """The payload of an echo frame. ``size`` is that of the whole frame, ``uid`` tells what it is for."""

    uid: int
    sequence: int
    size: int

    def encode(self) -> bytes:
        """A question, filled up with zeros to its size."""
        head = _ECHO.pack(_MAGIC, _ASK, 0, self.size, self.uid, self.sequence)
        return head.ljust(self.size - ETHERNET_HEADER, b"\0")


def decode_answer(payload: bytes) -> Echo:
    """The answer to a question of ours. Raises BadMessage for anything else."""
    if len(payload) < _ECHO.size:
        raise BadMessage("an echo is too short")
    magic, op, _, size, uid, sequence = _ECHO.unpack_from(payload)
    if magic != _MAGIC or op != _ANSWER:
        raise BadMessage("this is no answer to an echo")
    if size != len(payload) + ETHERNET_HEADER:
        raise BadMessage("an echo came back with another size")
    return Echo(uid, sequence, size)


@dataclass(slots=True)
class _Question:
    full: bool
    sent: float
    patience_ends: float


class EchoJudge:
    """Probes one path and judges it by the answers. Times are monotonic seconds.

    While the path is not healthy it also asks with small frames, to be able to say what is wrong with it.
    """

    def __init__(self, now: float, ordinal: int = 0) -> None:
        """``ordinal`` counts the paths that are probed: the first few take turns together, and so on."""
        self._moment = ordinal // _SHARING % _MOMENTS * INTERVAL / _MOMENTS
        self.healthy = False
        self.rtt: float | None = None
        self.small_passes = False
        """While unhealthy: small frames are answered, so it is the size that does not pass."""
        self.next_turn = now
        self._planned = now
        """When to ask next if all answers come."""
        self._lost, self._asked = 0.0, 0
        self._pace = 1
        self._doubted = False
        self._sequence = 0
        self._open: dict[int, _Question] = {}
        self._late: dict[int, _Question] = {}
        self._missed = 0
        self._row = 0

    def turn(self, now: float) -> list[tuple[int, bool]]:
        """Called when ``next_turn`` has come: judge, and say what to send as (sequence, full size)."""
        if now + EARLY < self.next_turn:
            return []
        if now - self.next_turn > _LATE:
            self._forgive(now)
        else:
            self._judge(now)
        asked = [self._ask(True, now)] if self.healthy else [self._ask(True, now), self._ask(False, now)]
        self.next_turn = self._following(now)
        return asked

    def answered(self, sequence: int, now: float) -> None:
        """An answer to one of our questions has come, in time or late."""
        question = self._open.pop(sequence, None) or self._late.pop(sequence, None)
        if question is None:
            return
        if not question.full:
            self.small_passes = not self.healthy
            return
        if now <= self.next_turn + _LATE:
            self._sample(now - question.sent)
        self._missed = 0
        self._doubted = False
        self._row += 1
        self._account(0.0)
        if self._row >= BACK_AFTER:
            self.healthy = True
            self.small_passes = False
        self.next_turn = self._unless_silent() if self.healthy else now

    def asked_again(self, sequence: int, now: float) -> None:
        """A question was repeated; it is answered in time if it is from now on."""
        question = self._open.get(sequence)
        if question is not None:
            question.sent, question.patience_ends = now, now + self._patience()

    def relax(self, pace: int, now: float) -> None:
        """Ask only every ``pace`` intervals while answers come; silence is looked into as soon as ever."""
        self._pace = pace
        self._planned = min(self._planned, now + pace * INTERVAL)
        self.next_turn = min(self.next_turn, self._planned)

    def doubt(self, now: float) -> None:
        """Something speaks against the path: look into it at once, as if an answer had failed to come."""
        if self.healthy and not self.shaky:
            self._doubted = True
            self.next_turn = min(self.next_turn, now)

    @property
    def loss(self) -> float | None:
        """The share of questions that stayed without an answer lately; None until there were enough."""
        return self._lost if self._asked >= _ENOUGH else None

    @property
    def unanswered(self) -> bool:
        """The last answers that were due have not come."""
        return self._missed > 0

    @property
    def shaky(self) -> bool:
        """The last answers that were due have not come, or something else speaks against the path."""
        return self.unanswered or self._doubted

    def _following(self, now: float) -> float:
        """When the next turn is."""
        self._planned = self._moment_after(now + (self._pace - 0.5) * INTERVAL)
        if not self.healthy:
            return now + RETRY
        return now + self._patience() / HASTE if self.shaky else self._unless_silent()

    def _unless_silent(self) -> float:
        """As planned, at the moment that this path shares with others, or when an answer is overdue."""
        due = (question.patience_ends for question in self._open.values() if question.full)
        return min(self._planned, *due, math.inf)

    def _moment_after(self, time: float) -> float:
        return math.ceil((time - self._moment) / INTERVAL) * INTERVAL + self._moment

    def _ask(self, full: bool, now: float) -> tuple[int, bool]:
        self._sequence += 1
        self._open[self._sequence] = _Question(full, now, now + self._patience())
        return self._sequence, full

    def _judge(self, now: float) -> None:
        expired = [
            number for number, question in self._open.items() if question.patience_ends <= now + _SLACK
        ]
        for number in expired:
            question = self._late[number] = self._open.pop(number)
            if question.full:
                self._missed += 1
                self._row = 0
                self._account(1.0)
            else:
                self.small_passes = False
        for number in list(self._late)[:-_REMEMBERED]:
            del self._late[number]
        if self.healthy and self._missed >= LOST_AFTER:
            self.healthy = False

    def _forgive(self, now: float) -> None:
        """We come late: answers may have been lost for our own sake, so the open questions get more time."""
        for question in self._open.values():
            question.patience_ends = max(question.patience_ends, now + self._patience())

    def _patience(self) -> float:
        if self.rtt is None:
            return _PATIENCE
        return min(max(_PATIENCE, 3 * self.rtt), _MAX_PATIENCE)

    def _account(self, lost: float) -> None:
        if self.healthy:
            self._asked += 1
            self._lost += (lost - self._lost) / _ENOUGH

    def _sample(self, rtt: float) -> None:
        self.rtt = rtt if self.rtt is None else self.rtt + (rtt - self.rtt) / _SMOOTHING
