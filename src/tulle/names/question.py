"""What a DNS query asks.

Nearly every query has one shape: a plain header, one question, perhaps an EDNS record. ``read`` takes
that shape apart by hand, because a parser for all of DNS costs ten times what everything else about an
answer costs. Any other query goes through dnspython (``study``), which finds out whether it is odd or
broken.
"""

import struct
from typing import NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass

A, SOA, PTR, AAAA, ANY = 1, 6, 12, 28, 255

HEADER = 12
PLAIN_UDP = 512
"""Size of answer that every client takes."""

LARGEST_UDP = 4096
"""What we send at most, and say that we take, whatever a client offers."""

_RD, _CD, _AD = int(dns.flags.RD), int(dns.flags.CD), int(dns.flags.AD)
_KEPT = _RD | _CD
KEPT_FLAGS = (0, _RD, _CD, _KEPT)
"""Combinations of the flags that an answer repeats."""

_LONGEST_NAME = 255
_LONGEST_LABEL = 63
_EDNS_SIZE = 11
_EDNS_START = b"\0\0\x29"
_CLASS_IN = b"\0\x01"


class Question(NamedTuple):
    """One question of class IN.

    ``name`` is in wire form and lower case, ``section`` the question as it was asked, ``flags`` those
    that the answer repeats, ``size`` the bytes that the client takes over UDP, and ``edns`` the EDNS
    record that the answer must have: empty if the query had none.
    """

    name: bytes
    section: bytes
    rtype: int
    flags: int
    size: int
    edns: bytes


class Refused(Exception):
    """A query that gets no answer but ``reply``: an error, or silence where that is None."""

    def __init__(self, reply: bytes | None) -> None:
        super().__init__()
        self.reply = reply


def _plain_headers() -> dict[bytes, tuple[int, bool]]:
    """The header after the id, for every combination of harmless flags, without and with EDNS.

    To each the flags that are repeated, and whether there is EDNS.
    """
    return {
        struct.pack(">HHHHH", kept | other, 1, 0, 0, edns): (kept, edns)
        for kept in KEPT_FLAGS
        for other in (0, _AD)
        for edns in (False, True)
    }


_PLAIN_HEADERS = _plain_headers()


def read(query: bytes) -> Question | None:
    """The question of a query in the usual shape; None for any other."""
    header = _PLAIN_HEADERS.get(query[2:HEADER])
    if header is None:
        return None
    at = HEADER
    try:
        while (length := query[at]) != 0:
            if length > _LONGEST_LABEL:
                return None
            at += length + 1
    except IndexError:
        return None
    end = at + 5
    if query[at + 3 : end] != _CLASS_IN or at >= HEADER + _LONGEST_NAME:
        return None
    kept_flags, has_edns = header
    size, edns = PLAIN_UDP, b""
    if has_edns:
        offer = _read_edns(query, end)
        if offer is None:
            return None
        size, edns = offer
    elif len(query) != end:
        return None
    rtype = query[at + 1] << 8 | query[at + 2]
    return Question(query[HEADER : at + 1].lower(), query[HEADER:end], rtype, kept_flags, size, edns)


def _read_edns(query: bytes, at: int) -> tuple[int, bytes] | None:
    """What the client takes, and our record in return; None if no lone EDNS record of version 0 is there.

    Options are not looked into: none of them changes an answer of ours.
    """
    record = query[at : at + _EDNS_SIZE]
    if len(record) != _EDNS_SIZE or not record.startswith(_EDNS_START) or record[5:7] != b"\0\0":
        return None
    if len(query) != at + _EDNS_SIZE + (record[9] << 8 | record[10]):
        return None
    return _udp_size(record[3] << 8 | record[4]), _edns_record(record[7] & 0x80)


def _udp_size(offered: int) -> int:
    return min(max(offered, PLAIN_UDP), LARGEST_UDP)


def _edns_record(dnssec_ok: int) -> bytes:
    """Our EDNS record. The one flag that there is has to be repeated."""
    return b"%b%b\0\0%c\0\0\0" % (_EDNS_START, LARGEST_UDP.to_bytes(2, "big"), 0x80 if dnssec_ok else 0)


def study(query: bytes) -> Question:
    """The question of a query of any shape. Raises Refused."""
    if len(query) < HEADER or query[2] & 0x80:
        raise Refused(None)
    if (query[2] >> 3) & 15 != dns.opcode.QUERY:
        raise Refused(bare_error(query, dns.rcode.NOTIMP))
    try:
        message = dns.message.from_wire(query, keyring=False, ignore_trailing=True)
    except dns.exception.DNSException as error:
        raise Refused(bare_error(query, dns.rcode.FORMERR)) from error
    if len(message.question) != 1:
        raise Refused(bare_error(query, dns.rcode.FORMERR))
    if message.edns > 0:
        raise Refused(_error(message, dns.rcode.BADVERS))
    asked = message.question[0]
    name = asked.name.to_wire() or b"\0"
    if asked.rdclass != dns.rdataclass.IN:
        raise Refused(_error(message, dns.rcode.NOTIMP))
    return Question(
        name=name.lower(),
        section=name + asked.rdtype.to_bytes(2, "big") + _CLASS_IN,
        rtype=asked.rdtype,
        flags=message.flags & _KEPT,
        size=_udp_size(message.payload),
        edns=_edns_record(message.ednsflags & 0x8000) if message.edns == 0 else b"",
    )


def bare_error(query: bytes, rcode: int) -> bytes:
    """An answer that is only a header; ``query`` has at least that."""
    flags = dns.flags.QR | (query[2] << 8 & (0x7800 | dns.flags.RD)) | dns.flags.RA | rcode
    return query[:2] + flags.to_bytes(2, "big") + bytes(8)


def _error(message: dns.message.Message, rcode: dns.rcode.Rcode) -> bytes:
    response = dns.message.make_response(message, recursion_available=True, our_payload=LARGEST_UDP)
    response.set_rcode(rcode)
    return response.to_wire()
