"""Fuzzing of the dialect: gob and sessions. Only BadMessage may come out."""

from contextlib import suppress
from functools import cache

from source import Source

from recordings import all_bodies, all_recordings
from tulle.errors import BadMessage
from tulle.mesh.dialect import BroadcastMessage, Features, GossipMessage
from tulle.mesh.dialect.weave import gob
from tulle.mesh.dialect.weave.messages import decode_message, encode_features
from tulle.mesh.dialect.weave.packing import Packer
from tulle.mesh.dialect.weave.sealing import Sealer
from tulle.mesh.dialect.weave.session import WeaveSession

_INNER = gob.Struct("", (("Name", gob.UINT), ("Other", gob.INT)))
_OUTER = gob.Struct(
    "",
    (
        ("Now", gob.INT),
        ("Paxos", gob.Optional(gob.Map(_INNER, gob.Slice(_INNER)))),
        ("Nicknames", gob.Map(gob.UINT, gob.STRING)),
        ("Ring", gob.Optional(_INNER)),
        ("Entries", gob.Slice(gob.BYTES)),
        ("Flag", gob.BOOL),
    ),
)
_STREAMS: tuple[tuple[gob.Type, ...], ...] = (
    (_OUTER,),
    (gob.Map(gob.STRING, gob.STRING),),
    (gob.STRING, gob.UINT, gob.BYTES),
    (gob.Slice(gob.Map(gob.UINT, gob.BOOL)), _OUTER, _OUTER),
)


def fuzz_gob(data: bytes) -> None:
    """What is read can be written, and says the same when read again."""
    for kinds in _STREAMS:
        with suppress(BadMessage):
            values = gob.decode(data, *kinds)
            again = gob.encode(*zip(kinds, values, strict=True))
            assert gob.decode(again, *kinds) == values


def gob_seeds() -> list[bytes]:
    value = {
        "Now": -5,
        "Paxos": {(1, 2): [{"Name": 7}]},
        "Nicknames": {1: "h1"},
        "Ring": {"Other": 300},
        "Entries": [b"a", b""],
        "Flag": True,
    }
    return [
        gob.encode((_OUTER, value)),
        *payloads("IPallocation"),
        *payloads("topology"),
        *payloads("nameserver"),
    ]


_FEATURES = {"Name": "a", "Deflate": "1"}
_KEY_PAIR = (b"\x01" * 32, b"\x02" * 32)


@cache
def _handshakes(password: bytes | None) -> tuple[bytes, bytes]:
    """The start of each end: the acceptor's key and the dialler's whole handshake, for the keys above."""
    dialler, acceptor = _ends(password)
    start, answer = dialler.start(), acceptor.start()
    dialler.receive(answer)
    return start + dialler.data_to_send(), answer


def _ends(password: bytes | None) -> tuple[WeaveSession, WeaveSession]:
    ends = [WeaveSession(index == 0, _FEATURES, password, key) for index, key in enumerate(_KEY_PAIR)]
    return ends[0], ends[1]


def fuzz_session(data: bytes) -> None:
    """Any bytes, in pieces; and any bodies, in well-formed frames, sealed or not, after the handshake."""
    source = Source(data)
    password = source.pick((None, b"secret"))
    if source.number() % 2:
        _feed_raw(source, password)
    else:
        _feed_bodies(source, password)


def _feed_raw(source: Source, password: bytes | None) -> None:
    _, acceptor = _ends(password)
    acceptor.start()
    acceptor.receive(_handshakes(password)[0][: source.number()])
    with suppress(BadMessage):
        while source.more():
            acceptor.receive(source.piece())
            acceptor.data_to_send()


def _feed_bodies(source: Source, password: bytes | None) -> None:
    _, acceptor = _ends(password)
    acceptor.start()
    heard = acceptor.receive(_handshakes(password)[0])
    assert heard == [Features(_FEATURES)]
    sealer = None
    if acceptor.session_key is not None:
        sealer = Sealer(acceptor.session_key, from_dialler=True)
        sealer.seal(encode_features(_FEATURES))
    with suppress(BadMessage):
        while source.more():
            body = source.piece()
            sealed = sealer.seal(body) if sealer else body
            for message in acceptor.receive(len(sealed).to_bytes(4, "big") + sealed):
                assert not isinstance(message, Features)
                acceptor.encode(message)


def session_seeds() -> list[bytes]:
    streams = [recording.stream(True)[8:] for recording in all_recordings() if not recording.session_key]
    raw = [b"\x00\x01\x08" + _piece(stream) for stream in streams]
    bodies = [b"\x00\x00" + _piece(body) for body in all_bodies()]
    packed = [b"\x00\x00" + _piece(Packer().pack(body)) for body in all_bodies()]
    return [*raw, *bodies, *packed, b"\x01\x00" + _piece(all_bodies()[0])]


def _piece(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def payloads(channel: str) -> list[bytes]:
    """The recorded gossip of one channel, each payload once."""
    messages = map(decode_message, all_bodies())
    heard = (
        message.payload
        for message in messages
        if isinstance(message, GossipMessage | BroadcastMessage) and message.channel == channel
    )
    return list(dict.fromkeys(heard))
