"""One address that we want a connection to, and how that goes."""

from random import Random

from tulle.mesh.backoff import Backoff
from tulle.mesh.connection import Link
from tulle.mesh.events import Address
from tulle.mesh.peername import PeerName
from tulle.mesh.views import LinkState, TargetState

CHEAP_SECONDS = 1.0
"""An attempt that fails within this time was refused, not lost."""

DIAL_SECONDS = 60.0
"""After this time a dial that nobody reported on counts as failed."""

GOOD_SECONDS = 60.0
"""A connection that lasted this long clears the record of failures."""


class Pursuit:
    """The attempts at one address: due, under way, connected, or given up."""

    def __init__(self, address: Address, due: float, hint: PeerName | None) -> None:
        self.address = address
        self.due = due
        self.hint = hint
        """Whom we hope to find there; ``peer`` is who answered there last, and that until somebody has."""
        self.peer = hint
        self.error: str | None = None
        self.never = False
        self.link: Link | None = None
        self._dialled_at: float | None = None
        self._backoff = Backoff()

    @property
    def busy(self) -> bool:
        """Whether an attempt is under way or its connection is open."""
        return self._dialled_at is not None or self.link is not None

    @property
    def deadline(self) -> float | None:
        """When the dial that is under way counts as failed."""
        dialling = self._dialled_at is not None and self.link is None
        return self._dialled_at + DIAL_SECONDS if dialling and self._dialled_at is not None else None

    def dial(self, mono: float) -> None:
        """An attempt begins."""
        self._dialled_at = mono

    def opened(self, link: Link) -> None:
        """The address answered; the handshake begins."""
        self.link = link

    def failed(self, reason: str, rng: Random, mono: float) -> None:
        """The attempt came to nothing."""
        cheap = self._dialled_at is not None and mono - self._dialled_at < CHEAP_SECONDS
        self._finish()
        self.error = reason
        self.due = mono + self._backoff.wait(rng, cheap)

    def give_up(self, reason: str) -> None:
        """There is no use in trying this address again."""
        self._finish()
        self.error = reason
        self.never = True

    def superseded(self, rng: Random, mono: float) -> None:
        """Another connection to the same peer is the better one: no failure, and nothing to hurry for."""
        self._finish()
        self.error = None
        self.due = mono + Backoff().wait(rng, cheap=True)

    def lost(self, reason: str, up_since: float, rng: Random, mono: float) -> None:
        """A connection that had been up is gone."""
        self._finish()
        self.error = reason
        if mono - up_since >= GOOD_SECONDS:
            self._backoff.reset()
            self.due = mono
        else:
            self.due = mono + self._backoff.wait(rng, cheap=False)

    def release(self) -> None:
        """The connection is to be replaced, though it is still open."""
        self._finish()

    def state(self, link: Link | None) -> TargetState:
        """How things stand; ``link`` is the one to the peer that answers there, however it came about."""
        if link is not None and link.is_up:
            established = link.state is LinkState.ESTABLISHED
            return TargetState.ESTABLISHED if established else TargetState.PENDING
        if self.busy:
            return TargetState.RETRYING if self.error else TargetState.CONNECTING
        return TargetState.FAILED if self.error else TargetState.WAITING

    def _finish(self) -> None:
        self._dialled_at = None
        self.link = None
