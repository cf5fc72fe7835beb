"""The check of the range against a host's real routes."""

from ipaddress import IPv4Network

import pytest

from lab.namespace import Namespace
from netns.support import Run
from tulle.errors import UserError
from tulle.host.bridge import Bridge
from tulle.host.netcheck import check_range

RANGE = IPv4Network("10.32.0.0/12")


@pytest.fixture
def wired(host: Namespace) -> Namespace:
    """A host with an ordinary network and a default route."""
    host.ip("link add wire type veth peer name far", "link set wire up", "link set far up")
    host.ip("addr add 192.168.7.1/24 dev wire", "route add default via 192.168.7.2")
    return host


def test_an_ordinary_host_passes(wired: Namespace, run: Run) -> None:
    run(check_range(RANGE, "tulle", ["192.168.7.2"]))


@pytest.mark.parametrize(
    "command",
    [
        "route add 10.0.0.0/8 via 192.168.7.2",
        "route add 10.33.0.0/16 nexthop via 192.168.7.2 nexthop via 192.168.7.3",
        "route add 10.33.0.0/16 dev wire table 100",
        "addr add 10.40.0.1/32 dev wire",
    ],
)
def test_an_overlap_is_refused_with_the_route_and_what_to_do(
    wired: Namespace, run: Run, command: str
) -> None:
    wired.ip(command)
    with pytest.raises(UserError, match=r"overlaps 10\..* through wire; .* --ipalloc-range") as refused:
        run(check_range(RANGE, "tulle"))
    assert refused.value.status == 409


def test_a_name_server_inside_is_refused(wired: Namespace, run: Run) -> None:
    with pytest.raises(UserError, match=r"10\.33\.0\.1, a name server"):
        run(check_range(RANGE, "tulle", ["10.33.0.1"]))


def test_our_own_bridge_is_no_overlap(host: Namespace, run: Run, bridge: Bridge) -> None:
    host.ip("addr add 10.32.0.9/12 dev tulle")
    run(check_range(RANGE, "tulle"))
