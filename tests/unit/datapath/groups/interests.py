"""Groups and interests to test with, arbitrary and by name."""

from ipaddress import IPv4Address, IPv6Address, ip_address

from hypothesis import strategies as st

from tulle.datapath.groups.record import Group, Interest, group_of

four = st.integers(0xE0000000, 0xEFFFFFFF).map(IPv4Address)
six = st.integers(0xFF << 120, (1 << 128) - 1).map(IPv6Address)
groups = st.one_of(four, six).map(group_of)
interests = st.builds(Interest, st.integers(0, 3), st.frozensets(groups, max_size=3), st.booleans())


def group(address: str) -> Group:
    return group_of(ip_address(address))


def named(*addresses: str) -> frozenset[Group]:
    return frozenset(map(group, addresses))
