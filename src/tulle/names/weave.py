"""Names on Weave Net's wire.

The original ends its process when a message holds a key twice, and drops the connection when entries are
out of order, so ``encode`` takes a mapping (no key can be there twice) and sorts.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tulle.errors import BadMessage
from tulle.mesh.dialect.weave import gob
from tulle.mesh.peername import PeerName
from tulle.names.entry import Entry, Key

_ENTRY = gob.Struct(
    "Entry",
    (
        ("ContainerID", gob.STRING),
        ("Origin", gob.UINT),
        ("Addr", gob.UINT),
        ("Hostname", gob.STRING),
        ("Version", gob.INT),
        ("Tombstone", gob.INT),
    ),
)
_MESSAGE = gob.Struct("GossipData", (("Timestamp", gob.INT), ("Entries", gob.Slice(_ENTRY, "Entries"))))

MAX_ADDRESS = 0xFFFFFFFF
MAX_VERSION = 1 << 62
"""Far above any real count of changes, and it can still be outbid within 64 bits."""


class Names(NamedTuple):
    """A message: the Unix time at which it was sent, by its sender's clock, and entries."""

    timestamp: int
    entries: list[Entry]


def encode(timestamp: int, entries: Mapping[Key, Entry]) -> bytes:
    """One message with these entries."""
    rows = [_row(entries[key]) for key in sorted(entries)]
    return gob.encode((_MESSAGE, {"Timestamp": timestamp, "Entries": rows}))


def decode(payload: bytes) -> Names:
    """The message in ``payload``. Raises BadMessage.

    Entries with a version that no peer can have counted to are left out; a key may be there several times.
    """
    (message,) = gob.decode(payload, _MESSAGE)
    entries = [_entry(row) for row in message["Entries"]]
    return Names(message["Timestamp"], [entry for entry in entries if 0 <= entry.version <= MAX_VERSION])


def _row(entry: Entry) -> dict[str, object]:
    key = entry.key
    return {
        "ContainerID": key.container,
        "Origin": key.origin,
        "Addr": key.address,
        "Hostname": key.hostname,
        "Version": entry.version,
        "Tombstone": entry.tombstone,
    }


def _entry(row: dict[str, Any]) -> Entry:
    if row["Addr"] > MAX_ADDRESS:
        raise BadMessage("the address of a name has more than 32 bits")
    key = Key(row["Hostname"], PeerName(row["Origin"]), row["ContainerID"], row["Addr"])
    return Entry(key, row["Version"], row["Tombstone"])
