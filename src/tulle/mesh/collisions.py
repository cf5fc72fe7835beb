"""Two hosts with one name: what the operator should know of it, for as long as it may still be so."""

from tulle.mesh.peername import PeerName, format_name

MEMORY_SECONDS = 600.0
"""Somebody who is refused comes back within this time, see ``Backoff``."""

RESTART_SECONDS = 30.0
"""For so long after a restart others may still speak of our earlier run."""

MAX_REMEMBERED = 32

REMEDY = (
    "give one of the two another name with --name; if one machine is a copy of the other, remove the state"
    " directory of the copy before its next launch"
)


class Collisions:
    """Remembers collisions that were seen, each for some minutes."""

    def __init__(self, me: PeerName) -> None:
        self._me = me
        self._seen: dict[str, float] = {}
        self._doubted_since: float | None = None

    def note(self, text: str, mono: float) -> None:
        """Two hosts have one name, as this text says."""
        self._seen.pop(text, None)
        self._seen[text] = mono
        while len(self._seen) > MAX_REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def spoken_for(self, mono: float) -> None:
        """News arrived in our name that is not ours: of our earlier run, or of another host."""
        if self._doubted_since is None:
            self._doubted_since = mono
        if mono - self._doubted_since > RESTART_SECONDS:
            self.note(f"another host speaks in our name, {format_name(self._me)}: {REMEDY}", mono)

    def current(self, mono: float) -> list[str]:
        """What was seen lately, oldest first."""
        return [text for text, at in self._seen.items() if mono - at < MEMORY_SECONDS]
