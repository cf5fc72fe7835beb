"""Which multicast groups a peer wants: the value that all peers keep alike.

A group is its IP address in sixteen bytes, IPv4 mapped into IPv6, as the kernel's tables have it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import NewType

from tulle.errors import BadMessage

Group = NewType("Group", bytes)

MAX_GROUPS = 1000
"""Groups that one peer names. One that has more asks for everything instead, so that nothing is lost."""

MAX_VERSION = (1 << 62) - 1

_MAPPED = bytes(10) + b"\xff\xff"
_LINK_LOCAL_SCOPE = 2


@dataclass(frozen=True, slots=True)
class Interest:
    """What one peer wants to receive. Only that peer makes new versions of it."""

    version: int
    groups: frozenset[Group] = frozenset()
    everything: bool = False
    """All groups, also those that are not named."""


def merged(one: Interest | None, other: Interest) -> Interest:
    """The newer of two. Which of two different ones of the same version does not matter, as long as everybody
    takes the same."""
    return other if one is None or _rank(other) > _rank(one) else one


def group_of(address: IPv4Address | IPv6Address) -> Group:
    """The group with this address. ValueError if it is no multicast address."""
    if not address.is_multicast:
        raise ValueError(f"{address} is no multicast address")
    return Group(_MAPPED + address.packed if address.version == 4 else address.packed)


def parse_group(packed: bytes) -> Group:
    """The group in four or sixteen bytes. Raises BadMessage if that is no multicast address."""
    try:
        return group_of(IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed))
    except ValueError as error:
        raise BadMessage(f"not a multicast group: {error}") from error


def address_of(group: Group) -> IPv4Address | IPv6Address:
    """The address as people write it."""
    return IPv4Address(group[12:]) if is_ipv4(group) else IPv6Address(group)


def is_ipv4(group: Group) -> bool:
    return group.startswith(_MAPPED)


def is_for_everybody(group: Group) -> bool:
    """Whether its frames go to every host, whoever has joined: the groups of one link (RFC 4541, 2.1.2; RFC
    4291, 2.7), by which hosts find their neighbours. Some of their members never say that they are."""
    if is_ipv4(group):
        return group[12:15] == b"\xe0\x00\x00"
    return group[1] & 0xF <= _LINK_LOCAL_SCOPE


def worth_saying(groups: Iterable[Group]) -> frozenset[Group]:
    """Those of the groups that do not go to everybody anyway."""
    return frozenset(group for group in groups if not is_for_everybody(group))


def _rank(interest: Interest) -> tuple[int, bool, list[Group]]:
    return interest.version, interest.everything, sorted(interest.groups)
