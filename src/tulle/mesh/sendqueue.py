"""What waits to be sent on one connection, and in which order it leaves.

Gossip and broadcasts wait as keys, which merge, so they can never outgrow the state they stand for. Only
messages that nothing can replace (unicasts, carrier control) wait as they are, within a limit.

Order: bytes of the handshake, single messages, complete states, gossip, broadcasts.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass

from tulle.mesh.channel import Keys
from tulle.mesh.dialect import Control, Heartbeat, Message, UnicastMessage
from tulle.mesh.peername import PeerName

MAX_UNICAST_BYTES = 4 * 1024 * 1024
"""Unicasts beyond this are dropped: their senders ask again."""

MAX_CONTROLS = 1024
"""A peer that lets so many control messages pile up does not read."""

_MESSAGE_OVERHEAD = 64


@dataclass(frozen=True, slots=True)
class StatePart:
    """State of ``channel`` to encode now: all of it (``keys`` None) or these keys.

    With ``source`` it is that peer's broadcast, otherwise gossip of our own.
    """

    channel: str
    keys: Keys | None
    source: PeerName | None = None


class SendQueue:
    """Everything that waits for one connection."""

    def __init__(self) -> None:
        self._raw = bytearray()
        self._messages: deque[Message] = deque()
        self._unicast_bytes = 0
        self._controls = 0
        self._full: dict[str, None] = {}
        self._gossip: dict[str, set[Hashable]] = {}
        self._broadcasts: dict[tuple[str, PeerName], set[Hashable]] = {}

    def __bool__(self) -> bool:
        return bool(self._raw or self._messages or self._full or self._gossip or self._broadcasts)

    def add_raw(self, data: bytes) -> None:
        """Bytes of the handshake, sent before everything else."""
        self._raw += data

    def add_message(self, message: Message) -> bool:
        """Queue a single message; False if there is no room for it."""
        if isinstance(message, Heartbeat) and Heartbeat() in self._messages:
            return True
        if isinstance(message, Control):
            if self._controls >= MAX_CONTROLS:
                return False
            self._controls += 1
        elif isinstance(message, UnicastMessage):
            size = len(message.payload) + _MESSAGE_OVERHEAD
            if self._unicast_bytes + size > MAX_UNICAST_BYTES:
                return False
            self._unicast_bytes += size
        self._messages.append(message)
        return True

    def add_full(self, channel: str) -> None:
        """Queue the complete state of a channel, which holds whatever gossip was waiting."""
        self._gossip.pop(channel, None)
        self._full[channel] = None

    def add_gossip(self, channel: str, keys: Keys) -> None:
        """Queue state of these keys as gossip."""
        if channel not in self._full:
            self._gossip.setdefault(channel, set()).update(keys)

    def add_broadcast(self, channel: str, source: PeerName, keys: Keys) -> None:
        """Queue state of these keys as part of the broadcast of ``source``."""
        self._broadcasts.setdefault((channel, source), set()).update(keys)

    def take_raw(self) -> bytes:
        """The bytes of the handshake that wait."""
        taken = bytes(self._raw)
        self._raw.clear()
        return taken

    def take(self) -> Message | StatePart | None:
        """The next thing to encode and send; None if nothing waits."""
        if self._messages:
            return self._take_message()
        if self._full:
            channel = next(iter(self._full))
            del self._full[channel]
            return StatePart(channel, None)
        if self._gossip:
            channel = next(iter(self._gossip))
            return StatePart(channel, frozenset(self._gossip.pop(channel)))
        if self._broadcasts:
            channel, source = next(iter(self._broadcasts))
            return StatePart(channel, frozenset(self._broadcasts.pop((channel, source))), source)
        return None

    def _take_message(self) -> Message:
        message = self._messages.popleft()
        if isinstance(message, Control):
            self._controls -= 1
        elif isinstance(message, UnicastMessage):
            self._unicast_bytes -= len(message.payload) + _MESSAGE_OVERHEAD
        return message
