"""Keys and sealed boxes of a connection with a password (NaCl: X25519, XSalsa20, Poly1305).

The nonce is never sent. Both ends count: it is one byte for the direction and use of the key, zeros, and a
64-bit number that goes up with every box. The same session key seals the mesh connection and the sleeve's
datagrams; the first byte keeps their nonces apart.
"""

from hashlib import sha256

from nacl.bindings import (
    crypto_box_beforenm,
    crypto_scalarmult_base,
    crypto_secretbox,
    crypto_secretbox_open,
)
from nacl.exceptions import CryptoError

from tulle.errors import BadMessage

KEY_SIZE = 32
OVERHEAD = 16
"""Bytes that sealing adds to a message."""

FROM_DIALLER = 0x80
"""Set in the first nonce byte of everything the dialling end seals."""

ON_CONNECTION = 0x40
"""Set in the first nonce byte of what goes over the mesh connection, clear for datagrams."""


def public_key(private: bytes) -> bytes:
    """The public key of a private one; both are 32 bytes."""
    return crypto_scalarmult_base(private)


def session_key(remote_public: bytes, private: bytes, password: bytes) -> bytes:
    """The secret that only two ends with the same password share.

    Raises BadMessage for a public key that makes every secret alike.
    """
    try:
        shared = crypto_box_beforenm(remote_public, private)
    except CryptoError:
        raise BadMessage("the peer sent a public key that offers no security") from None
    return sha256(shared + password).digest()


def nonce(first: int, number: int) -> bytes:
    """The 24-byte nonce with this first byte and this 64-bit number."""
    return bytes((first,)) + bytes(15) + number.to_bytes(8, "big")


class Sealer:
    """Seals what one end sends over a connection, in order."""

    def __init__(self, key: bytes, from_dialler: bool) -> None:
        self._key = key
        self._first = ON_CONNECTION | (FROM_DIALLER if from_dialler else 0)
        self._number = 0

    def seal(self, plain: bytes) -> bytes:
        """The next message, sealed. Every call uses up a number, so what it returns must be sent."""
        sealed = crypto_secretbox(plain, nonce(self._first, self._number), self._key)
        self._number += 1
        return sealed


class Opener:
    """Opens what one end sent over a connection, in order."""

    def __init__(self, key: bytes, from_dialler: bool) -> None:
        self._key = key
        self._first = ON_CONNECTION | (FROM_DIALLER if from_dialler else 0)
        self._number = 0

    def open(self, sealed: bytes) -> bytes:
        """The next message. Raises BadMessage if it was not sealed by the holder of the key, or not next."""
        if len(sealed) < OVERHEAD:
            raise BadMessage("an encrypted message is too short")
        try:
            plain = crypto_secretbox_open(sealed, nonce(self._first, self._number), self._key)
        except CryptoError:
            raise BadMessage("an encrypted message cannot be opened") from None
        self._number += 1
        return plain
