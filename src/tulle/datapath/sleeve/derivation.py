"""What opens and seals the datagrams of a native path, derived from what only its two ends know.

Nothing is negotiated: each end computes the same from the number and the secret of their link, so a path is
ready in the step in which its link is settled.
"""

from tulle import hkdf
from tulle.datapath.carrier import Neighbour
from tulle.datapath.sleeve.orders import Keys, NativePath
from tulle.mesh.peername import PeerName, name_bytes

_PURPOSE = b"tulle sleeve 1"
_INDEX_SIZE = 8
_KEY_SIZE = 32


def link_path(near: Neighbour) -> NativePath:
    """The path beside a link; who dialled leads."""
    secret = near.conn_uid.to_bytes(8, "big") + (near.session_key or b"")
    return native_path(near.peer, secret, leads=near.outbound, encrypted=near.secret)


def native_path(peer: PeerName, secret: bytes, leads: bool, encrypted: bool) -> NativePath:
    """A path to this peer, with whom we share ``secret`` and agree which of us leads."""
    ours, theirs = (b"leader", b"follower") if leads else (b"follower", b"leader")
    return NativePath(
        peer=peer,
        send_index=_index(secret, ours),
        receive_index=_index(secret, theirs),
        keys=Keys(_key(secret, ours), _key(secret, theirs)) if encrypted else None,
    )


def session_secret(common: bytes, sender: PeerName, session: int) -> bytes:
    """What seals a session of relayed frames: ``sender`` drew its number, ``common`` both ends know."""
    return _derive(common, b"session of " + name_bytes(sender) + session.to_bytes(8, "big"), _KEY_SIZE)


def _index(secret: bytes, sender: bytes) -> int:
    return int.from_bytes(_derive(secret, b"index of the " + sender, _INDEX_SIZE), "big")


def _key(secret: bytes, sender: bytes) -> bytes:
    return _derive(secret, b"key of the " + sender, _KEY_SIZE)


def _derive(secret: bytes, what: bytes, size: int) -> bytes:
    return hkdf.expand(hkdf.extract(b"", secret), _PURPOSE + b" " + what, size)
