"""Finding the largest datagram that passes, without help from the network (in the manner of RFC 8899).

Padded questions of several sizes go out at once; what is answered passes. First come the sizes that networks
are known to have, then the rest is narrowed down. The size in use is asked again for ever: when such
questions vanish while small ones pass, the path has shrunk, and frames go in small datagrams until it is
measured anew. From time to time larger sizes are tried again, since a path may grow.
"""

import math
from dataclasses import dataclass

from tulle.datapath.carrier import EARLY

SAFE = 548
"""Bytes of UDP payload that every network takes (RFC 1122: packets of 576 bytes)."""
MOST = 8972
"""What jumbo frames take; more gains nothing."""
LIKELY = (652, 1232, 1352, 1372, 1392, 1400, 1412, 1422, 1444, 1452, 1464, 1472, 8952, MOST)
"""UDP payloads of the MTUs one meets: jumbo, Ethernet, PPPoE, tunnels of all kinds, IPv6's least."""

CONFIRM = 0.5
CONFIRM_IDLE = 20.0
SEARCH_AGAIN = 10.0
SEARCH_AGAIN_IDLE = 60.0
SHRUNK_AFTER = 3
"""Questions of the size in use, one after the other, that must stay without an answer until we believe it."""

_TRIES = 2
_AT_ONCE = 5
_GROWN_BY = (1, 2, 3, 5, 7)
_PATIENCE = 0.35
_MAX_PATIENCE = 3.0
_REMEMBERED = 64


@dataclass(slots=True)
class _Question:
    size: int
    ends: float
    confirms: bool


class PathSize:
    """The search on one path. Times are monotonic seconds; sizes are bytes of UDP payload."""

    def __init__(self, now: float) -> None:
        self.absent = 0
        """Questions of sizes that may be too large, without answer so far; no fault of the path if lost."""
        self._busy = False
        self._number = 0
        self._open: dict[int, _Question] = {}
        self._late: dict[int, _Question] = {}
        self.restart(now)

    def restart(self, now: float) -> None:
        """The path may be another one now: measure it anew, from the safe size."""
        self.size = SAFE
        """Passes, as far as is known."""
        self._missed = 0
        self._confirm_at = math.inf
        self.search(now)
        self._thorough = True

    def search(self, now: float) -> None:
        """Find out whether more passes than is known."""
        self._open = {number: asked for number, asked in self._open.items() if asked.confirms}
        self._failures: dict[int, int] = {}
        self._too_big = MOST + 1
        self._searching = self.size < MOST
        self._narrowed = False
        self._search_at = math.inf
        self._thorough = False
        self.next_turn = now

    def busy(self, busy: bool, now: float) -> None:
        """Whether frames flow: if so a wrong size hurts, and is to be noticed soon."""
        if busy and not self._busy:
            self._confirm_at = min(self._confirm_at, now + CONFIRM)
            self._search_at = min(self._search_at, now + SEARCH_AGAIN)
            self.next_turn = min(self.next_turn, self._confirm_at, self._search_at)
        self._busy = busy

    def turn(self, rtt: float | None, alive: bool, now: float) -> list[tuple[int, int]]:
        """Judge, and say what to ask, as (number, size), if ``next_turn`` has come.

        ``alive``: small questions are answered at present; only then is silence the fault of the size.
        """
        if now + EARLY < self.next_turn:
            return []
        self._judge(alive, now + EARLY)
        if now + EARLY >= self._search_at:
            self.search(now)
        ends = now + (_PATIENCE if rtt is None else min(max(_PATIENCE, 3 * rtt), _MAX_PATIENCE))
        asked = [self._ask(size, False, ends) for size in self._next_sizes(now)]
        if self.size > SAFE and now + EARLY >= self._confirm_at:
            self._confirm_at = now + (CONFIRM if self._busy or self._missed else CONFIRM_IDLE)
            asked.append(self._ask(self.size, True, ends))
        self._plan()
        return asked

    def answered(self, number: int, now: float) -> bool:
        """A question of ours was answered, in time or late; whether more passes than was known."""
        asked = self._open.pop(number, None) or self._late.pop(number, None)
        if asked is None:
            return False
        self.absent -= not asked.confirms
        if asked.size >= self._too_big:
            self._too_big = MOST + 1
        if self._searching and self._round_over():
            self.next_turn = now
        if asked.size == self.size:
            self._missed = 0
        if asked.size <= self.size:
            return False
        self.size, self._missed, self._thorough = asked.size, 0, True
        self._confirm_at = now + CONFIRM
        return True

    def _judge(self, alive: bool, now: float) -> None:
        expired = [number for number, asked in self._open.items() if asked.ends <= now]
        for number in expired:
            asked = self._late[number] = self._open.pop(number)
            if not asked.confirms:
                self._failed(asked.size)
            elif asked.size == self.size and alive:
                self._missed += 1
                self._confirm_at = min(self._confirm_at, now)
        for number in list(self._late)[:-_REMEMBERED]:
            del self._late[number]
        if self._missed >= SHRUNK_AFTER:
            self.restart(now)

    def _failed(self, size: int) -> None:
        self._failures[size] = self._failures.get(size, 0) + 1
        if self._failures[size] >= (_TRIES if self._thorough else 1) and size > self.size:
            self._too_big = min(self._too_big, size)

    def _round_over(self) -> bool:
        return all(asked.confirms for asked in self._open.values())

    def _next_sizes(self, now: float) -> list[int]:
        """What to ask in this round of the search: nothing while the last one is under way, or at its end."""
        if not self._searching or not self._round_over():
            return []
        sizes = [size for size in LIKELY if self.size < size < self._too_big] or self._between()
        if not sizes:
            self._searching = False
            self._search_at = now + (SEARCH_AGAIN if self._busy else SEARCH_AGAIN_IDLE)
        return sizes

    def _between(self) -> list[int]:
        """A few sizes between what passes and what does not.

        One round will do to find out whether a path has grown, by little or much, since it was measured.
        """
        span = self._too_big - self.size
        if self._thorough:
            parts = min(_AT_ONCE + 1, span)
            return [self.size + span * part // parts for part in range(1, parts)]
        if self._narrowed:
            return []
        self._narrowed = True
        return [self.size + (span >> halvings) for halvings in _GROWN_BY if span >> halvings]

    def _ask(self, size: int, confirms: bool, ends: float) -> tuple[int, int]:
        self._number += 1
        self.absent += not confirms
        self._open[self._number] = _Question(size, ends, confirms)
        return self._number, size

    def _plan(self) -> None:
        ends = min((asked.ends for asked in self._open.values()), default=math.inf)
        confirm = self._confirm_at if self.size > SAFE else math.inf
        self.next_turn = min(ends, confirm, self._search_at)
