"""How much of what we send is lost, and how many datagrams may therefore depend on each other.

Datagrams that are sealed as a group cost less, and are lost as a group: the more a path loses, the smaller
the group must be. The receiver's counts tell; a share is believed only when it rests on enough of them.
"""

_SAMPLE = 400
"""Datagrams that make a sample at once."""
_SMALL_SAMPLE = 20
"""Datagrams that make one after ``_LONG`` seconds."""
_LONG = 10.0
_MEANS_SOMETHING = 3
"""Lost datagrams; fewer may be chance."""
_SMOOTHING = 0.5

_LEVELS = ((0.001, 0), (0.007, 16), (0.02, 8), (1.0, 4))
"""Up to which loss which group; 0: as many as there are."""


class LossMeter:
    """The loss of one direction. Times are monotonic seconds."""

    def __init__(self, now: float) -> None:
        self.loss: float | None = None
        """The share that is lost; None as long as too little was sent to tell."""
        self.group = 0
        self._begun = now
        self._received = 0
        self._expected = 0
        self._excused = 0
        self._too_many = 0
        """Datagrams beyond those expected in the last sample: the one before missed them too early."""

    def report(self, received: int, expected: int, excused: int, now: float) -> bool:
        """What the other end has counted since the path was opened; whether ``group`` is another now.

        ``excused`` datagrams, counted alike, were lost because they were too large on purpose.
        """
        sent, came = expected - self._expected, received - self._received
        if sent < 0 or came < 0:
            self._begin(received, expected, excused, now)
            return False
        if sent < _SAMPLE and (sent < _SMALL_SAMPLE or now - self._begun < _LONG):
            return False
        missing = sent - came - (excused - self._excused) - self._too_many
        lost, self._too_many = max(0, missing), min(max(0, -missing), _MEANS_SOMETHING)
        self._begin(received, expected, excused, now)
        share = min(1.0, lost / sent)
        self.loss = share if self.loss is None else self.loss + (share - self.loss) * _SMOOTHING
        return self._choose(share, lost)

    def _begin(self, received: int, expected: int, excused: int, now: float) -> None:
        self._received, self._expected, self._excused, self._begun = received, expected, excused, now

    def _choose(self, share: float, lost: int) -> bool:
        """Smaller groups at once, larger ones only when the loss has fallen well below the border."""
        assert self.loss is not None
        before = self.group
        if lost >= _MEANS_SOMETHING:
            self.group = _smaller(self.group, _group(share))
        relaxed = _group(min(1.0, self.loss * 2))
        if _smaller(relaxed, self.group) != relaxed:
            self.group = relaxed
        return self.group != before


def _group(share: float) -> int:
    return next(group for border, group in _LEVELS if share <= border)


def _smaller(one: int, other: int) -> int:
    return min(one or 1 << 30, other or 1 << 30) if one or other else 0
