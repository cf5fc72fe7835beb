"""IPv6 packets that are too big for the underlay: the sender is told, over relays too."""

import re

from lab import Container, Lab, wait_until
from netns.vxlan_lab import Node, connect, make_nodes
from tulle.host.bpf.layout import Counter

NARROW = 1350
OVERHEAD = 50
HEADERS = 48
"""Of IPv6 and an echo request."""


def container(node: Node) -> Container:
    """With the address fd00:1::<number of its host>."""
    made = node.container()
    made.run("sysctl", "-qw", "net.ipv6.conf.tulle0.disable_ipv6=0")
    made.ip(f"address add fd00:1::{node.number}/64 dev tulle0 nodad")
    return made


def learned_mtu(box: Container, address: str) -> int | None:
    found = re.search(r" mtu (\d+)", box.run("ip", "route", "get", address).stdout)
    return int(found[1]) if found else None


def test_a_relay_with_a_narrow_interface_says_so(lab: Lab) -> None:
    nodes = make_nodes(lab, 3)
    connect(nodes, [(1, 2), (2, 3)])
    first, *_ = (container(node) for node in nodes)
    wait_until(lambda: first.pings("fd00:1::3"))
    assert first.pings("fd00:1::3", size=1376 - HEADERS, whole=True)
    nodes[1].host.ip(f"route add {nodes[2].ip}/32 dev eth0 mtu lock {NARROW}")
    wait_until(
        lambda: first.pings("fd00:1::3", size=1376 - HEADERS, whole=True) or learned_mtu(first, "fd00:1::3")
    )
    assert learned_mtu(first, "fd00:1::3") == NARROW - OVERHEAD
    assert nodes[1].path.counters()[Counter.ICMP_RETURNED] >= 1
    assert first.pings("fd00:1::3", size=NARROW - OVERHEAD - HEADERS, whole=True, wait=5)
    assert first.pings("fd00:1::3", size=4000, wait=5)


def test_a_narrow_interface_of_one_s_own_host_says_so(lab: Lab) -> None:
    nodes = make_nodes(lab, 2)
    connect(nodes, [(1, 2)])
    first, _ = (container(node) for node in nodes)
    wait_until(lambda: first.pings("fd00:1::2"))
    nodes[0].host.ip(f"route add {nodes[1].ip}/32 dev eth0 mtu lock {NARROW}")
    wait_until(
        lambda: first.pings("fd00:1::2", size=1376 - HEADERS, whole=True) or learned_mtu(first, "fd00:1::2")
    )
    assert learned_mtu(first, "fd00:1::2") == NARROW - OVERHEAD
    assert nodes[0].path.counters()[Counter.ICMP_DELIVERED] >= 1
