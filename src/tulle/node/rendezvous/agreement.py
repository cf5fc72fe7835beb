"""The keys and indexes of a shortcut, known to its two ends alone.

Both ends draw a key pair for each attempt (X25519) and send each other the public half over the mesh. What
they have in common is mixed (HKDF with SHA-256, RFC 5869) with both public keys, both names, and the password
of the network if there is one. So whoever passes the offers on learns nothing by reading them, and without
the password nobody can take the place of an end, either.
"""

from dataclasses import dataclass
from hashlib import sha256

from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base
from nacl.exceptions import CryptoError

from tulle import hkdf
from tulle.datapath.sleeve.derivation import native_path
from tulle.datapath.sleeve.orders import NativePath
from tulle.errors import BadMessage
from tulle.mesh.peername import PeerName, name_bytes

_PURPOSE = b"tulle shortcut 1"


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
    secret = hkdf.expand(hkdf.extract(salt, shared), context)
    return native_path(other.name, secret, leads=me == low, encrypted=password is not None)
