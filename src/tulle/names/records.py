"""Our own names in the state file, so that a crash loses neither a name nor its removal."""

import msgspec

from tulle.errors import UserError
from tulle.mesh.peername import PeerName
from tulle.names.entry import Entry, Key
from tulle.names.events import Save
from tulle.names.hostname import parse_domain

KIND = "name"
DOMAIN_KIND, _DOMAIN_KEY = "names", "domain"


def save(entry: Entry) -> Save:
    """The record that brings this entry back."""
    return Save(KIND, _record_key(entry.key), msgspec.json.encode((entry.version, entry.tombstone)))


def forget(key: Key) -> Save:
    """The deletion of an entry's record."""
    return Save(KIND, _record_key(key), None)


def restore(record_key: str, value: bytes, origin: PeerName) -> Entry:
    """The entry of a record, under the name that this peer has now. Raises ValueError if it is damaged."""
    hostname, container, address = msgspec.json.decode(record_key.encode(), type=tuple[str, str, int])
    version, tombstone = msgspec.json.decode(value, type=tuple[int, int])
    return Entry(Key(hostname, origin, container, address), version, tombstone)


def _record_key(key: Key) -> str:
    return msgspec.json.encode((key.hostname, key.container, key.address)).decode()


def save_domain(domain: str) -> Save:
    """The record of the domain that the names are under, so that they can move when it changes."""
    return Save(DOMAIN_KIND, _DOMAIN_KEY, domain.encode())


def restore_domain(value: bytes) -> str | None:
    """The domain of a record; None if it is damaged."""
    try:
        return parse_domain(value.decode())
    except (UnicodeDecodeError, UserError):
        return None
