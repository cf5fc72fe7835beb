"""What keeps hosts apart and an operator must mend: remembered for as long as it may still be so."""

from enum import Enum, auto

from tulle.mesh.peername import PeerName, format_name

MEMORY_SECONDS = 600.0
"""Somebody who is refused comes back within this time, see ``Backoff``."""

RESTART_SECONDS = 30.0
"""For so long after a restart others may still speak of our earlier run."""

MAX_REMEMBERED = 32

RENAME = (
    "give one of the two another name with --name; if one machine is a copy of the other, remove the state"
    " directory of the copy before its next launch"
)


class About(Enum):
    """What the trouble is about."""

    NAMES = auto()
    TERMS = auto()


class Troubles:
    """Remembers each trouble for some minutes after it was last seen."""

    def __init__(self, me: PeerName) -> None:
        self._me = me
        self._seen: dict[tuple[About, str], float] = {}
        self._doubted_since: float | None = None

    def note(self, about: About, text: str, mono: float) -> None:
        """Something is wrong, as this text says."""
        self._seen.pop((about, text), None)
        self._seen[about, text] = mono
        while len(self._seen) > MAX_REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def spoken_for(self, mono: float) -> None:
        """News arrived in our name that is not ours: of our earlier run, or of another host."""
        if self._doubted_since is None:
            self._doubted_since = mono
        if mono - self._doubted_since > RESTART_SECONDS:
            text = f"another host speaks in our name, {format_name(self._me)}: {RENAME}"
            self.note(About.NAMES, text, mono)

    def current(self, about: About, mono: float) -> list[str]:
        """What was seen lately, oldest first."""
        seen = self._seen.items()
        return [text for (kind, text), at in seen if kind is about and mono - at < MEMORY_SECONDS]
