from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from tulle.ipam.holdings import Holdings

ONE, TWO = IPv4Interface("10.0.0.1/24"), IPv4Interface("10.1.0.1/16")


def test_a_holder_may_have_addresses_in_several_subnets() -> None:
    holdings = Holdings()
    holdings.add("a", TWO)
    holdings.add("a", ONE)
    assert holdings.of("a") == [TWO, ONE]
    assert holdings.of("a", IPv4Network("10.0.0.0/24")) == [ONE]
    assert holdings.of("b") == []
    assert holdings.idents() == ["a"]
    assert set(holdings) == {int(ONE), int(TWO)}


def test_an_address_has_one_holder() -> None:
    holdings = Holdings()
    holdings.add("a", ONE)
    holdings.add("a", IPv4Interface("10.0.0.1/16"))
    with pytest.raises(ValueError, match="held by a"):
        holdings.add("b", ONE)
    assert holdings.holder(int(ONE)) == "a"
    assert len(holdings) == 1


def test_dropping_one_or_all() -> None:
    holdings = Holdings()
    holdings.add("a", ONE)
    holdings.add("a", TWO)
    assert holdings.drop("a", IPv4Address("10.9.9.9")) == []
    assert holdings.drop("a", ONE.ip) == [ONE]
    assert holdings.drop("a", None) == [TWO]
    assert holdings.drop("a", None) == []
    assert holdings.idents() == []
    assert holdings.holder(int(ONE)) is None
