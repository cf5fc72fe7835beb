"""Messages to the bodies of frames and back: a tag byte, and for gossip a gob stream."""

from functools import lru_cache
from typing import Any

from tulle.errors import BadMessage
from tulle.mesh.dialect import (
    BroadcastMessage,
    Control,
    Enquiry,
    Farewell,
    GossipMessage,
    Heartbeat,
    Message,
    UnicastMessage,
)
from tulle.mesh.dialect.weave import gob
from tulle.mesh.peername import PeerName

HEARTBEAT, GOSSIP, UNICAST, BROADCAST, CONTROL = 0, 4, 5, 6, 7
BARE_CONTROL = (1, 2, 3)
"""Control messages of peers too old to name carriers: they have only one, and its tags stand alone."""

ENQUIRY, FAREWELL = 0x65, 0x66
"""Our own. The original ignores tags that it does not know, so nobody is harmed by them."""

MAX_CHANNEL_NAME = 128
MAX_REASON = 1024
"""Bytes of a farewell."""

_ROUTED = (gob.STRING, gob.UINT, gob.BYTES)
_ADDRESSED = (gob.STRING, gob.UINT, gob.UINT, gob.BYTES)
_FEATURES = gob.Map(gob.STRING, gob.STRING)


def encode_features(values: dict[str, str]) -> bytes:
    """What an end says of itself, as the body of its first frame."""
    return gob.encode((_FEATURES, values))


def decode_features(body: bytes) -> dict[str, str]:
    """The first frame of the other end. Raises BadMessage."""
    features: dict[str, str] = gob.decode(body, _FEATURES)[0]
    return features


@lru_cache(maxsize=8)
def encode_message(message: Message) -> bytes:
    """The body of a message. The same message goes to many connections in a row, so the last few are kept."""
    match message:
        case Heartbeat():
            return bytes((HEARTBEAT,))
        case Enquiry():
            return bytes((ENQUIRY,))
        case Farewell(reason):
            return bytes((FAREWELL,)) + reason.encode()[:MAX_REASON]
        case Control(carrier, tag, payload):
            return bytes((CONTROL, carrier, tag)) + payload
        case GossipMessage(channel, src, payload):
            return bytes((GOSSIP,)) + _encode(_ROUTED, channel, src, payload)
        case BroadcastMessage(channel, src, payload):
            return bytes((BROADCAST,)) + _encode(_ROUTED, channel, src, payload)
        case UnicastMessage(channel, src, dst, payload):
            return bytes((UNICAST,)) + _encode(_ADDRESSED, channel, src, dst, payload)


def encode_bare_control(message: Control) -> bytes:
    """A control message as peers without names for carriers want it."""
    return bytes((message.tag,)) + message.payload


def decode_message(body: bytes) -> Message | None:
    """The message, or None for one that says nothing to us. Raises BadMessage."""
    if not body:
        return None
    tag, rest = body[0], body[1:]
    if tag == HEARTBEAT:
        return Heartbeat()
    if tag == GOSSIP:
        channel, src, payload = gob.decode(rest, *_ROUTED)
        return GossipMessage(_channel(channel), _peer(src), payload)
    if tag == BROADCAST:
        channel, src, payload = gob.decode(rest, *_ROUTED)
        return BroadcastMessage(_channel(channel), _peer(src), payload)
    if tag == UNICAST:
        channel, src, dst, payload = gob.decode(rest, *_ADDRESSED)
        return UnicastMessage(_channel(channel), _peer(src), _peer(dst), payload)
    if tag == CONTROL:
        if len(rest) < 2:
            raise BadMessage("a control message is too short")
        return Control(rest[0], rest[1], rest[2:])
    if tag in BARE_CONTROL:
        return Control(0, tag, rest)
    if tag == ENQUIRY:
        return Enquiry()
    if tag == FAREWELL:
        return Farewell(rest[:MAX_REASON].decode(errors="replace"))
    return None


def _encode(kinds: tuple[gob.Type, ...], *values: Any) -> bytes:
    return gob.encode(*zip(kinds, values, strict=True))


def _channel(name: str) -> str:
    if not 0 < len(name) <= MAX_CHANNEL_NAME:
        raise BadMessage("a gossip channel has an empty or overlong name")
    return name


def _peer(name: int) -> PeerName:
    if not 0 < name < 1 << 48:
        raise BadMessage(f"{name:#x} is not a peer name")
    return PeerName(name)
