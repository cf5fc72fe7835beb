"""Connections as bytes, for records of peers.

Each is 8 bytes (48 bits of name, then flags: 1 outbound, 2 established) and an address: in form 0 that is 4
bytes and a port of 2, in form 1, which holds any other address, a byte of length and text.
"""

from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache, reduce
from ipaddress import IPv4Address
from operator import xor
from struct import Struct
from zlib import crc32

from tulle.errors import BadMessage
from tulle.mesh.peername import PeerName
from tulle.mesh.summary import ConnectionSummary

_IPV4 = Struct(">QIH")
_NAME = Struct(">Q")
_PLAIN, _TEXT = 0, 1
_OUTBOUND, _ESTABLISHED = 1, 2
_REMEMBERED = 1 << 15
"""Connections, most of which the next description of the same peer has as well."""


def write_entries(connections: Collection[ConnectionSummary]) -> tuple[int, bytes]:
    """Form and bytes of these connections."""
    plain = [_plain_address(connection.address) for connection in connections]
    form = _PLAIN if all(plain) else _TEXT
    return form, b"".join(
        _NAME.pack(_flagged(connection)) + (known if form == _PLAIN and known else _text(connection.address))
        for connection, known in zip(connections, plain, strict=True)
    )


def read_entries(form: int, body: bytes) -> tuple[ConnectionSummary, ...]:
    """The connections that these bytes stand for. Raises BadMessage."""
    if form == _TEXT:
        return tuple(_read_texts(body))
    if form != _PLAIN or len(body) % _IPV4.size:
        raise BadMessage("the connections of a peer are not in a form that we know")
    return tuple(_read_plain(body[at : at + _IPV4.size]) for at in range(0, len(body), _IPV4.size))


def read_name(number: int) -> PeerName:
    """A peer's name. Raises BadMessage."""
    if not number:
        raise BadMessage("a peer's name is all zero")
    return PeerName(number)


def checksum(connections: Iterable[ConnectionSummary]) -> int:
    """32 bits that stand for these connections in any order; two sums xored are that of both together."""
    return reduce(xor, map(_check, connections), 0)


@lru_cache(maxsize=_REMEMBERED)
def _check(connection: ConnectionSummary) -> int:
    return crc32(_NAME.pack(_flagged(connection)) + connection.address.encode())


@lru_cache(maxsize=_REMEMBERED)
def _read_plain(entry: bytes) -> ConnectionSummary:
    head, ip, port = _IPV4.unpack(entry)
    return _connection(head, f"{IPv4Address(ip)}:{port}")


def _read_texts(body: bytes) -> Iterator[ConnectionSummary]:
    at = 0
    while at < len(body):
        text = at + _NAME.size + 1
        if text > len(body) or text + body[text - 1] > len(body):
            raise BadMessage("a connection of a peer is cut off")
        address = body[text : text + body[text - 1]].decode("latin-1")
        if not (address.isascii() and address.isprintable()):
            raise BadMessage("an address of a peer is none")
        yield _connection(_NAME.unpack_from(body, at)[0], address)
        at = text + body[text - 1]


def _connection(head: int, address: str) -> ConnectionSummary:
    flags = head & 0xFFFF
    if flags & ~(_OUTBOUND | _ESTABLISHED):
        raise BadMessage("a connection of a peer has flags that we do not know")
    outbound, established = bool(flags & _OUTBOUND), bool(flags & _ESTABLISHED)
    return ConnectionSummary(read_name(head >> 16), address, outbound, established)


def _flagged(connection: ConnectionSummary) -> int:
    flags = _OUTBOUND * connection.outbound | _ESTABLISHED * connection.established
    return connection.name << 16 | flags


@lru_cache(maxsize=_REMEMBERED)
def _plain_address(text: str) -> bytes | None:
    """Six bytes, if exactly this text comes out of them again."""
    host, _, port = text.partition(":")
    try:
        ip, number = IPv4Address(host), int(port)
    except ValueError:
        return None
    if text != f"{ip}:{number}" or not 0 <= number < 1 << 16:
        return None
    return ip.packed + number.to_bytes(2, "big")


def _text(address: str) -> bytes:
    raw = address.encode("ascii")
    return bytes((len(raw),)) + raw
