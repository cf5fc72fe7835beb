"""A connection's wire: the handshake and how it fails, framing in any pieces, whole recorded connections."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings import PASSWORD, Recording, all_recordings, recordings
from tulle.errors import BadMessage
from tulle.mesh.dialect import (
    BroadcastMessage,
    Control,
    Features,
    GossipMessage,
    Heartbeat,
    Message,
    Session,
    UnicastMessage,
)
from tulle.mesh.dialect.weave.messages import decode_message, encode_features
from tulle.mesh.dialect.weave.session import MAX_BODY, MAX_FEATURES, MAX_FRAME, WeaveSession
from tulle.mesh.peername import PeerName

PLAIN_START = b"weave\x02\x02\x00"
SOME = [
    Heartbeat(),
    Control(1, 2, b"payload"),
    GossipMessage("topology", PeerName(1), b"x" * 300),
    BroadcastMessage("nameserver", PeerName(2), b""),
    UnicastMessage("IPallocation", PeerName(3), PeerName(4), b"\x00"),
]


def session(
    outbound: bool = True, password: bytes | None = None, private: bytes = b"\x01" * 32, **features: str
) -> WeaveSession:
    return WeaveSession(outbound, features, password, private)


def joined(password: bytes | None, **features: str) -> tuple[WeaveSession, WeaveSession]:
    """Both ends of a connection after their handshake; ``features`` of the accepting end."""
    theirs = features or {"Overlays": "sleeve"}
    dialler = session(True, password, b"\x01" * 32, Overlays="sleeve")
    acceptor = session(False, password, b"\x02" * 32, **theirs)
    to_acceptor, to_dialler = dialler.start(), acceptor.start()
    got_by_dialler = dialler.receive(to_dialler)
    got_by_acceptor = acceptor.receive(to_acceptor + dialler.data_to_send())
    got_by_dialler += dialler.receive(acceptor.data_to_send())
    assert got_by_dialler == [Features(theirs)]
    assert got_by_acceptor == [Features({"Overlays": "sleeve"})]
    return dialler, acceptor


PASSWORDS = pytest.mark.parametrize("password", [None, b"secret"], ids=["plain", "password"])


@PASSWORDS
def test_messages_pass_both_ways(password: bytes | None) -> None:
    dialler, acceptor = joined(password)
    for sender, receiver in ((dialler, acceptor), (acceptor, dialler)):
        for message in SOME:
            assert receiver.receive(sender.encode(message)) == [message]


@PASSWORDS
def test_both_ends_hold_the_same_session_key_after_the_handshake(password: bytes | None) -> None:
    before: Session = session(password=password)
    assert before.session_key is None
    dialler, acceptor = joined(password)
    assert dialler.session_key == acceptor.session_key
    assert (dialler.session_key is None) == (password is None)


def test_we_offer_version_two_only_and_say_all_at_once_without_a_password() -> None:
    features = encode_features({"Name": "a"})
    assert session(Name="a").start() == PLAIN_START + len(features).to_bytes(4, "big") + features


def test_with_a_password_features_are_sent_only_sealed() -> None:
    started = session(password=b"secret", Name="secret-name")
    data = started.start()
    assert data[:8] == b"weave\x02\x02\x01"
    assert len(data) == 8 + 32
    started.receive(b"weave\x01\x02\x01" + b"\x09" * 32)
    assert b"secret-name" not in started.data_to_send()
    assert started.data_to_send() == b""


def test_nothing_is_encoded_before_the_handshake_is_over() -> None:
    with pytest.raises(RuntimeError):
        session(password=b"secret").encode(Heartbeat())


# -- handshakes that fail ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("received", "password", "reason"),
    [
        (b"GET / HTTP/1.1\r\n", None, "not a mesh peer"),
        (b"we're not", None, "not a mesh peer"),
        (b"SSH", None, "not a mesh peer"),
        (b"weave\x01\x01", None, "version 1 at most"),
        (b"weave\x03\x07", None, "version 3 or later"),
        (b"weave\x01\x02\x02", None, "malformed"),
        (b"weave\x01\x02\x01", None, "the peer uses a password and we do not"),
        (b"weave\x01\x02\x00", b"secret", "the peer uses no password and we do"),
        (b"weave\x01\x02\x01" + bytes(32), b"secret", "no security"),
        (b"weave\x01\x02\x00\x00\x00\x00\x00", None, "ends in the middle"),
    ],
)
def test_a_handshake_that_cannot_succeed_says_why(
    received: bytes, password: bytes | None, reason: str
) -> None:
    ours = session(password=password)
    ours.start()
    with pytest.raises(BadMessage, match=reason):
        ours.receive(received)


@pytest.mark.parametrize(("lowest", "highest"), [(1, 2), (2, 2), (1, 9), (2, 3)])
def test_any_range_of_versions_that_holds_two_will_do(lowest: int, highest: int) -> None:
    assert session().receive(b"weave" + bytes((lowest, highest)) + b"\x00") == []


def test_another_password_is_found_out() -> None:
    dialler, acceptor = session(True, b"one"), session(False, b"two", b"\x02" * 32)
    dialler.start()
    acceptor.receive(dialler.start())
    dialler.receive(acceptor.start())
    with pytest.raises(BadMessage, match="another password"):
        dialler.receive(acceptor.data_to_send())
    with pytest.raises(BadMessage, match="another password"):
        acceptor.receive(dialler.data_to_send())


def recorded_server(variant: str) -> bytes:
    (recording,) = recordings(f"handshake-{variant}")
    return recording.stream(from_client=False)


def test_a_recorded_server_with_another_password_is_refused() -> None:
    with pytest.raises(BadMessage, match="another password"):
        session(password=b"wrong").receive(recorded_server("wrong-password"))


def test_a_recorded_server_without_a_password_is_refused() -> None:
    with pytest.raises(BadMessage, match="no password"):
        session(password=b"secret").receive(recorded_server("password-client-to-plain-server"))


def test_a_recorded_server_with_a_password_hangs_up_before_it_says_so() -> None:
    assert recorded_server("plain-client-to-password-server") == b"weave\x01\x02"
    assert session().receive(b"weave\x01\x02") == []


@pytest.mark.parametrize("variant", ["bad-flavour", "connect-to-self-name", "no-common-overlay"])
def test_a_recorded_server_that_dislikes_our_features_still_tells_its_own(variant: str) -> None:
    (features,) = session().receive(recorded_server(variant))
    assert isinstance(features, Features)
    assert features.values["Name"] == "02:00:00:00:00:01"
    assert features.values["PeerNameFlavour"] == "mac"
    assert features.values["Overlays"] == "sleeve"


# -- framing ----------------------------------------------------------------------------------------------


def test_blank_and_unknown_messages_are_ignored() -> None:
    dialler, acceptor = joined(None)
    frames = b"".join(len(body).to_bytes(4, "big") + body for body in (b"", b"\xc8"))
    assert dialler.receive(frames + acceptor.encode(Heartbeat())) == [Heartbeat()]


@PASSWORDS
def test_peers_that_do_not_name_carriers_have_one(password: bytes | None) -> None:
    dialler, acceptor = joined(password, Name="old")
    told = Control(0, 3, b"\x05\x9e")
    frame = dialler.encode(told)
    assert len(frame) == 4 + 3 + (16 if password else 0)
    assert acceptor.receive(frame) == [told]
    assert dialler.receive(acceptor.encode(told)) == [told]


@PASSWORDS
def test_a_frame_too_large_is_refused_before_it_is_taken_in(password: bytes | None) -> None:
    dialler, _ = joined(password)
    with pytest.raises(BadMessage, match="are allowed"):
        dialler.receive((MAX_FRAME + 1).to_bytes(4, "big"))


@PASSWORDS
def test_the_largest_message_passes_and_no_larger_one_is_sent(password: bytes | None) -> None:
    dialler, acceptor = joined(password)
    largest = Control(0, 0, bytes(MAX_BODY - 3))
    assert dialler.receive(acceptor.encode(largest)) == [largest]
    with pytest.raises(ValueError, match="larger"):
        acceptor.encode(Control(0, 0, bytes(MAX_BODY - 2)))


def test_a_sealed_message_that_was_changed_is_refused() -> None:
    dialler, acceptor = joined(b"secret")
    frame = bytearray(acceptor.encode(Heartbeat()))
    frame[-1] ^= 1
    with pytest.raises(BadMessage, match="cannot be opened"):
        dialler.receive(bytes(frame))


# -- whole connections ------------------------------------------------------------------------------------


def ends(recording: Recording, ours_is_client: bool) -> WeaveSession:
    """Our session in the place of one end of a recorded connection."""
    password = PASSWORD if recording.session_key else None
    private = recording.client_private if ours_is_client else recording.server_private
    ours = session(ours_is_client, password, private)
    ours.start()
    return ours


RECORDED = pytest.mark.parametrize("recording", all_recordings(), ids=str)
AS_EITHER_END = pytest.mark.parametrize("ours_is_client", [True, False], ids=["client", "server"])


@RECORDED
@AS_EITHER_END
def test_a_recorded_connection_is_understood_from_either_end(
    recording: Recording, ours_is_client: bool
) -> None:
    ours = ends(recording, ours_is_client)
    heard: list[Features | Message] = []
    for chunk in recording.chunks:
        if chunk.from_client != ours_is_client:
            heard += ours.receive(chunk.data)
    features, *messages = heard
    assert isinstance(features, Features)
    bodies = list(recording.bodies(from_client=not ours_is_client))[1:]
    assert messages == [decode_message(body) for body in bodies]
    assert ours.session_key == (recording.session_key or None)


@given(st.data(), st.sampled_from(all_recordings()), st.booleans())
def test_pieces_of_any_size_say_the_same(
    data: st.DataObject, recording: Recording, ours_is_client: bool
) -> None:
    stream = recording.stream(from_client=not ours_is_client)
    expected = ends(recording, ours_is_client).receive(stream)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    ours, heard = ends(recording, ours_is_client), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        heard += ours.receive(stream[start:end])
    assert heard == expected


def survives(ours: WeaveSession, pieces: list[bytes]) -> None:
    """Feed until it refuses, as the mesh would."""
    for piece in pieces:
        try:
            ours.receive(piece)
        except BadMessage:
            return
        ours.data_to_send()


@given(
    st.lists(st.binary(max_size=60), max_size=10), st.sampled_from([b"", PLAIN_START, b"weave\x01\x02\x01"])
)
def test_random_bytes_are_refused_or_ignored(pieces: list[bytes], start: bytes) -> None:
    for password in (None, b"secret"):
        survives(session(password=password), [start, *pieces])


@given(st.data(), st.sampled_from(all_recordings()), st.booleans())
def test_a_damaged_connection_is_refused_or_goes_on(
    data: st.DataObject, recording: Recording, ours_is_client: bool
) -> None:
    stream = bytearray(recording.stream(from_client=not ours_is_client))
    for _ in range(data.draw(st.integers(1, 5))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    survives(ends(recording, ours_is_client), [bytes(stream)])


def test_a_stranger_gets_little_memory() -> None:
    acceptor = WeaveSession(False, {}, None, bytes(32))
    acceptor.receive(b"weave\x02\x02\x00")
    with pytest.raises(BadMessage, match="are allowed"):
        acceptor.receive((MAX_FEATURES + 1).to_bytes(4, "big"))
