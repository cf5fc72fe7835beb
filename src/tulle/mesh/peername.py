"""Peer names: 48 bits, written like a MAC address."""

import re
from typing import NewType

PeerName = NewType("PeerName", int)

UNKNOWN_PEER = PeerName(0)
_GROUP = re.compile(r"[0-9A-Fa-f]{2}\Z")
_LAST_OR_FIRST = re.compile(r"[0-9A-Fa-f]{1,2}\Z")


def format_name(name: PeerName) -> str:
    """Lower-case colon form: ``02:00:00:00:00:01``."""
    return ":".join(f"{byte:02x}" for byte in name.to_bytes(6, "big"))


def parse_name(text: str) -> PeerName:
    """The name written as six hex pairs, or shortened with one ``::`` as in ``::1`` and ``1::2``.

    Raises ValueError for anything else, and for the all-zero name, which means "unknown".
    """
    head, gap, tail = text.partition("::")
    left = head.split(":") if head else []
    right = tail.split(":") if tail else []
    pattern = _LAST_OR_FIRST if gap else _GROUP
    missing = 6 - len(left) - len(right)
    well_formed = all(pattern.match(group) for group in (*left, *right))
    if not well_formed or (missing < 1 if gap else missing != 0):
        raise ValueError(f"{text!r} is not a peer name; write it as 02:00:00:00:00:01 or ::1")
    groups = [*left, *["00"] * missing, *right]
    name = PeerName(int("".join(group.zfill(2) for group in groups), 16))
    if name == UNKNOWN_PEER:
        raise ValueError(f"{text!r} is the unknown peer; a name must not be all zero")
    return name


def name_bytes(name: PeerName) -> bytes:
    """The six bytes used on the wire."""
    return name.to_bytes(6, "big")
