"""What happened in a run, line by line, for people."""

from dataclasses import dataclass

from tulle.sim.clock import Clock


@dataclass(frozen=True, slots=True)
class Line:
    """``host`` None: it happened to the cluster. ``at`` in seconds since the beginning."""

    at: float
    host: int | None
    text: str

    def __str__(self) -> str:
        who = f"h{self.host}" if self.host is not None else "--"
        return f"{self.at:10.3f} s  {who:>5}  {self.text}"


class Story:
    """Lines in order of time; kept only if somebody wants to read them."""

    def __init__(self, clock: Clock, wanted: bool) -> None:
        self._clock, self._wanted = clock, wanted
        self.lines: list[Line] = []

    def tell(self, host: int | None, text: str) -> None:
        """Add a line."""
        if self._wanted:
            self.lines.append(Line(self._clock.mono, host, text))
