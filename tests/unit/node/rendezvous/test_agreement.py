"""The secrets of a shortcut: alike at both ends, and at no others."""

import hmac
from hashlib import sha256

import pytest
from nacl.bindings import crypto_scalarmult

from tulle.datapath.sleeve.derivation import native_path
from tulle.errors import BadMessage
from tulle.mesh.peername import PeerName, name_bytes
from tulle.node.rendezvous.agreement import End, agree, public_key

LOW, HIGH = PeerName(1), PeerName(2)
PRIVATE_LOW, PRIVATE_HIGH = b"l" * 32, b"h" * 32
ENDS = End(LOW, public_key(PRIVATE_LOW)), End(HIGH, public_key(PRIVATE_HIGH))


def test_what_one_end_sends_with_the_other_receives_with() -> None:
    low = agree(PRIVATE_LOW, *ENDS, b"secret")
    high = agree(PRIVATE_HIGH, *reversed(ENDS), b"secret")
    assert low.keys is not None
    assert high.keys is not None
    assert (low.send_index, low.keys.send) == (high.receive_index, high.keys.receive)
    assert (low.receive_index, low.keys.receive) == (high.send_index, high.keys.send)
    assert low.keys.send != low.keys.receive
    assert low.send_index != low.receive_index


def test_each_end_knows_whose_path_it_is() -> None:
    assert agree(PRIVATE_LOW, *ENDS, None).peer == HIGH


def test_without_a_password_there_are_indexes_but_no_keys() -> None:
    low = agree(PRIVATE_LOW, *ENDS, None)
    high = agree(PRIVATE_HIGH, *reversed(ENDS), None)
    assert low.keys is None
    assert (low.send_index, low.receive_index) == (high.receive_index, high.send_index)


@pytest.mark.parametrize("other", [None, b"", b"Secret"])
def test_another_password_makes_another_secret(other: bytes | None) -> None:
    mine = agree(PRIVATE_LOW, *ENDS, b"secret")
    theirs = agree(PRIVATE_HIGH, *reversed(ENDS), other)
    assert mine.send_index != theirs.receive_index
    assert mine.keys is not None
    assert theirs.keys is None or mine.keys.send != theirs.keys.receive


def test_names_and_keys_are_part_of_the_secret() -> None:
    usual = agree(PRIVATE_LOW, *ENDS, b"secret")
    other_name = agree(PRIVATE_LOW, ENDS[0], End(PeerName(3), ENDS[1].key), b"secret")
    assert other_name.send_index != usual.send_index


def test_the_secret_is_made_as_the_standard_says() -> None:
    """HKDF-SHA256 (RFC 5869) written out."""
    shared = crypto_scalarmult(PRIVATE_LOW, ENDS[1].key)
    extracted = hmac.digest(sha256(b"tulle shortcut 1secret").digest(), shared, sha256)
    context = b"tulle shortcut 1" + name_bytes(LOW) + name_bytes(HIGH) + ENDS[0].key + ENDS[1].key
    secret = hmac.digest(extracted, context + b"\x01", sha256)
    assert agree(PRIVATE_LOW, *ENDS, b"secret") == native_path(HIGH, secret, leads=True, encrypted=True)


@pytest.mark.parametrize("key", [bytes(32), b"\x01" + bytes(31)])
def test_a_key_that_makes_every_secret_alike_is_refused(key: bytes) -> None:
    with pytest.raises(BadMessage, match="no security"):
        agree(PRIVATE_LOW, ENDS[0], End(HIGH, key), None)


def test_secrets_are_not_shown() -> None:
    path = agree(PRIVATE_LOW, *ENDS, b"secret")
    assert path.keys is not None
    for secret in (path.keys.send, path.keys.receive):
        assert repr(secret) not in repr(path)
    assert str(path.send_index) not in repr(path)
