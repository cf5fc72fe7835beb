"""The derivation of secrets agrees with another implementation."""

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from tulle import hkdf


@given(st.binary(max_size=80), st.binary(max_size=80), st.binary(max_size=80), st.integers(1, 255 * 32))
def test_it_agrees_with_the_library(salt: bytes, secret: bytes, purpose: bytes, size: int) -> None:
    expected = HKDF(algorithm=SHA256(), length=size, salt=salt or None, info=purpose).derive(secret)
    assert hkdf.expand(hkdf.extract(salt, secret), purpose, size) == expected


def test_the_first_vector_of_the_rfc() -> None:
    key = hkdf.extract(bytes.fromhex("000102030405060708090a0b0c"), b"\x0b" * 22)
    made = hkdf.expand(key, bytes.fromhex("f0f1f2f3f4f5f6f7f8f9"), 42)
    assert made.hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )


def test_too_much_is_refused() -> None:
    with pytest.raises(ValueError, match="bytes must be in"):
        hkdf.expand(bytes(32), b"", 256 * 32)
