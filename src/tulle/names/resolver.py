"""The answer to a DNS query, from the names that this peer knows.

Names under the domain and single labels are answered here, and so are the addresses that have such a name.
Everything else is somebody else's to answer and is forwarded.
"""

import enum
from random import Random

import dns.rcode

from tulle.names.hostname import is_inside, reverse_address, wire_form
from tulle.names.missing import Missing
from tulle.names.nameserver import Nameserver
from tulle.names.question import (
    AAAA,
    ANY,
    HEADER,
    PTR,
    SOA,
    A,
    Question,
    Refused,
    bare_error,
    read,
    study,
)
from tulle.names.reply import Addresses, Positive, Replies, is_no_name

_LARGEST_TCP = 65535
_READY = 1 << 15
"""Queries whose answer is kept ready. When there are more, all are forgotten: redoing one is cheap."""

_HOST_TYPES = frozenset({A, AAAA, ANY})
_NO_RECORDS = frozenset({41, *range(249, 255)})
"""Types that stand for something else than records: EDNS, key exchange, zone transfers."""


class Verdict(enum.Enum):
    """What to do with a query that is not answered here."""

    FORWARD = enum.auto()
    DROP = enum.auto()


class Resolver:
    """Answers queries. ``ttl`` is in seconds; ``rng`` shuffles addresses."""

    def __init__(self, nameserver: Nameserver, ttl: int, rng: Random) -> None:
        self._directory = nameserver.directory
        self._domain = wire_form(nameserver.domain)
        self._replies = Replies(self._domain, ttl)
        self._ttl = ttl
        self._rng = rng
        self._generation = self._directory.generation
        self._addresses: dict[bytes, Addresses] = {}
        self._ready: dict[bytes, bytes | Positive] = {}
        self._missing = Missing(self._directory, self._domain)

    def answer_udp(self, query: bytes) -> bytes | Verdict:
        """The answer to ``query``, or what else to do with it. Any bytes may come; nothing is raised."""
        if self._generation != self._directory.generation:
            self._forget()
        ready = self._ready.get(query[2:])
        if ready is None:
            return self._missing.answer(query) or self._work_out(query, tcp=False)
        return query[:2] + (ready if isinstance(ready, bytes) else ready.deal())

    def answer_tcp(self, query: bytes) -> bytes | Verdict:
        """The same for a client that came over TCP, where long answers are not cut."""
        if self._generation != self._directory.generation:
            self._forget()
        return self._work_out(query, tcp=True)

    def _forget(self) -> None:
        self._generation = self._directory.generation
        self._addresses.clear()
        self._ready.clear()

    def _work_out(self, query: bytes, tcp: bool) -> bytes | Verdict:
        try:
            question = read(query) or study(query)
        except Refused as refused:
            return Verdict.DROP if refused.reply is None else refused.reply
        if question.rtype in _NO_RECORDS:
            return bare_error(query, dns.rcode.NOTIMP)
        found = self._find(question, _LARGEST_TCP if tcp else question.size)
        if isinstance(found, Verdict):
            return found
        if not tcp and question.rtype in (A, AAAA):
            self._keep(query, question, found)
        return query[:2] + (found if isinstance(found, bytes) else found.deal())

    def _keep(self, query: bytes, question: Question, found: bytes | Positive) -> None:
        """Keep an answer ready for the next query of the same bytes, unless the name does not exist: whoever
        asks for random ones must not push out what is useful."""
        if not _comes_again(query, question):
            return
        if isinstance(found, bytes) and is_no_name(found):
            self._missing.learn(query, found)
            return
        if len(self._ready) >= _READY:
            self._ready.clear()
        self._ready[query[2:]] = found

    def _find(self, question: Question, limit: int) -> bytes | Positive | Verdict:
        name = question.name
        if is_inside(name, self._domain):
            if len(name) == len(self._domain):
                return self._find_domain(question)
            return self._find_name(question, name, limit) or self._replies.no_name(question, True)
        if len(name) == name[0] + 2:
            found = self._find_name(question, name[:-1] + self._domain, limit)
            return found or self._miss_label(question)
        return self._find_address(question)

    def _find_domain(self, question: Question) -> bytes:
        if question.rtype in (SOA, ANY):
            return self._replies.authority(question)
        return self._replies.no_data(question, True)

    def _find_name(self, question: Question, name: bytes, limit: int) -> bytes | Positive | None:
        """The answer for a complete name in the domain; None if there is no such name."""
        addresses = self._addresses_of(name)
        if addresses is not None and question.rtype in (A, ANY):
            answer = Positive(question, addresses, limit)
            return answer.deal() if addresses.count == 1 else answer
        if addresses is not None or self._directory.is_parent(name):
            return self._replies.no_data(question, name == question.name)
        return None

    def _miss_label(self, question: Question) -> bytes | Verdict:
        """A single label is a host of ours and no concern of the world; types that hosts lack are."""
        return self._replies.no_name(question, False) if question.rtype in _HOST_TYPES else Verdict.FORWARD

    def _find_address(self, question: Question) -> bytes | Verdict:
        address = reverse_address(question.name)
        name = None if address is None else self._directory.reverse(address)
        if name is None:
            return Verdict.FORWARD
        if question.rtype in (PTR, ANY):
            return self._replies.pointer(question, name)
        return self._replies.no_data(question, False)

    def _addresses_of(self, name: bytes) -> Addresses | None:
        known = self._addresses.get(name)
        if known is None and (found := self._directory.addresses(name)):
            known = self._addresses[name] = Addresses(found, self._ttl, self._rng)
        return known


def _comes_again(query: bytes, question: Question) -> bool:
    """Whether the same bytes are likely to be asked again: no options (cookies), no random capitals."""
    plain = HEADER + len(question.section) + len(question.edns)
    return len(query) == plain and question.section.startswith(question.name)
