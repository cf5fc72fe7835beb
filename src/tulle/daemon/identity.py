"""Who this daemon is: a name for life, a number for this run."""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from tulle.mesh.peername import PeerName, format_name, parse_name

_KIND, _KEY = "daemon", "name"
_LOCALLY_ADMINISTERED, _GROUP = 0x02 << 40, 0x01 << 40


@dataclass(frozen=True, slots=True)
class NameRecord:
    """The name, to be kept."""

    kind: str
    key: str
    value: bytes


def saved_name(records: Iterable[tuple[str, str, bytes]]) -> PeerName | None:
    """The name of an earlier life on this state, if there was one."""
    for kind, key, value in records:
        if (kind, key) == (_KIND, _KEY):
            try:
                return parse_name(value.decode())
            except ValueError:
                return None
    return None


def random_name(rng: random.Random) -> PeerName:
    """A new name, fit to be a hardware address too."""
    return PeerName((rng.getrandbits(48) | _LOCALLY_ADMINISTERED) & ~_GROUP)


def name_record(name: PeerName) -> NameRecord:
    """What to save, so that the next daemon on this state has the same name."""
    return NameRecord(_KIND, _KEY, format_name(name).encode())


def new_uid(rng: random.Random) -> int:
    """A number for this run of the process; zero would mean that there is none."""
    return rng.randrange(1, 1 << 64)


def bridge_mac(name: PeerName) -> str:
    """The bridge's hardware address: the peer's name, with the bit off that would make it a group."""
    return format_name(PeerName(name & ~_GROUP))
