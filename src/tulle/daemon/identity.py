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


def choose_name(
    wanted: PeerName | None, records: Iterable[tuple[str, str, bytes]], rng: random.Random
) -> PeerName:
    """The name that was asked for, else the one of an earlier life, else a new random one."""
    if wanted is not None:
        return wanted
    for kind, key, value in records:
        if (kind, key) == (_KIND, _KEY):
            try:
                return parse_name(value.decode())
            except ValueError:
                break
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
