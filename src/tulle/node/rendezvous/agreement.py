"""The keys and indexes of a shortcut, known to its two ends alone.

Both ends draw a key pair for each attempt (X25519) and send each other the public half over the mesh. What
they have in common is mixed (HKDF with SHA-256, RFC 5869) with both public keys, both names, and the password
of the network if there is one. So whoever passes the offers on learns nothing by reading them, and without
the password nobody can take the place of an end, either.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256

from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base
from nacl.exceptions import CryptoError

from tulle.datapath.sleeve.orders import Keys, NativePath
from tulle.errors import BadMessage
from tulle.mesh.peername import PeerName, name_bytes

_PURPOSE = b"tulle shortcut 1"
_KEY, _INDEX = 32, 8


@dataclass(frozen=True, slots=True)
class End:
    """One end of an attempt: who it is, and its public key (32 bytes)."""

    name: PeerName
    key: bytes


def public_key(private: bytes) -> bytes:
    """The public half of a private key; both are 32 bytes."""
    return crypto_scalarmult_base(private)


def agree(private: bytes, me: End, other: End, password: bytes | None) -> NativePath:
    """The path between us, as we see it. Raises BadMessage for a key that would make the secret public."""
    try:
        shared = crypto_scalarmult(private, other.key)
    except CryptoError:
        raise BadMessage("the peer offered a public key that gives no security") from None
    low, high = sorted((me, other), key=lambda end: end.name)
    context = _PURPOSE + name_bytes(low.name) + name_bytes(high.name) + low.key + high.key
    salt = sha256(_PURPOSE + (password or b"")).digest()
    made = _expand(hmac.digest(salt, shared, sha256), context, 2 * (_KEY + _INDEX))
    up, down = made[: _KEY + _INDEX], made[_KEY + _INDEX :]
    ours, theirs = (up, down) if me == low else (down, up)
    return NativePath(
        peer=other.name,
        send_index=int.from_bytes(ours[_KEY:], "big"),
        receive_index=int.from_bytes(theirs[_KEY:], "big"),
        keys=None if password is None else Keys(send=ours[:_KEY], receive=theirs[:_KEY]),
    )


def _expand(key: bytes, context: bytes, size: int) -> bytes:
    """HKDF's second step: as many bytes as asked for, for this context."""
    made = block = b""
    number = 0
    while len(made) < size:
        number += 1
        block = hmac.digest(key, block + context + bytes((number,)), sha256)
        made += block
    return made[:size]
