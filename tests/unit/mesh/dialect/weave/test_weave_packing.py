"""Packed messages: what is said twice costs little, and nothing hostile is unpacked."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.errors import BadMessage
from tulle.mesh.dialect import GossipMessage, Heartbeat
from tulle.mesh.dialect.weave.packing import FEATURE, LONGEST, PACKED, SHORTEST, Packer, Unpacker
from tulle.mesh.dialect.weave.session import WeaveSession
from tulle.mesh.peername import PeerName

NEWS = GossipMessage("topology", PeerName(1), bytes(range(256)) * 2)


def raw(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)[:-4]


def sessions(dialler: dict[str, str], acceptor: dict[str, str], password: bytes | None) -> list[WeaveSession]:
    """Both ends of a connection after their handshake."""
    ends = [
        WeaveSession(outbound, features, password, bytes([outbound + 1]) * 32)
        for outbound, features in ((True, dialler), (False, acceptor))
    ]
    one, other = ends
    other.receive(one.start())
    one.receive(other.start())
    other.receive(one.data_to_send())
    one.receive(other.data_to_send())
    return ends


@given(
    st.lists(st.binary(max_size=600) | st.integers(1, 3000).map(lambda size: b"\x04ab" * size), max_size=8)
)
def test_every_message_is_understood_at_once(bodies: list[bytes]) -> None:
    packer, unpacker = Packer(), Unpacker()
    for body in bodies:
        if body[:1] != bytes((PACKED,)):
            assert unpacker.unpack(packer.pack(body)) == body


def test_small_and_huge_messages_are_left_as_they_are() -> None:
    packer = Packer()
    for size in (0, 1, SHORTEST - 1, LONGEST + 1):
        assert packer.pack(b"\4" * size) == b"\4" * size
    assert len(packer.pack(b"\4" * LONGEST)) < 6000


def test_what_is_no_gossip_is_not_packed() -> None:
    assert Packer().pack(b"\7" * 1000) == b"\7" * 1000


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff" * 20, raw(b"\4" * (LONGEST + 1)), raw(b"\7" * 200), zlib.compress(b"\4" * 200, wbits=-15)],
)
def test_what_cannot_be_or_is_too_long_is_bad(body: bytes) -> None:
    with pytest.raises(BadMessage):
        Unpacker().unpack(bytes((PACKED,)) + body)


def test_what_is_said_again_is_short() -> None:
    ends = sessions({FEATURE: "1"}, {FEATURE: "1"}, None)
    for sender, receiver in (ends, ends[::-1]):
        sizes = []
        for message in (NEWS, Heartbeat(), NEWS):
            sizes.append(len(data := sender.encode(message)))
            assert receiver.receive(data) == [message]
        assert sizes[0] > 256
        assert sizes[2] < 40


@pytest.mark.parametrize(
    ("dialler", "acceptor", "password"),
    [({FEATURE: "1"}, {}, None), ({}, {FEATURE: "1"}, None), ({FEATURE: "1"}, {FEATURE: "1"}, b"secret")],
)
def test_nothing_is_packed_for_others_nor_where_its_length_could_tell_something(
    dialler: dict[str, str], acceptor: dict[str, str], password: bytes | None
) -> None:
    one, other = sessions(dialler, acceptor, password)
    first, again = one.encode(NEWS), one.encode(NEWS)
    assert len(first) == len(again) > len(NEWS.payload)
    assert other.receive(first + again) == [NEWS, NEWS]
