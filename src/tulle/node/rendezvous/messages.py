"""What two peers say to each other before they meet, and how it is written.

A message is a version byte, a byte for its kind, the number of the attempt (8 bytes), and for an offer or an
answer a public key (32 bytes) and up to eight candidates: a byte for the origin, four of the IPv4 address,
two of the port. All numbers are big-endian. Unknown versions and kinds are for peers newer than us.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address
from typing import NamedTuple

from tulle.datapath.sleeve.orders import Endpoint
from tulle.errors import BadMessage

VERSION = 1
KEY_SIZE = 32
MAX_CANDIDATES = 8

_HEAD = struct.Struct(">BBQ")
_CANDIDATE = struct.Struct(">B4sH")


class Origin(IntEnum):
    """How a peer knows of an address of its own: it is on an interface, or others saw it."""

    LOCAL = 0
    SEEN = 1


class Candidate(NamedTuple):
    """An address at which a peer may be reached by UDP."""

    origin: Origin
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class Offer:
    """Let us meet: my key for this attempt, and where I may be."""

    attempt: int
    key: bytes
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """Gladly: mine. Say when."""

    attempt: int
    key: bytes
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Go:
    """Now: whoever hears this sends, and so do I when it should have arrived."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Nudge:
    """I have reason to hope: make me an offer."""


Message = Offer | Answer | Go | Nudge

_OFFER, _ANSWER, _GO, _NUDGE = 1, 2, 3, 4


def encode(message: Message) -> bytes:
    """The bytes of a message."""
    match message:
        case Offer(attempt, key, candidates):
            return _HEAD.pack(VERSION, _OFFER, attempt) + _introduction(key, candidates)
        case Answer(attempt, key, candidates):
            return _HEAD.pack(VERSION, _ANSWER, attempt) + _introduction(key, candidates)
        case Go(attempt):
            return _HEAD.pack(VERSION, _GO, attempt)
        case Nudge():
            return _HEAD.pack(VERSION, _NUDGE, 0)


def decode(data: bytes) -> Message | None:
    """The message; None if it is of a newer kind than we know. Raises BadMessage."""
    if len(data) < _HEAD.size:
        raise BadMessage("a rendezvous message is too short")
    version, kind, attempt = _HEAD.unpack_from(data)
    rest = data[_HEAD.size :]
    if version != VERSION:
        return None
    if kind in (_OFFER, _ANSWER):
        made = Offer if kind == _OFFER else Answer
        return made(attempt, rest[:KEY_SIZE], _candidates(rest))
    if kind in (_GO, _NUDGE) and rest:
        raise BadMessage("a rendezvous message is too long")
    return Go(attempt) if kind == _GO else Nudge() if kind == _NUDGE else None


def _introduction(key: bytes, candidates: tuple[Candidate, ...]) -> bytes:
    rows = (
        _CANDIDATE.pack(origin, IPv4Address(endpoint.ip).packed, endpoint.port)
        for origin, endpoint in candidates[:MAX_CANDIDATES]
    )
    return key + b"".join(rows)


def _candidates(data: bytes) -> tuple[Candidate, ...]:
    """The candidates behind a key. Raises BadMessage."""
    rows = data[KEY_SIZE:]
    if len(data) < KEY_SIZE or len(rows) % _CANDIDATE.size:
        raise BadMessage("a rendezvous message ends in the middle")
    if len(rows) > MAX_CANDIDATES * _CANDIDATE.size:
        raise BadMessage("a rendezvous message has too many addresses")
    return tuple(_candidate(*row) for row in _CANDIDATE.iter_unpack(rows))


def _candidate(origin: int, ip: bytes, port: int) -> Candidate:
    if origin not in (Origin.LOCAL, Origin.SEEN):
        raise BadMessage("an address of a rendezvous message has an unknown origin")
    return Candidate(Origin(origin), Endpoint(str(IPv4Address(ip)), port))
