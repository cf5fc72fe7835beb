"""Who this daemon is: a name for life, a number for this run, and the machine that it was born on."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from tulle.mesh.peername import PeerName, format_name, parse_name

_KIND, _KEY, _MACHINE = "daemon", "name", "machine"
_MACHINE_FILES = (Path("/etc/machine-id"), Path("/sys/class/dmi/id/product_uuid"))
_LOCALLY_ADMINISTERED, _GROUP = 0x02 << 40, 0x01 << 40


@dataclass(frozen=True, slots=True)
class IdentityRecord:
    """Something of who we are, to be kept."""

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


def name_record(name: PeerName) -> IdentityRecord:
    """What to save, so that the next daemon on this state has the same name."""
    return IdentityRecord(_KIND, _KEY, format_name(name).encode())


def name_of_bridge(mac: str) -> PeerName | None:
    """The name of the daemon that made a bridge with this hardware address (see ``bridge_mac``)."""
    try:
        return parse_name(mac)
    except ValueError:
        return None


def this_machine(files: Iterable[Path] = _MACHINE_FILES) -> bytes:
    """A mark of this machine, different from that of a copy of its disk; empty if it has nothing to tell."""
    marks = [path.read_bytes().strip() for path in files if _readable(path)]
    return blake2b(b"\0".join(marks), digest_size=16).hexdigest().encode() if any(marks) else b""


def machine_record(machine: bytes) -> IdentityRecord:
    """What to save, so that a copy of this state notices that it is one."""
    return IdentityRecord(_KIND, _MACHINE, machine)


def made_elsewhere(records: Iterable[tuple[str, str, bytes]], machine: bytes) -> bool:
    """Whether another machine wrote these records."""
    marks = [value for kind, key, value in records if (kind, key) == (_KIND, _MACHINE)]
    return any(marks) and bool(machine) and machine not in marks


def new_uid(rng: random.Random) -> int:
    """A number for this run of the process; zero would mean that there is none."""
    return rng.randrange(1, 1 << 64)


def _readable(path: Path) -> bool:
    try:
        with path.open("rb"):
            return True
    except OSError:
        return False


def bridge_mac(name: PeerName) -> str:
    """The bridge's hardware address: the peer's name, with the bit off that would make it a group."""
    return format_name(PeerName(name & ~_GROUP))
