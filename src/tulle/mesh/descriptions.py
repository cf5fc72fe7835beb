"""The topology as neighbours of our kind tell it to each other: short, and cheap to pass on.

A description that we have already is told apart by its number alone, and its connections are not read again.
One that is new is passed on as the very bytes it came in. So a peer reads and writes each description once,
however many neighbours tell it, or have to be told.

A payload is records without a gap, all numbers big-endian::

    name 6 | uid 8 | version 8 | short id 2 (0xffff: none) | form 1 | length of nickname 2 | of the rest 4
    nickname in UTF-8 | connections

Each connection is 8 bytes (48 bits of name, then flags: 1 outbound, 2 established) and an address: in form 0
that is 4 bytes and a port of 2, in form 1, for a peer that has any other address, a byte of length and text.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from ipaddress import IPv4Address
from struct import Struct

from tulle.errors import BadMessage
from tulle.mesh.peername import PeerName, format_name
from tulle.mesh.shortids import SHORT_IDS
from tulle.mesh.summary import ConnectionSummary, PeerSummary
from tulle.mesh.topology import MAX_CONNECTIONS, MAX_PEERS, supersedes

CHANNEL = "tulle-peers"

MAX_NICKNAME = 255
MAX_ADDRESS = 255
_HEAD = Struct(">6sQQHBHI")
_IPV4 = Struct(">QIH")
_NAME = Struct(">Q")
_NO_SHORT_ID = 0xFFFF
_PLAIN, _TEXT = 0, 1
_OUTBOUND, _ESTABLISHED = 1, 2
_REMEMBERED = 1 << 15
"""Connections, most of which the next description of the same peer has as well."""


class Descriptions:
    """Reads and writes records. ``known`` is what we have; a record is kept while it says the same."""

    def __init__(self, known: Mapping[PeerName, PeerSummary]) -> None:
        self._known = known
        self._records: dict[PeerName, tuple[PeerSummary, bytes]] = {}

    def encode(self, peers: Iterable[PeerSummary]) -> bytes:
        """The payload that tells about these peers."""
        return b"".join(map(self._record, peers))

    def decode(self, payload: bytes) -> list[PeerSummary]:
        """The peers a payload tells about, each once. Raises BadMessage.

        A description that we have is given as we have it, one older than ours without connections.
        """
        peers: dict[PeerName, PeerSummary] = {}
        connected = start = 0
        while start < len(payload):
            peer, start = self._read(payload, start)
            if peer.name in peers or len(peers) == MAX_PEERS:
                raise BadMessage(f"a peer is described twice, or more than {MAX_PEERS} are")
            peers[peer.name] = peer
            connected += len(peer.connections)
            if connected > MAX_CONNECTIONS:
                raise BadMessage(f"more than {MAX_CONNECTIONS} connections are described")
        return list(peers.values())

    def forget(self, names: Iterable[PeerName]) -> None:
        """These peers are gone."""
        for name in names:
            self._records.pop(name, None)

    def _record(self, peer: PeerSummary) -> bytes:
        kept = self._records.get(peer.name)
        if kept is not None and kept[0] is peer:
            return kept[1]
        return self._keep(peer, _write(peer))

    def _keep(self, peer: PeerSummary, record: bytes) -> bytes:
        if len(self._records) >= MAX_PEERS:
            self._records.clear()
        self._records[peer.name] = peer, record
        return record

    def _read(self, payload: bytes, start: int) -> tuple[PeerSummary, int]:
        """The peer described here, and where the next record begins."""
        if len(payload) - start < _HEAD.size:
            raise BadMessage("a description of a peer is cut off")
        raw, uid, version, short_id, form, nickname, body = _HEAD.unpack_from(payload, start)
        end = start + _HEAD.size + nickname + body
        if end > len(payload):
            raise BadMessage("a description of a peer is cut off")
        ours = self._known.get(int.from_bytes(raw, "big"))  # type: ignore[call-overload]
        if ours is not None and (ours.version, ours.uid, ours.short_id) == (version, uid, short_id):
            return ours, end
        bare = _bare(raw, uid, version, short_id)
        if ours is not None and not supersedes(bare, ours):
            return (bare if supersedes(ours, bare) else ours), end
        record = payload[start:end]
        peer = _complete(bare, record, form, _HEAD.size + nickname)
        self._keep(peer, record)
        return peer, end


def _bare(raw: bytes, uid: int, version: int, short_id: int) -> PeerSummary:
    """A peer without nickname and connections, which are most of the work."""
    name = _name(int.from_bytes(raw, "big"))
    if SHORT_IDS <= short_id < _NO_SHORT_ID:
        raise BadMessage(f"the short id of peer {format_name(name)} has more than 12 bits")
    return PeerSummary(name, "", uid, version, None if short_id == _NO_SHORT_ID else short_id, ())


def _complete(bare: PeerSummary, record: bytes, form: int, body: int) -> PeerSummary:
    """The rest of it; ``body`` is where the connections begin."""
    try:
        nickname = record[_HEAD.size : body].decode()
    except UnicodeDecodeError:
        nickname = "\0"
    if len(nickname) > MAX_NICKNAME or not nickname.isprintable():
        raise BadMessage(f"the nickname of peer {format_name(bare.name)} is too long or not printable")
    connections = _read_connections(form, record[body:])
    names = {connection.name for connection in connections}
    if len(names) < len(connections) or bare.name in names:
        raise BadMessage(f"peer {format_name(bare.name)} lists a connection twice, or one to itself")
    return PeerSummary(bare.name, nickname, bare.uid, bare.version, bare.short_id, connections)


def _read_connections(form: int, body: bytes) -> tuple[ConnectionSummary, ...]:
    if form == _TEXT:
        return tuple(_read_texts(body))
    if form != _PLAIN or len(body) % _IPV4.size:
        raise BadMessage("the connections of a peer are not in a form that we know")
    return tuple(_read_plain(body[at : at + _IPV4.size]) for at in range(0, len(body), _IPV4.size))


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
    return ConnectionSummary(_name(head >> 16), address, outbound, established)


def _name(number: int) -> PeerName:
    if not number:
        raise BadMessage("a peer's name is all zero")
    return PeerName(number)


def _write(peer: PeerSummary) -> bytes:
    nickname = peer.nickname.encode()
    plain = [_plain_address(connection.address) for connection in peer.connections]
    form = _PLAIN if all(plain) else _TEXT
    body = b"".join(
        _NAME.pack(_flagged(connection)) + (known if form == _PLAIN and known else _text(connection.address))
        for connection, known in zip(peer.connections, plain, strict=True)
    )
    short_id = _NO_SHORT_ID if peer.short_id is None else peer.short_id
    raw = peer.name.to_bytes(6, "big")
    head = _HEAD.pack(raw, peer.uid, peer.version, short_id, form, len(nickname), len(body))
    return head + nickname + body


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
