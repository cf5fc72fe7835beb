"""HKDF with SHA-256 (RFC 5869).

From the standard library's HMAC: the library that opens and seals takes 9 MB of memory, which a network
without a password need not pay.
"""

import hmac

_HASH = "sha256"
_BLOCK = 32


def extract(salt: bytes, secret: bytes) -> bytes:
    """A key of 32 bytes that has all the entropy of ``secret``."""
    return hmac.digest(salt or bytes(_BLOCK), secret, _HASH)


def expand(key: bytes, purpose: bytes, size: int = _BLOCK) -> bytes:
    """``size`` bytes for one purpose, at most 255 * 32."""
    made, block = b"", b""
    for number in range(1, -(-size // _BLOCK) + 1):
        block = hmac.digest(key, block + purpose + bytes([number]), _HASH)
        made += block
    return made[:size]
