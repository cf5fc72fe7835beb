"""Dialects: how one connection speaks. The rest of the mesh sees only these values.

A dialect turns bytes of one connection into messages and back, after a handshake of its own. Which dialect a
connection uses is settled in its handshake; topology, ipam and names do not know.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tulle.mesh.peername import PeerName


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Nothing but a sign of life."""


@dataclass(frozen=True, slots=True)
class Control:
    """A message between the two ends' carriers: ``carrier`` indexes the common list of the handshake."""

    carrier: int
    tag: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class GossipMessage:
    """State from a neighbour (``src``), to be merged and passed on as far as it is new."""

    channel: str
    src: PeerName
    payload: bytes


@dataclass(frozen=True, slots=True)
class BroadcastMessage:
    """State from ``src``, spreading along its broadcast tree."""

    channel: str
    src: PeerName
    payload: bytes


@dataclass(frozen=True, slots=True)
class UnicastMessage:
    """A message from ``src`` to ``dst``, relayed unread by everybody else."""

    channel: str
    src: PeerName
    dst: PeerName
    payload: bytes


@dataclass(frozen=True, slots=True)
class Enquiry:
    """Are you there? A peer of our kind answers with a heartbeat at once."""


@dataclass(frozen=True, slots=True)
class Farewell:
    """The sender closes this connection, and this is why: text for a person, not to be trusted."""

    reason: str


Message = Heartbeat | Control | GossipMessage | BroadcastMessage | UnicastMessage | Enquiry | Farewell


@dataclass(frozen=True, slots=True)
class Features:
    """What the other end said of itself in the handshake, untyped: keys and values are text."""

    values: Mapping[str, str]


class Session(Protocol):
    """One connection's wire, without I/O: bytes in, messages out, and back."""

    dialect: str
    """Name of the payload encoding, given to channels ("weave")."""

    session_key: bytes | None
    """Shared secret of this connection once the handshake is over; None without a password."""

    def start(self) -> bytes:
        """The first bytes to send. Both ends send at once."""

    def receive(self, data: bytes) -> list[Features | Message]:
        """Take bytes in, in pieces of any size. Features come first and once. Raises BadMessage."""

    def data_to_send(self) -> bytes:
        """Bytes the handshake wants sent, after each ``receive``; empty when there are none."""

    def encode(self, message: Message) -> bytes:
        """The bytes of a message; only after Features were received."""
