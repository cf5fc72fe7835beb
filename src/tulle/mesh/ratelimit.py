"""A token bucket: bursts are fine, a flood is not."""

_ROUNDING = 1e-6
"""A token that is there but for the rounding of floats counts as there."""


class TokenBucket:
    """``capacity`` tokens at most, refilled at ``per_second``.

    ``take`` is for things that can be refused; ``spend`` for those that happen anyway and are paid back later
    (the level may fall below zero, and ``ready_at`` says when it is out of debt).
    """

    def __init__(self, capacity: float, per_second: float) -> None:
        self._capacity = capacity
        self._rate = per_second
        self._level = capacity
        self._seen = float("-inf")

    def take(self, mono: float) -> bool:
        """Take one token if there is one."""
        self._refill(mono)
        if self._level < 1 - _ROUNDING:
            return False
        self._level -= 1
        return True

    def spend(self, mono: float, amount: float) -> None:
        """Take ``amount`` tokens, going into debt if need be."""
        self._refill(mono)
        self._level -= amount

    def ready_at(self, mono: float, amount: float = 1) -> float:
        """The moment from which there are ``amount`` tokens (``mono`` itself if there are now)."""
        self._refill(mono)
        missing = amount - self._level
        return mono if missing <= _ROUNDING else mono + missing / self._rate

    def _refill(self, mono: float) -> None:
        if mono > self._seen:
            gained = (mono - self._seen) * self._rate
            self._level = min(self._capacity, self._level + gained)
            self._seen = mono
