"""How it stands between us and one peer that we have no direct link to."""

import math
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto

from tulle.datapath.sleeve.orders import Endpoint, NativePath
from tulle.mesh.backoff import Backoff
from tulle.mesh.peername import PeerName

LONGEST_PAUSE = 240.0
"""Seconds between two attempts of a pair that has no prospect: new addresses of either end shorten it."""

PAUSE_SECONDS = 2.0
"""The distance between two attempts with one peer, whoever asks for them."""


IDLE_SECONDS = 30.0
"""A path that is new, or has carried a frame within this time, is not given up for another."""


class Talk(Enum):
    """How far the two have come in arranging an attempt."""

    NONE = auto()
    OFFERED = auto()
    ANSWERED = auto()
    STARTING = auto()


class Path(StrEnum):
    """How the direct path is doing: none, both ends send, it works, it has worked and may again."""

    NONE = "relayed"
    TRYING = "trying"
    MET = "direct"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Agreed:
    """What an attempt needs: the keys, and where the peer may be."""

    path: NativePath
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class EncounterView:
    """For people. ``retry_at`` is monotonic, None if the other end decides or a path works."""

    peer: PeerName
    path: Path
    tries: int
    reason: str
    retry_at: float | None


@dataclass(slots=True)
class Encounter:
    """All that we remember of it. Times are monotonic.

    ``leads``: we make the offers; the other end only asks for them. ``due`` is when we next say something by
    ourselves, ``until`` when we stop waiting for what the talk lacks, ``patience`` when a try counts as
    failed. ``local``: where the peer is in its own network, as it says. ``reachable``: over the mesh.
    ``pending``: there was a link, but no frames passed by it, when we last looked. ``crowded_out``: all
    shortcuts that we may have were others' when its turn was. ``flowed_at``: when frames last went to the
    peer, as far as we were told.
    """

    peer: PeerName
    leads: bool
    due: float = math.inf
    talk: Talk = Talk.NONE
    until: float = math.inf
    path: Path = Path.NONE
    patience: float = math.inf
    attempt: int = 0
    private: bytes = field(default=b"", repr=False)
    said_at: float = -math.inf
    heard_at: float = -math.inf
    met_at: float = math.inf
    agreed: Agreed | None = None
    local: frozenset[Endpoint] = frozenset()
    reachable: bool = True
    pending: bool = False
    crowded_out: bool = False
    flowed_at: float = -math.inf
    tries: int = 0
    reason: str = "not tried yet"
    backoff: Backoff = field(default_factory=lambda: Backoff(LONGEST_PAUSE))

    @property
    def deadline(self) -> float:
        """When there is something to do."""
        return min(self.due, self.until, self.patience)

    def silence(self) -> None:
        """The talk is over, or has come to nothing."""
        self.talk, self.until, self.agreed, self.private = Talk.NONE, math.inf, None, b""

    def hurry(self, mono: float) -> None:
        """Speak soon, but keep the distance to what was said before."""
        if self.talk is Talk.NONE:
            self.due = min(self.due, max(mono, self.said_at + PAUSE_SECONDS))

    @property
    def is_under_way(self) -> bool:
        """Whether there is a path, or will be in a moment."""
        return self.path is not Path.NONE or self.talk in (Talk.ANSWERED, Talk.STARTING)

    def is_idle(self, mono: float) -> bool:
        """Whether there is a path that nobody has used for a while, and that is not new."""
        since = mono - IDLE_SECONDS
        if self.path is Path.MET and self.met_at > since:
            return False
        return self.path in (Path.MET, Path.LOST) and self.flowed_at <= since

    def view(self) -> EncounterView:
        """A picture of it."""
        waits = self.path is not Path.MET and self.due != math.inf
        return EncounterView(self.peer, self.path, self.tries, self.reason, self.due if waits else None)
