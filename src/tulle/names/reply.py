"""DNS answers in bytes, without the two bytes of the id that each copy of an answer begins with.

The records point back to the name in the question (``c0 0c``), so they are the same whoever asks, in whatever
case, and the addresses of a name are laid out once for all queries.
"""

import struct
from collections.abc import Sequence
from ipaddress import IPv4Address
from random import Random

import dns.flags
import dns.rcode

from tulle.names.hostname import wire_form
from tulle.names.question import HEADER, KEPT_FLAGS, PTR, SOA, A, Question

RECORD = 16
"""Bytes of an address record."""

_ASKED_NAME = b"\xc0\x0c"
_COUNTS = struct.Struct(">HHHHH")
_RECORD_HEAD = struct.Struct(">HHIH")
_TIMES = struct.Struct(">IIIII")
_IN = 1
_OWN = int(dns.flags.QR | dns.flags.AA | dns.flags.RA)
_FOREIGN = int(dns.flags.QR | dns.flags.RA)
_CUT = int(dns.flags.TC)
_NO_NAME = int(dns.rcode.NXDOMAIN)


class Addresses:
    """The records of a name's addresses, dealt so that every address comes first equally often.

    They are shuffled, each turn of the shuffled order is dealt once, and then they are shuffled again. A
    name with three addresses thus sends exactly a third of its clients to each, and nobody can tell which
    is next.
    """

    def __init__(self, addresses: Sequence[IPv4Address], ttl: int, rng: Random) -> None:
        head = _ASKED_NAME + _RECORD_HEAD.pack(A, _IN, ttl, 4)
        self.count = len(addresses)
        self._records = [head + address.packed for address in addresses]
        self._rng = rng
        self._twice = b""
        self._end = self._next = self.count * RECORD

    def deal(self, size: int) -> bytes:
        """The records in their next order, as many of them as make ``size`` bytes."""
        start = self._next
        if start == self._end:
            self._rng.shuffle(self._records)
            self._twice = b"".join(self._records * 2)
            start = 0
        self._next = start + RECORD
        return self._twice[start : start + size]


class Positive:
    """The answer to one query for the addresses of a name, ready but for their order."""

    __slots__ = ("_addresses", "_edns", "_head", "_size")

    def __init__(self, question: Question, addresses: Addresses, limit: int) -> None:
        """``limit`` is the size of the whole message; what does not fit is left out, and this is said."""
        room = (limit - HEADER - len(question.section) - len(question.edns)) // RECORD
        fitting = min(room, addresses.count)
        flags = _OWN if fitting == addresses.count else _OWN | _CUT
        self._head = _head(question, flags, answers=fitting)
        self._addresses = addresses
        self._size = fitting * RECORD
        self._edns = question.edns

    def deal(self) -> bytes:
        """The answer with the addresses in their next order."""
        return self._head + self._addresses.deal(self._size) + self._edns


class Replies:
    """Answers other than addresses, for one domain and time to live."""

    def __init__(self, domain: bytes, ttl: int) -> None:
        """``domain`` is in wire form."""
        self._domain = domain
        self._ttl = ttl
        self._soas: dict[int, bytes] = {}

    def pointer(self, question: Question, name: str) -> bytes:
        """The name of an address."""
        target = wire_form(name)
        record = _ASKED_NAME + _RECORD_HEAD.pack(PTR, _IN, self._ttl, len(target)) + target
        return _head(question, _OWN, answers=1) + record + question.edns

    def authority(self, question: Question) -> bytes:
        """The SOA record of the domain itself, which is what was asked for."""
        return _head(question, _OWN, answers=1) + self._soa(question) + question.edns

    def no_data(self, question: Question, inside: bool) -> bytes:
        """The name exists, but not with what was asked. ``inside``: it is in our domain as it was asked.

        In our domain the SOA record goes with it, by which a resolver knows how long it may remember that. A
        single label or an address belongs to no domain of ours, so there is none.
        """
        if inside:
            return _head(question, _OWN, authority=1) + self._soa(question) + question.edns
        return _head(question, _OWN) + question.edns

    def no_name(self, question: Question, inside: bool) -> bytes:
        """There is no such name, nor any below it."""
        if inside:
            head = _NO_NAME_HEADS[question.flags, question.edns != b""]
            soa = self._soas.get(len(question.name)) or self._soa(question)
            return head + question.section + soa + question.edns
        return _head(question, _FOREIGN | _NO_NAME) + question.edns

    def _soa(self, question: Question) -> bytes:
        """The SOA record, for a question in the domain, whose name it points back to."""
        found = self._soas.get(len(question.name))
        if found is None:
            at = HEADER + len(question.name) - len(self._domain)
            domain = bytes((0xC0 | at >> 8, at & 0xFF))
            times = _TIMES.pack(1, 3600, 600, 86400, self._ttl)
            data = domain + b"\x0ahostmaster" + domain + times
            found = self._soas[len(question.name)] = (
                domain + _RECORD_HEAD.pack(SOA, _IN, self._ttl, len(data)) + data
            )
        return found


def is_no_name(answer: bytes) -> bool:
    """Whether an answer (without its id) says that the name does not exist."""
    return answer[1] & 15 == _NO_NAME


def _head(question: Question, flags: int, answers: int = 0, authority: int = 0) -> bytes:
    edns = question.edns != b""
    return _COUNTS.pack(question.flags | flags, 1, answers, authority, edns) + question.section


_NO_NAME_HEADS = {
    (flags, edns): _COUNTS.pack(flags | _OWN | _NO_NAME, 1, 0, 1, edns)
    for flags in KEPT_FLAGS
    for edns in (False, True)
}
"""Made beforehand: names that do not exist are worked out again and again, and each step counts."""
