from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath.groups.interests import four, interests, six
from tulle.datapath.groups.record import (
    Group,
    Interest,
    address_of,
    group_of,
    is_for_everybody,
    merged,
    parse_group,
    worth_saying,
)
from tulle.errors import BadMessage


@given(st.one_of(four, six))
def test_a_group_is_its_address(address: IPv4Address | IPv6Address) -> None:
    assert address_of(group_of(address)) == address
    assert parse_group(address.packed) == group_of(address)


@pytest.mark.parametrize("address", ["10.0.0.1", "255.255.255.255", "fe80::1"])
def test_other_addresses_are_no_groups(address: str) -> None:
    with pytest.raises(ValueError, match="no multicast address"):
        group_of(ip_address(address))
    with pytest.raises(BadMessage):
        parse_group(ip_address(address).packed)


@pytest.mark.parametrize(
    "address", ["224.0.0.1", "224.0.0.251", "ff02::1", "ff02::fb", "ff02::1:ff00:1", "ff12::1", "ff01::1"]
)
def test_the_groups_of_a_link_go_to_everybody(address: str) -> None:
    group = group_of(ip_address(address))
    assert is_for_everybody(group)
    assert worth_saying([group]) == frozenset()


@pytest.mark.parametrize("address", ["224.0.1.1", "239.255.255.250", "239.0.0.1", "ff05::c", "ff0e::1"])
def test_wider_groups_go_to_members(address: str) -> None:
    group = group_of(ip_address(address))
    assert not is_for_everybody(group)
    assert worth_saying([group]) == {group}


@given(interests, interests, interests)
def test_merging_minds_neither_order_nor_repetition(one: Interest, two: Interest, three: Interest) -> None:
    assert merged(one, two) == merged(two, one)
    assert merged(merged(one, two), three) == merged(one, merged(two, three))
    assert merged(one, one) == one
    assert merged(None, one) == one


def test_a_newer_version_wins_whatever_it_says() -> None:
    rich = Interest(1, frozenset({Group(b"x" * 16)}), True)
    assert merged(rich, Interest(2)) == Interest(2)
