"""The topology payload: for each peer its summary and the list of its connections, one after the other."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from tulle.errors import BadMessage
from tulle.mesh.dialect.weave import gob
from tulle.mesh.peername import PeerName, format_name, name_bytes
from tulle.mesh.summary import ConnectionSummary, PeerSummary

MAX_PEERS = 1 << 14
"""Peers in one payload: four times what there are short ids for."""

MAX_CONNECTIONS = 400_000
"""Connections in one payload; the original could not put more into a message."""

MAX_SHORT_ID = 4095
MAX_NICKNAME = 255
MAX_ADDRESS = 255
_MAX_REMEMBERED = 16 * 1024
"""Bytes of a peer that is remembered; about 500 connections."""

_PEER = gob.Struct(
    "peerSummary",
    (
        ("NameByte", gob.BYTES),
        ("NickName", gob.STRING),
        ("UID", gob.UINT),
        ("Version", gob.UINT),
        ("ShortID", gob.UINT),
        ("HasShortID", gob.BOOL),
    ),
)
_CONNECTIONS = gob.Slice(
    gob.Struct(
        "connectionSummary",
        (
            ("NameByte", gob.BYTES),
            ("RemoteTCPAddr", gob.STRING),
            ("Outbound", gob.BOOL),
            ("Established", gob.BOOL),
        ),
    )
)


def encode_topology(peers: Iterable[PeerSummary]) -> bytes:
    """The payload that tells about these peers."""
    encoder = gob.Encoder()
    for peer in peers:
        summary, connections = _bodies(peer)
        encoder.write(_PEER, summary)
        encoder.write(_CONNECTIONS, connections)
    return encoder.finish()


def decode_topology(payload: bytes) -> list[PeerSummary]:
    """The peers a payload tells about, each once. Raises BadMessage."""
    decoder = gob.Decoder(payload)
    peers: dict[PeerName, PeerSummary] = {}
    connected = 0
    while decoder.more():
        summary, connections = decoder.take(), decoder.take()
        small = len(summary.message) + len(connections.message) <= _MAX_REMEMBERED
        peer = _remembered_peer(summary, connections) if small else _read_peer(summary, connections)
        if peer.name in peers:
            raise BadMessage(f"the topology lists peer {format_name(peer.name)} twice")
        if len(peers) == MAX_PEERS:
            raise BadMessage(f"the topology lists more than {MAX_PEERS} peers")
        peers[peer.name] = peer
        connected += len(peer.connections)
        if connected > MAX_CONNECTIONS:
            raise BadMessage(f"the topology lists more than {MAX_CONNECTIONS} connections")
    return list(peers.values())


@lru_cache(maxsize=1024)
def _bodies(peer: PeerSummary) -> tuple[bytes, bytes]:
    """Both values of a peer. Most peers have not changed since they were last told about."""
    summary = {
        "NameByte": name_bytes(peer.name),
        "NickName": peer.nickname,
        "UID": peer.uid,
        "Version": peer.version,
        "ShortID": peer.short_id or 0,
        "HasShortID": peer.short_id is not None,
    }
    connections = [
        {
            "NameByte": name_bytes(connection.name),
            "RemoteTCPAddr": connection.address,
            "Outbound": connection.outbound,
            "Established": connection.established,
        }
        for connection in peer.connections
    ]
    return gob.body(_PEER, summary), gob.body(_CONNECTIONS, connections)


def _read_peer(summary: gob.Encoded, connections: gob.Encoded) -> PeerSummary:
    said = summary.read(_PEER)
    name = _name(said["NameByte"])
    nickname = said["NickName"]
    if len(nickname) > MAX_NICKNAME or not nickname.isprintable():
        raise BadMessage(f"the nickname of peer {format_name(name)} is too long or not printable")
    if said["ShortID"] > MAX_SHORT_ID:
        raise BadMessage(f"the short id of peer {format_name(name)} has more than 12 bits")
    return PeerSummary(
        name=name,
        nickname=nickname,
        uid=said["UID"],
        version=said["Version"],
        short_id=said["ShortID"] if said["HasShortID"] else None,
        connections=_connections(name, connections.read(_CONNECTIONS)),
    )


_remembered_peer = lru_cache(maxsize=1024)(_read_peer)
"""Reads a peer; gossip repeats what has not changed, byte for byte."""


def _connections(owner: PeerName, said: list[dict[str, Any]]) -> tuple[ConnectionSummary, ...]:
    connections: dict[PeerName, ConnectionSummary] = {}
    for item in said:
        name, address = _name(item["NameByte"]), item["RemoteTCPAddr"]
        if name in connections or name == owner:
            raise BadMessage(f"peer {format_name(owner)} lists a connection twice, or one to itself")
        if len(address) > MAX_ADDRESS or not (address.isascii() and address.isprintable()):
            raise BadMessage(f"peer {format_name(owner)} lists an address that is none")
        connections[name] = ConnectionSummary(name, address, item["Outbound"], item["Established"])
    return tuple(connections.values())


def _name(raw: bytes) -> PeerName:
    if len(raw) != 6 or not any(raw):
        raise BadMessage("a peer name in the topology is not six bytes, or all zero")
    return PeerName(int.from_bytes(raw, "big"))
