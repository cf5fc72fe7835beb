"""Keys: who opens what, and how they follow each other."""

import pytest

from tulle.host.sleeve import seals
from tulle.host.sleeve.seals import CAPACITY, GRACE, LIFETIME, ReceivingKeys, Seal, SendingKeys

SECRET = b"s" * 32
ONCE = bytes(12)


@pytest.mark.parametrize("seal", [Seal.AES_256_GCM, Seal.CHACHA20_POLY1305])
def test_what_one_end_seals_the_other_opens(seal: Seal) -> None:
    sealed = SendingKeys(SECRET, seal, 0.0).aead(0, 0.0).encrypt(ONCE, b"data", b"head")
    opener = ReceivingKeys(SECRET).aead(0, seal, 0.0)
    assert opener is not None
    assert opener.decrypt(ONCE, sealed, b"head") == b"data"


def test_ciphers_and_epochs_have_keys_of_their_own() -> None:
    keys = ReceivingKeys(SECRET)
    made = {
        keys.aead(epoch, seal, 0.0).encrypt(ONCE, b"data" * 9, None)  # type: ignore[union-attr]
        for epoch in (0, 1, 5)
        for seal in (Seal.AES_256_GCM, Seal.CHACHA20_POLY1305)
    }
    assert len(made) == 6


def test_a_key_is_renewed_after_its_time_and_after_its_share_of_datagrams() -> None:
    keys = SendingKeys(SECRET, Seal.AES_256_GCM, 0.0)
    keys.aead(1, LIFETIME - 1)
    assert keys.epoch == 0
    keys.aead(2, LIFETIME)
    assert keys.epoch == 1
    keys.aead(CAPACITY + 1, LIFETIME + 1)
    assert keys.epoch == 1
    keys.aead(CAPACITY + 2, LIFETIME + 1)
    assert keys.epoch == 2


def test_the_key_before_opens_for_a_while_after_the_next_has_been_heard() -> None:
    keys = ReceivingKeys(SECRET)
    keys.opened(1, 100.0)
    assert keys.aead(0, Seal.AES_256_GCM, 100.0 + GRACE) is not None
    assert keys.aead(0, Seal.AES_256_GCM, 101.0 + GRACE) is None
    assert keys.aead(1, Seal.AES_256_GCM, 101.0 + GRACE) is not None


def test_keys_older_than_that_are_gone() -> None:
    keys = ReceivingKeys(SECRET)
    keys.opened(1, 100.0)
    keys.opened(2, 100.0)
    assert keys.aead(0, Seal.AES_256_GCM, 100.0) is None
    assert keys.aead(1, Seal.AES_256_GCM, 100.0) is not None


def test_a_sender_may_have_renewed_often_unheard() -> None:
    sending, receiving = SendingKeys(SECRET, Seal.AES_256_GCM, 0.0), ReceivingKeys(SECRET)
    for hour in range(1, 50):
        aead = sending.aead(hour, hour * LIFETIME)
    opener = receiving.aead(sending.epoch, Seal.AES_256_GCM, 0.0)
    assert opener is not None
    assert opener.decrypt(ONCE, aead.encrypt(ONCE, b"data", None), None) == b"data"


def test_forged_epochs_cost_a_bounded_number_of_derivations(monkeypatch: pytest.MonkeyPatch) -> None:
    derived = []
    real = seals.next_secret
    monkeypatch.setattr(seals, "next_secret", lambda secret: derived.append(1) or real(secret))
    keys = ReceivingKeys(SECRET)
    for _ in range(5):
        assert keys.aead(seals.AHEAD, Seal.AES_256_GCM, 0.0) is not None
        assert keys.aead(seals.AHEAD + 1, Seal.AES_256_GCM, 0.0) is None
        assert keys.aead(0xFFFF, Seal.AES_256_GCM, 0.0) is None
    assert len(derived) == seals.AHEAD


def test_an_unknown_way_of_sealing_opens_nothing() -> None:
    assert ReceivingKeys(SECRET).aead(0, 0x30, 0.0) is None
    assert ReceivingKeys(SECRET).aead(0, Seal.NONE, 0.0) is None


def test_the_cipher_is_one_that_is_fast_here() -> None:
    assert seals.fastest() in (Seal.AES_256_GCM, Seal.CHACHA20_POLY1305)
