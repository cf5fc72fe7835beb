"""Fuzzing of names: any messages of other peers, over a name server's life."""

from contextlib import suppress
from ipaddress import IPv4Address

from on_wire import payloads
from source import Source

from tulle.errors import BadMessage
from tulle.instant import Instant
from tulle.mesh.dialect.weave import gob
from tulle.mesh.peername import PeerName
from tulle.names import weave
from tulle.names.nameserver import Nameserver

ME = PeerName(0x020000000001)
PEERS = tuple(PeerName(0x020000000000 + number) for number in range(1, 5))
HOSTS = ("web.weave.local.", "WEB.weave.local.", "db.weave.local.", "web.elsewhere.", "", "a" * 300 + ".")
NOW = Instant(1000.0, 1_700_000_000.0)

_ENTRY = gob.Struct(
    "",
    (
        ("ContainerID", gob.STRING),
        ("Origin", gob.UINT),
        ("Addr", gob.UINT),
        ("Hostname", gob.STRING),
        ("Version", gob.INT),
        ("Tombstone", gob.INT),
    ),
)
_MESSAGE = gob.Struct("", (("Timestamp", gob.INT), ("Entries", gob.Slice(_ENTRY))))


def _nameserver() -> Nameserver:
    server = Nameserver(ME, "weave.local.")
    server.known_peers(frozenset(PEERS[:3]))
    server.add("c1", "web", IPv4Address("10.32.0.1"), NOW)
    server.collect()
    return server


def _message(source: Source) -> bytes:
    entries = [
        {
            "ContainerID": source.pick(("c1", "c2", "")),
            "Origin": source.pick(PEERS),
            "Addr": source.pick((0x0A200001, 0x0A200002, 0)),
            "Hostname": source.pick(HOSTS),
            "Version": source.pick((0, 1, 2, -1, 1 << 62, (1 << 63) - 1)),
            "Tombstone": source.pick((0, 0, 1_700_000_000, -1, (1 << 63) - 1)),
        }
        for _ in range(source.number() % 5)
    ]
    stamp = 1_700_000_000 + source.pick((0, 900, -901, 1 << 40))
    return gob.encode((_MESSAGE, {"Timestamp": stamp, "Entries": entries}))


def fuzz_names(data: bytes) -> None:
    """Messages, made up or raw; what the server says after each must be what a peer can read."""
    source, server, now = Source(data), _nameserver(), NOW
    while source.more():
        payload = _message(source) if source.number() % 4 else source.piece()
        with suppress(BadMessage):
            server.merge("weave", payload, source.pick(PEERS[1:]), bool(source.number() % 2), now)
        if source.number() % 4 == 0:
            now = now.later(source.number(2))
            server.tick(now)
        if source.number() % 8 == 0:
            server.container_gone("c1", now)
        server.collect()
        for state in server.encode_all("weave", now):
            keys = [entry.key for entry in weave.decode(state).entries]
            assert len(set(keys)) == len(keys)


def names_seeds() -> list[bytes]:
    return [b"\x00" + len(payload).to_bytes(2, "big") + payload for payload in payloads("nameserver")]
