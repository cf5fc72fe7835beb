from ipaddress import IPv4Network

import pytest

from tulle.host.netcheck import Route, find_overlap

RANGE = IPv4Network("10.32.0.0/12")


def route(network: str) -> Route:
    return Route(IPv4Network(network), "eth1")


@pytest.mark.parametrize("network", ["10.0.0.0/8", "10.32.0.0/12", "10.40.7.0/24", "10.47.255.255/32"])
def test_an_overlapping_route_is_named_with_its_device(network: str) -> None:
    problem = find_overlap(RANGE, [route("192.168.0.0/16"), route(network)], [])
    assert problem
    assert "10.32.0.0/12" in problem
    assert network in problem
    assert "eth1" in problem


@pytest.mark.parametrize("network", ["0.0.0.0/0", "10.48.0.0/12", "10.31.255.0/24", "192.168.0.0/16"])
def test_other_routes_are_no_problem(network: str) -> None:
    assert find_overlap(RANGE, [route(network)], []) is None


def test_a_name_server_inside_is_a_problem() -> None:
    problem = find_overlap(RANGE, [], ["fe80::1%eth0", "8.8.8.8", "10.33.0.1"])
    assert problem
    assert "10.33.0.1" in problem
    assert find_overlap(RANGE, [], ["fe80::1%eth0", "8.8.8.8"]) is None


@pytest.mark.parametrize("word", ["localhost", "10.33", ""])
def test_what_is_no_address_of_a_server_is_passed_over(word: str) -> None:
    """As the C library does with such a line."""
    assert find_overlap(RANGE, [], [word]) is None
