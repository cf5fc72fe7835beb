"""Exchanges with the kernel: batches, refusals, dumps."""

import errno
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from lab.namespace import Namespace
from netns.support import shown
from tulle.host import netlink
from tulle.host.netlink import KernelRefused, Request, Rtnl

LOOPBACK = 1
ONE, TWO = IPv4Interface("10.0.0.1/24"), IPv4Interface("10.0.1.1/32")


def exchange(host: Namespace, *requests: Request) -> None:
    def work() -> None:
        with Rtnl() as rtnl:
            rtnl.send(requests)

    host.inside(work)


def addresses(host: Namespace) -> list[IPv4Interface]:
    def work() -> list[IPv4Interface]:
        with Rtnl() as rtnl:
            return [netlink.address_of(one) for one in rtnl.dump(netlink.list_addresses(LOOPBACK))]

    return host.inside(work)


def test_many_requests_in_one_go(host: Namespace) -> None:
    exchange(host, netlink.add_address(LOOPBACK, ONE), netlink.add_address(LOOPBACK, TWO))
    assert addresses(host)[1:] == [ONE, TWO]
    exchange(host)
    exchange(host, netlink.delete_address(LOOPBACK, ONE))
    assert addresses(host)[1:] == [TWO]


def test_what_is_tolerated_is_no_error(host: Namespace) -> None:
    for _ in range(2):
        exchange(host, netlink.add_address(LOOPBACK, ONE))
    for _ in range(2):
        exchange(host, netlink.delete_address(LOOPBACK, ONE))
        exchange(host, netlink.delete_named_link("nothing"), netlink.delete_link(999))


def test_a_refusal_is_raised_and_the_rest_is_done(host: Namespace) -> None:
    refused = Request(netlink.NEWLINK, 0, {"index": 999}, ())
    with pytest.raises(KernelRefused) as refusal:
        exchange(host, netlink.add_address(LOOPBACK, ONE), refused, netlink.add_address(LOOPBACK, TWO))
    assert refusal.value.errno == errno.ENODEV
    assert refusal.value.request is refused
    assert addresses(host)[1:] == [ONE, TWO]


def test_the_kernels_own_words_are_passed_on(host: Namespace) -> None:
    nonsense = {"attrs": [("IFLA_INFO_KIND", "nonsense")]}
    with pytest.raises(KernelRefused, match="Unknown device type"):
        exchange(host, netlink.new_link([("IFLA_IFNAME", "x"), ("IFLA_LINKINFO", nonsense)]))


def test_links_are_found_by_name(host: Namespace) -> None:
    def work() -> None:
        with Rtnl() as rtnl:
            found = rtnl.get(netlink.get_link("lo"))
            assert found["index"] == LOOPBACK
            assert netlink.is_up(found)
            assert rtnl.get(netlink.get_link("nothing")) is None

    host.inside(work)


def test_routes_replace_or_yield(host: Namespace) -> None:
    network = IPv4Network("10.9.0.0/16")
    host.ip("link add one type veth peer name two", "link set one up", "link set two up")
    index = {seen["ifname"]: seen["ifindex"] for seen in shown(host, "link")}

    def route() -> str:
        return str(next(seen["dev"] for seen in shown(host, "route") if seen["dst"] == str(network)))

    exchange(host, netlink.on_link_route(index["one"], network))
    exchange(host, netlink.on_link_route(index["two"], network, yielding=True))
    assert route() == "one"
    exchange(host, netlink.on_link_route(index["two"], network))
    assert route() == "two"


def test_neighbours_are_fixed(host: Namespace) -> None:
    host.ip("link add one type veth peer name two", "link set one up")
    index = next(seen["ifindex"] for seen in shown(host, "link") if seen["ifname"] == "one")
    for mac in ("02:00:00:00:00:01", "02:00:00:00:00:02"):
        exchange(host, netlink.permanent_neighbour(index, IPv4Address("10.0.0.9"), mac))
    (seen,) = shown(host, "neigh")
    assert (seen["lladdr"], seen["state"]) == ("02:00:00:00:00:02", ["PERMANENT"])


def test_long_lists_arrive_whole(host: Namespace) -> None:
    many = [IPv4Interface((IPv4Address("10.1.0.1") + number, 32)) for number in range(600)]
    exchange(host, *(netlink.add_address(LOOPBACK, address) for address in many))
    assert addresses(host)[1:] == many
