import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface

import pytest

from lab import wait_until
from lab.container import Container
from lab.namespace import Namespace
from netns.support import MAC, Run, link, setting, shown
from tulle.errors import UserError
from tulle.host.bridge import BridgeConfig, add_port, ensure_bridge, mac_of_bridge, remove_bridge
from tulle.host.container import find_container
from tulle.host.veth import Wiring, attach

CONFIG = BridgeConfig("tulle", MAC)


def test_a_new_bridge_is_as_asked(host: Namespace, run: Run) -> None:
    made = run(ensure_bridge(CONFIG))
    seen = link(host, "tulle")
    assert (made.name, made.index, made.mac, made.adopted) == ("tulle", seen["ifindex"], MAC, False)
    assert seen["address"] == MAC
    assert seen["mtu"] == 1376
    assert "UP" in seen["flags"]
    options = seen["linkinfo"]["info_data"]
    assert options["stp_state"] == 0
    assert options["mcast_snooping"] == 1
    assert options["mcast_querier"] == 1


def test_making_it_again_adopts_and_corrects(host: Namespace, run: Run) -> None:
    first = run(ensure_bridge(CONFIG))
    host.ip("link set tulle down mtu 1500", "addr flush dev tulle", "rule del pref 6783")
    host.run("ip", "link", "set", "tulle", "type", "bridge", "mcast_snooping", "0", "mcast_querier", "0")
    again = run(ensure_bridge(CONFIG))
    assert again.adopted
    assert again.index == first.index
    seen = link(host, "tulle")
    assert seen["mtu"] == 1376
    assert "UP" in seen["flags"]
    assert seen["linkinfo"]["info_data"]["mcast_querier"] == 1
    assert resolver_state(host) == (["169.254.53.53"], ["169.254.53.53"], 1)


def test_the_bridge_of_an_earlier_life_tells_its_address(host: Namespace, run: Run) -> None:
    assert run(mac_of_bridge("tulle")) is None
    host.ip("link add tulle type veth peer name other")
    assert run(mac_of_bridge("tulle")) is None
    host.ip("link del tulle")
    run(ensure_bridge(CONFIG))
    assert run(mac_of_bridge("tulle")) == MAC


def resolver_state(host: Namespace) -> tuple[list[str], list[str], int]:
    """Resolver addresses on the bridge, sources with a rule, routes in the resolver's table."""
    addresses = [
        info["local"]
        for seen in shown(host, "-4", "addr", "show", "tulle")
        for info in seen["addr_info"]
        if info["scope"] == "link"
    ]
    to_table = [rule for rule in shown(host, "rule") if rule.get("table") == "6783"]
    rules = [rule["src"] for rule in to_table if "fwmark" not in rule]
    return addresses, rules, len(shown(host, "route", "show", "table", "6783"))


def test_the_resolver_address_moves_and_goes(host: Namespace, run: Run) -> None:
    run(ensure_bridge(CONFIG))
    run(ensure_bridge(BridgeConfig("tulle", MAC, resolver=IPv4Address("169.254.1.1"))))
    assert resolver_state(host) == (["169.254.1.1"], ["169.254.1.1"], 1)
    run(ensure_bridge(BridgeConfig("tulle", MAC, resolver=None)))
    assert resolver_state(host)[:2] == ([], [])


def test_believes_no_advertisement_and_answers_for_itself_alone(host: Namespace, run: Run) -> None:
    run(ensure_bridge(CONFIG))
    assert setting(host, "ipv6/conf/tulle/accept_ra") == "0"
    assert setting(host, "ipv6/conf/tulle/autoconf") == "0"
    assert setting(host, "ipv4/conf/tulle/arp_ignore") == "1"


def test_it_can_ask_for_ipv6_listeners_on_a_host_that_does_without_ipv6(host: Namespace, run: Run) -> None:
    host.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.addr_gen_mode=1")
    run(ensure_bridge(CONFIG))
    addresses = [info["local"] for info in shown(host, "-6", "addr", "show", "tulle")[0]["addr_info"]]
    assert [address for address in addresses if address.startswith("fe80:")]


def test_another_kind_of_interface_of_that_name_is_refused(host: Namespace, run: Run) -> None:
    host.ip("link add tulle type veth peer name other")
    with pytest.raises(UserError, match="not a bridge; remove or rename it") as refused:
        run(ensure_bridge(CONFIG))
    assert refused.value.status == 409
    assert link(host, "tulle")["linkinfo"]["info_kind"] == "veth"


def test_removal_leaves_nothing_and_may_be_repeated(host: Namespace, run: Run) -> None:
    run(ensure_bridge(CONFIG))
    run(remove_bridge("tulle"))
    run(remove_bridge("tulle"))
    assert [seen["ifname"] for seen in shown(host, "link")] == ["lo"]
    assert [rule for rule in shown(host, "rule") if rule.get("table") == "6783"] == []


def test_ports_join_once_and_carriers_get_all_multicast(host: Namespace, run: Run) -> None:
    run(ensure_bridge(CONFIG))
    host.ip("link add p1 type veth peer name x1", "link add p2 type veth peer name x2")
    for _ in range(2):
        run(add_port("tulle", "p1"))
        run(add_port("tulle", "p2", carrier=True))
    routers = {}
    for name in ("p1", "p2"):
        seen = link(host, name)
        assert seen["master"] == "tulle"
        assert "UP" in seen["flags"]
        routers[name] = seen["linkinfo"]["info_slave_data"]["multicast_router"]
    assert routers == {"p1": 1, "p2": 2}


def test_a_missing_port_or_bridge_is_said(host: Namespace, run: Run) -> None:
    with pytest.raises(UserError, match="there is no bridge tulle"):
        run(add_port("tulle", "p1"))
    run(ensure_bridge(CONFIG))
    with pytest.raises(UserError, match="there is no interface p1"):
        run(add_port("tulle", "p1"))


def test_multicast_goes_to_members_only(
    run: Run, wiring: Wiring, make_container: Callable[[], Container]
) -> None:
    """As soon as the bridge counts itself as a querier, about a second after it was made."""
    sender, member, other = (make_container() for _ in range(3))
    for number, space in enumerate((sender, member, other), 1):
        target = run(find_container(space.reference))
        run(attach(target, [IPv4Interface(f"10.32.0.{number}/12")], wiring))
    with (
        member.join("239.1.2.3", 5000) as hears,
        other.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0x0008) as overhears,
        sender.socket() as sending,
    ):

        def reaches_members_only() -> bool:
            sending.sendto(b"hello", ("239.1.2.3", 5000))
            assert hears.recv(100) == b"hello"
            overhears.settimeout(0.1)
            try:
                while b"hello" not in overhears.recv(2000):
                    pass
            except TimeoutError:
                return True
            return False

        wait_until(reaches_members_only)
