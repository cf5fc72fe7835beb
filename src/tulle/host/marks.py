"""The mark of packets that this host passes on for containers, and the routes that they are sent by.

The host has no route to the containers of its bridge, nor an address among them. The firewall marks what it
passes on for them, both ways (``tulle.host.routed``), and here are the rules that heed the mark.
"""

import errno
import socket

from tulle.host import netlink
from tulle.host.netlink import Request

ROUTED = 0x74756D
"""On packets of containers that use the host as their gateway, and on the answers to them."""
STRANGE = 0x74756E
"""On such packets if they are for containers of others, to which nothing of ours leads: no route heeds it."""

_TO_TABLE = 1
_OUT, _HOME = 6780, 6781
"""Priorities of the rules; both come before that of the resolver."""


def rules(kind: int, bridge: str, table: int) -> list[Request]:
    """Have marked packets go out by the main table, and home by ``table``, where all is on the bridge.

    So it is if ``kind`` is NEWRULE, and no more if it is DELRULE. The kernel, where it checks sources, looks
    up the way back as if the packet came from where it goes to; so both rules hold for that too.
    """
    out = [("FRA_IIFNAME", bridge), *_way(_OUT, netlink.MAIN_TABLE)]
    flags = netlink.CREATE | netlink.EXCL if kind == netlink.NEWRULE else 0
    fields = {"family": socket.AF_INET, "action": _TO_TABLE}
    tolerated = frozenset({errno.EEXIST, errno.ENOENT})
    return [Request(kind, flags, fields, way, tolerated) for way in (out, _way(_HOME, table))]


def _way(priority: int, table: int) -> list[tuple[str, object]]:
    return [("FRA_FWMARK", ROUTED), ("FRA_TABLE", table), ("FRA_PRIORITY", priority)]
