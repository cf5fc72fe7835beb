"""What two ends of a native path say to each other: questions and answers.

A question may be padded, to find out what size passes. The answer is never larger than the question, so
nobody can be made to amplify.
"""

import struct
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address

from tulle.datapath.sleeve.orders import Endpoint
from tulle.errors import BadMessage

_ASK, _ANSWER = 1, 2
_REPLY = struct.Struct(">BBIQQ16sH")
_QUESTION = struct.Struct(">BBI34x")
assert _QUESTION.size == _REPLY.size


@dataclass(frozen=True, slots=True)
class Ask:
    """Answer this! ``here``: the address from which this comes is the one that the sender's frames use."""

    number: int
    here: bool

    def encode(self) -> bytes:
        """As bytes, before padding."""
        return _QUESTION.pack(_ASK, self.here, self.number)


@dataclass(frozen=True, slots=True)
class Answer:
    """To the question with this number, which came from ``seen``.

    ``received`` of the ``expected`` datagrams of the asking end have arrived since the path was opened.
    """

    number: int
    seen: Endpoint
    received: int
    expected: int

    def encode(self) -> bytes:
        """As bytes; an IPv4 address as the IPv6 address that stands for it."""
        ip, port = self.seen
        return _REPLY.pack(_ANSWER, 0, self.number, self.received, self.expected, _packed(ip), port)


Message = Ask | Answer


def decode(data: bytes) -> Message:
    """Read a message; padding behind it is ignored. Raises BadMessage."""
    if len(data) < _REPLY.size:
        raise BadMessage("a message of a path is too short")
    if data[0] == _ASK:
        _, here, number = _QUESTION.unpack_from(data)
        return Ask(number, bool(here))
    if data[0] == _ANSWER:
        _, _, number, received, expected, packed, port = _REPLY.unpack_from(data)
        return Answer(number, Endpoint(_address(packed), port), received, expected)
    raise BadMessage("this is no message of a path")


@lru_cache(maxsize=1024)
def _packed(ip: str) -> bytes:
    return IPv6Address(ip if ":" in ip else f"::ffff:{ip}").packed


@lru_cache(maxsize=1024)
def _address(packed: bytes) -> str:
    address = IPv6Address(packed)
    return str(address.ipv4_mapped or address)
