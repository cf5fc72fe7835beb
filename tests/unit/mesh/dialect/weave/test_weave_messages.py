"""Message bodies equal those of the original, and odd ones are ignored or refused as they should be."""

from typing import Any

import pytest

from recordings import Recording, all_bodies, all_recordings, vectors
from tulle.errors import BadMessage
from tulle.mesh.dialect import (
    BroadcastMessage,
    Control,
    Enquiry,
    Farewell,
    GossipMessage,
    Heartbeat,
    Message,
    UnicastMessage,
)
from tulle.mesh.dialect.weave import gob
from tulle.mesh.dialect.weave.messages import (
    MAX_CHANNEL_NAME,
    MAX_REASON,
    decode_features,
    decode_message,
    encode_bare_control,
    encode_features,
    encode_message,
)
from tulle.mesh.peername import PeerName, parse_name

SRC, DST = PeerName(1), PeerName(2)

MESSAGES: list[Message] = [
    Heartbeat(),
    Control(0, 1, b""),
    Control(255, 3, b"\x05\x9e"),
    GossipMessage("topology", SRC, b"state"),
    BroadcastMessage("IPallocation", SRC, b""),
    UnicastMessage("IPallocation", SRC, DST, bytes(1000)),
    Enquiry(),
    Farewell("the room is full"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_message_survives_the_round_trip(message: Message) -> None:
    assert decode_message(encode_message(message)) == message


def test_a_farewell_is_text_of_limited_length_whatever_arrives() -> None:
    assert len(encode_message(Farewell("ü" * 5000))) == 1 + MAX_REASON
    heard = decode_message(b"\x66\xff\xfe" + b"x" * 5000)
    assert isinstance(heard, Farewell)
    assert len(heard.reason) == MAX_REASON


@pytest.mark.parametrize("vector", vectors("gossip-msg"), ids=lambda vector: vector["name"])
def test_gossip_is_encoded_as_by_the_original(vector: dict[str, Any]) -> None:
    said = vector["req"]
    src, payload = parse_name(said["Src"]), bytes.fromhex(said["Hex"])
    encoded = bytes.fromhex(vector["res"]["hex"])
    assert encode_message(GossipMessage(said["Channel"], src, payload)) == b"\x04" + encoded
    assert encode_message(BroadcastMessage(said["Channel"], src, payload)) == b"\x06" + encoded


@pytest.mark.parametrize("vector", vectors("unicast-msg"), ids=lambda vector: vector["name"])
def test_unicast_is_encoded_as_by_the_original(vector: dict[str, Any]) -> None:
    said = vector["req"]
    message = UnicastMessage(
        said["Channel"], parse_name(said["Src"]), parse_name(said["Dst"]), bytes.fromhex(said["Hex"])
    )
    assert encode_message(message) == b"\x05" + bytes.fromhex(vector["res"]["hex"])


@pytest.mark.parametrize("vector", vectors("features-encode"), ids=lambda vector: vector["name"])
def test_features_are_encoded_as_by_the_original(vector: dict[str, Any]) -> None:
    encoded = bytes.fromhex(vector["res"]["hex"])
    assert encode_features(vector["req"]["Features"]) == encoded
    assert decode_features(encoded) == vector["req"]["Features"]


def test_no_recorded_message_was_lost() -> None:
    assert len(all_bodies()) == 220


@pytest.mark.parametrize("recording", all_recordings(), ids=str)
@pytest.mark.parametrize("from_client", [True, False])
def test_every_recorded_message_is_understood_and_written_back(
    recording: Recording, from_client: bool
) -> None:
    features, *bodies = recording.bodies(from_client)
    assert decode_features(features)["PeerNameFlavour"] == "mac"
    for body in bodies:
        message = decode_message(body)
        assert message is not None
        assert encode_message(message) == body


@pytest.mark.parametrize("body", [b"", b"\x08", b"\xffanything"])
def test_what_says_nothing_to_us_is_ignored(body: bytes) -> None:
    assert decode_message(body) is None


@pytest.mark.parametrize("body", [b"\x01", b"\x02", b"\x03\x05\x9e"])
def test_control_messages_of_peers_with_one_carrier(body: bytes) -> None:
    message = decode_message(body)
    assert message == Control(0, body[0], body[1:])
    assert encode_bare_control(message) == body


def gossip(channel: str, src: int) -> bytes:
    return b"\x04" + gob.encode((gob.STRING, channel), (gob.UINT, src), (gob.BYTES, b""))


@pytest.mark.parametrize(
    "body",
    [
        b"\x07",
        b"\x07\x00",
        b"\x04",
        b"\x05" + gossip("topology", 1)[1:],
        gossip("topology", 1) + b"\x00",
        gossip("topology", 0),
        gossip("topology", 2**48),
        gossip("", 1),
        gossip("x" * (MAX_CHANNEL_NAME + 1), 1),
    ],
)
def test_what_is_malformed_is_refused(body: bytes) -> None:
    with pytest.raises(BadMessage):
        decode_message(body)
