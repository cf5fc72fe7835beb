"""What two peers have in common that nobody else knows, and the keys and indexes of a shortcut that follow.

Both ends draw a key pair (X25519) and tell each other the public half over the mesh. What they have in common
is mixed (HKDF with SHA-256, RFC 5869) with both public keys, both names, and the password of the network if
there is one. So whoever passes the public halves on learns nothing by reading them, and without the password
nobody can take the place of an end, either.
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

_SHORTCUT = b"tulle shortcut 1"


@dataclass(frozen=True, slots=True)
class End:
    """One end: who it is, and its public key (32 bytes)."""

    name: PeerName
    key: bytes


def public_key(private: bytes) -> bytes:
    """The public half of a private key; both are 32 bytes."""
    return crypto_scalarmult_base(private)


def common_secret(private: bytes, me: End, other: End, password: bytes | None, purpose: bytes) -> bytes:
    """32 bytes that both ends can make for this purpose.

    Raises BadMessage for a key that would make the secret public.
    """
    try:
        shared = crypto_scalarmult(private, other.key)
    except CryptoError:
        raise BadMessage("the peer offered a public key that gives no security") from None
    low, high = sorted((me, other), key=lambda end: end.name)
    context = purpose + name_bytes(low.name) + name_bytes(high.name) + low.key + high.key
    salt = sha256(purpose + (password or b"")).digest()
    return hkdf.expand(hkdf.extract(salt, shared), context)


def agree(private: bytes, me: End, other: End, password: bytes | None) -> NativePath:
    """The shortcut between us, as we see it. Raises BadMessage as above."""
    secret = common_secret(private, me, other, password, _SHORTCUT)
    return native_path(other.name, secret, leads=me.name < other.name, encrypted=password is not None)
