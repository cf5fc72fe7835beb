"""A moment in time, handed to every pure object that needs one."""

from typing import NamedTuple


class Instant(NamedTuple):
    """Both clocks at one moment, in seconds.

    ``mono`` never jumps and is what timers and deadlines count in; its zero means nothing.
    ``wall`` is Unix time, used only where the wire or a person wants it; it may jump.
    """

    mono: float
    wall: float

    def later(self, seconds: float) -> "Instant":
        """This moment plus ``seconds`` on both clocks."""
        return Instant(self.mono + seconds, self.wall + seconds)
