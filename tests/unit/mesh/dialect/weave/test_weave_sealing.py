"""Keys and sealed messages equal those of the original."""

from typing import Any

import pytest
from nacl.bindings import crypto_secretbox_open

from recordings import Recording, recordings, vectors
from tulle.errors import BadMessage
from tulle.mesh.dialect.weave.sealing import FROM_DIALLER, Opener, Sealer, nonce, public_key, session_key

KEY = bytes(range(32))


def vector_name(vector: dict[str, Any]) -> str:
    return str(vector["name"])


@pytest.mark.parametrize("vector", vectors("session-key"), ids=vector_name)
def test_the_session_key_is_that_of_the_original(vector: dict[str, Any]) -> None:
    said = vector["req"]
    key = session_key(
        bytes.fromhex(said["RemotePub"]), bytes.fromhex(said["LocalPriv"]), said["Password"].encode()
    )
    assert key.hex() == vector["res"]["key"]


@pytest.mark.parametrize("recording", recordings("enc-seed"), ids=str)
def test_both_ends_of_a_recorded_connection_get_its_key(recording: Recording) -> None:
    for ours, theirs in (
        (recording.client_private, recording.server_private),
        (recording.server_private, recording.client_private),
    ):
        assert session_key(public_key(theirs), ours, b"wfvAwt7sj") == recording.session_key


def test_another_password_makes_another_key() -> None:
    ours, theirs = b"\x01" * 32, b"\x02" * 32
    assert session_key(public_key(theirs), ours, b"a") != session_key(public_key(theirs), ours, b"b")


@pytest.mark.parametrize("weak", [bytes(32), b"\x01" + bytes(31)])
def test_a_public_key_that_makes_every_secret_alike_is_refused(weak: bytes) -> None:
    with pytest.raises(BadMessage):
        session_key(weak, b"\x01" * 32, b"secret")


@pytest.mark.parametrize("vector", vectors("tcp-seal"), ids=vector_name)
def test_messages_are_sealed_as_by_the_original(vector: dict[str, Any]) -> None:
    said = vector["req"]
    key, plain = bytes.fromhex(said["Key"]), [bytes.fromhex(message) for message in said["Msgs"]]
    sealer = Sealer(key, from_dialler=said["Outbound"])
    sealed = [sealer.seal(message) for message in plain]
    assert [message.hex() for message in sealed] == vector["res"]["msgs"]
    opener = Opener(key, from_dialler=said["Outbound"])
    assert [opener.open(message) for message in sealed] == plain


def test_the_nonce_is_the_use_zeros_and_the_number() -> None:
    assert nonce(0xC0, 258) == b"\xc0" + bytes(15) + b"\x00\x00\x00\x00\x00\x00\x01\x02"


def test_what_was_reflected_replayed_reordered_or_changed_is_refused() -> None:
    sealer = Sealer(KEY, from_dialler=True)
    first, second = sealer.seal(b"one"), sealer.seal(b"two")
    with pytest.raises(BadMessage):
        Opener(KEY, from_dialler=False).open(first)
    with pytest.raises(BadMessage):
        Opener(KEY, from_dialler=True).open(second)
    with pytest.raises(BadMessage):
        Opener(KEY, from_dialler=True).open(first[:-1] + bytes((first[-1] ^ 1,)))
    opener = Opener(KEY, from_dialler=True)
    assert opener.open(first) == b"one"
    with pytest.raises(BadMessage):
        opener.open(first)


@pytest.mark.parametrize("size", range(17))
def test_a_message_too_short_to_be_sealed_is_refused(size: int) -> None:
    with pytest.raises(BadMessage):
        Opener(KEY, from_dialler=True).open(bytes(size))


@pytest.mark.parametrize(
    "vector", [vector for vector in vectors("sleeve-encode") if "Key" in vector["req"]], ids=vector_name
)
def test_the_nonce_of_a_datagram_is_made_alike(vector: dict[str, Any]) -> None:
    """A datagram is the sender's name, the number (its top bit: do not fragment), and the sealed frames."""
    said = vector["req"]
    first = FROM_DIALLER if said["Outbound"] else 0
    for packet, frames in zip(vector["res"]["packets"], said["Packets"], strict=True):
        number, sealed = int(packet[12:28], 16), bytes.fromhex(packet[28:])
        plain = crypto_secretbox_open(sealed, nonce(first, number), bytes.fromhex(said["Key"]))
        assert plain.startswith(bytes.fromhex(frames[0][0] + frames[0][1]))
