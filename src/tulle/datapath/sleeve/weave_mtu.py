"""The search for the largest packet that a path of Weave's format takes.

It begins with what the kernel knows of the path, which is tested first: the other end acknowledges each test
that arrives. What is not acknowledged is too large, and half the way between what passed and what did not is
tested next. Unlike the original's, this search never ends: what is in use is tested again and again, so that
a path is noticed which takes less than before, or nothing at all; and now and then the kernel is asked anew,
and more is tried.
"""

from math import inf

SMALLEST = 552
"""What is taken to pass without a test; so does the original."""

FIRST_WAIT = 0.01
"""Seconds until a test is sent again, and from then on after twice the time before."""

GIVE_UP = 2.55
"""Seconds after which a test that is not acknowledged does not pass: eight times sent, as by the original."""

STEP_GIVE_UP = 0.3
"""The same for a step of the search when the round-trip time is known; or eight such times, if that is more.
An acknowledgement that comes later still counts."""

RETEST = 2.0
"""Seconds from an acknowledged test to the next of the same size."""


class MtuSearch:
    """MTUs here are those of the overlay: of the packets inside. Times are monotonic seconds.

    ``usual`` is the MTU to use while nothing is known.
    """

    def __init__(self, usual: int) -> None:
        self.rtt: float | None = None
        """Seconds from a test to its acknowledgement."""
        self.dead = False
        """Not even the smallest test is acknowledged."""
        self._usual = usual
        self._limit = 0
        self._trusting = False
        self._good, self._bad = SMALLEST, 0
        self._candidate = self._sent = 0
        self._first_sent = 0.0
        self._next = inf

    @property
    def known(self) -> bool:
        """Whether the kernel has said what it knows."""
        return self._limit > 0

    @property
    def in_use(self) -> int:
        """The MTU to use now. The kernel's word is trusted until a test proves it wrong."""
        if not self.known:
            return self._usual
        return self._limit if self._trusting else self._good

    @property
    def settled(self) -> bool:
        """Whether nothing is left to be found out."""
        return self.known and self._good + 1 >= self._bad

    @property
    def tentative(self) -> bool:
        """Whether more than what is in use may turn out to pass, soon."""
        return self.known and self.in_use < self._limit and not self.settled

    def limit(self, mtu: int, now: float) -> None:
        """The kernel sends no packets larger than this."""
        mtu = max(mtu, SMALLEST)
        if mtu == self._limit and (self._good == mtu or not self.settled):
            return
        self._trusting = not self.known or mtu < self.in_use
        self._limit = mtu
        self._good, self._bad = min(self._good, mtu), mtu + 1
        self._test(mtu, now)

    def passed(self, mtu: int, now: float) -> None:
        """A test of this size has arrived at the other end."""
        if not SMALLEST <= mtu <= self._limit:
            return
        if mtu == self._candidate and self._sent:
            self.rtt = now - self._first_sent
        self._good = max(self._good, mtu)
        if self.dead:
            self.dead = False
            self._bad = self._limit + 1
            self._test(self._limit, now)
        if self._good >= self._bad:  # the acknowledgement of what was given up came late
            self._bad = self._limit + 1
        if self._candidate <= self._good:
            self._go_on(now)

    def doubt(self, now: float) -> None:
        """Test what is in use now, and not only when it is due."""
        if self._sent == 0 and self._next < inf:
            self._next = min(self._next, now)

    def due(self) -> float:
        """When ``turn`` has something to do."""
        return self._next

    def turn(self, now: float) -> int | None:
        """The size to test now, if one is to be tested."""
        if self._sent and now >= self._first_sent + self._patience():
            self._failed(now)
        if now < self._next:
            return None
        if not self._sent:
            self._first_sent = now
        wait = max(FIRST_WAIT, 2 * (self.rtt or 0)) * 2**self._sent
        self._next = min(now + wait, self._first_sent + self._patience())
        self._sent += 1
        return self._candidate

    def _test(self, mtu: int, at: float) -> None:
        self._candidate, self._sent, self._next = mtu, 0, at

    def _patience(self) -> float:
        """Seconds from the first sending of a test until it counts as failed."""
        is_step = self._good < self._candidate < self._limit
        if is_step and self.rtt is not None:
            return min(GIVE_UP, max(STEP_GIVE_UP, 8 * self.rtt))
        return GIVE_UP

    def _go_on(self, now: float) -> None:
        """Test more if there is more to be found out, or else what is in use again in a while."""
        if self.settled:
            self._test(self._good, now + RETEST)
        else:
            self._test((self._good + self._bad) // 2, now)

    def _failed(self, now: float) -> None:
        """What was tested does not pass."""
        self._trusting = False
        if self._candidate == SMALLEST:
            self.dead = True
            self._test(SMALLEST, now + RETEST)
        elif self._candidate <= self._good:
            self._good, self._bad = SMALLEST, self._candidate
            self._test(SMALLEST, now)
        else:
            self._bad = self._candidate
            self._go_on(now)
