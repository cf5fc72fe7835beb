"""Gossip channels: the seam between the mesh, which carries, and the state that merges.

A channel is a name and an object with four methods. It never sees a connection: it is asked for its state,
given what others sent, and leaves what it wants said in ``outbox``. What is waiting to be sent is a set of
*keys*, not of bytes: keys waiting on a busy connection merge by union and are encoded from the newest state
at the moment of sending, so a queue can never outgrow the state itself.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from tulle.instant import Instant
from tulle.mesh.peername import PeerName

Keys = frozenset[Hashable]
NO_KEYS: Keys = frozenset()


class Merged(NamedTuple):
    """What a payload held: every key it spoke of, and those it changed here."""

    received: Keys
    fresh: Keys


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Tell every peer about these keys, along our broadcast tree."""

    keys: Keys


@dataclass(frozen=True, slots=True)
class Gossip:
    """Tell some random neighbours about these keys; they pass on what is new to them."""

    keys: Keys


@dataclass(frozen=True, slots=True)
class Unicast:
    """A message for one peer, over as many hops as it takes. Lost if there is no route."""

    dst: PeerName
    payload: bytes


Outgoing = Broadcast | Gossip | Unicast


class Channel(Protocol):
    """State that the mesh keeps alike on all peers. ``dialect`` names the encoding (``"weave"``)."""

    name: str
    outbox: list[Outgoing]

    def encode_all(self, dialect: str, now: Instant) -> list[bytes]:
        """The complete state as zero or more payloads."""

    def encode_some(self, dialect: str, keys: Keys, now: Instant) -> list[bytes]:
        """The state of these keys; keys that are gone are left out."""

    def merge(self, dialect: str, payload: bytes, sender: PeerName, broadcast: bool, now: Instant) -> Merged:
        """Take a payload in. ``sender`` is the neighbour for gossip, the originator for a broadcast.

        Raises BadMessage: the connection it came over is closed with that reason.
        """

    def receive(self, dialect: str, payload: bytes, src: PeerName, now: Instant) -> None:
        """Take a unicast in. Raises BadMessage."""


@runtime_checkable
class Comparable(Protocol):
    """What a channel may have besides: a way to find out with few bytes whether two peers hold the same.

    Neighbours of our kind are then sent digests now and then instead of the complete state.
    """

    def digest(self, fine: bool, now: Instant) -> bytes:
        """Of our state, ``fine`` or not. Empty while there is nothing to compare: all is sent then."""

    def compare(self, theirs: bytes, fine: bool, sender: PeerName, now: Instant) -> Keys | None:
        """The keys that the sender of this digest may lack; None if only its fine digest can tell.

        Raises BadMessage.
        """
