"""The marks of packets that this host passes on for containers, and the routes that they are sent by.

The host has no route to the containers of its bridge, nor an address among them. The firewall marks what it
passes on for them, both ways (``tulle.host.routed``), and here are the rules that heed the mark.
"""

import errno
import socket

from tulle.host import netlink
from tulle.host.netlink import Attributes, Request

DETOURED = 0x74756C
"""On questions of names that go to our resolver instead (``tulle.host.dns_detour``), and the answers."""
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
    out = rule(kind, ROUTED, netlink.MAIN_TABLE, _OUT, [("FRA_IIFNAME", bridge)])
    return [out, rule(kind, ROUTED, table, _HOME)]


def rule(kind: int, mark: int, table: int, priority: int, also: Attributes = ()) -> Request:
    """What has this mark goes by this table; ``kind`` as above, and if it is so already, that is no error."""
    flags = netlink.CREATE | netlink.EXCL if kind == netlink.NEWRULE else 0
    fields = {"family": socket.AF_INET, "action": _TO_TABLE}
    way = [*also, ("FRA_FWMARK", mark), ("FRA_TABLE", table), ("FRA_PRIORITY", priority)]
    return Request(kind, flags, fields, way, frozenset({errno.EEXIST, errno.ENOENT}))
