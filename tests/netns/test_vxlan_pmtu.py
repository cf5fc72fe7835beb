"""Underlays that are narrower than the overlay believes: containers learn it, nothing is fragmented."""

import re

from lab import Container, Lab
from lab.wait import wait_until
from netns.vxlan_lab import Node, Postman, connect, full_mesh, make_nodes
from tulle.host.bpf.layout import Counter

NARROW = 1300
OVERHEAD = 50
"""Outer IP, UDP, VXLAN and inner Ethernet headers."""


def learned_mtu(container: Container, number: int, prefix: str = "10.1.0.") -> int | None:
    """The path MTU that the container's kernel remembers for a destination."""
    shown = container.run("ip", "route", "get", f"{prefix}{number}").stdout
    found = re.search(r" mtu (\d+)", shown)
    return int(found[1]) if found else None


def insist(container: Container, number: int, size: int, prefix: str = "10.1.0.") -> None:
    """Send packets of that size which may not be fragmented, until the sender has learned better."""
    wait_until(
        lambda: (
            container.pings(f"{prefix}{number}", size=size - 48, whole=True)
            or learned_mtu(container, number, prefix)
        )
    )


def speak_ipv6(containers: list[Container]) -> None:
    for number, container in enumerate(containers, 1):
        container.run("sysctl", "-qw", "net.ipv6.conf.tulle0.disable_ipv6=0")
        container.ip(f"address add fd00::{number}/64 dev tulle0 nodad")


def route_between(lab: Lab, one: Node, other: Node, mtu: int) -> None:
    """Put a router that lets only small packets through between two hosts, who keep their addresses."""
    router = lab.router("narrow", 200, "10.99.9.1/24")
    for which in ("all", "outside"):  # either of them is enough to send some
        router.run("sysctl", "-q", "-w", f"net.ipv4.conf.{which}.send_redirects=0")
    for node, peer in ((one, other), (other, one)):
        router.ip(f"route add {node.ip}/32 dev outside mtu lock {mtu}")
        node.host.ip(f"route add {peer.ip}/32 via 10.99.0.200")


def test_a_narrow_router_between_two_hosts(lab: Lab) -> None:
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    containers = [node.container() for node in nodes]
    assert containers[0].pings("10.1.0.2", wait=5)
    route_between(lab, nodes[0], nodes[1], NARROW)
    insist(containers[0], 2, 1376)
    assert learned_mtu(containers[0], 2) == NARROW - OVERHEAD
    assert containers[0].pings("10.1.0.2", size=NARROW - OVERHEAD - 28, whole=True, wait=5)
    assert nodes[0].path.counters()[Counter.ICMP_DELIVERED] >= 1
    assert nodes[0].path.macs()[bytes.fromhex("020000000002")] == 2


def test_a_narrow_router_behind_a_relay(lab: Lab) -> None:
    nodes = make_nodes(lab, 3)
    connect(nodes, [(1, 2), (2, 3)])
    containers = [node.container() for node in nodes]
    assert containers[0].pings("10.1.0.3", wait=5)
    route_between(lab, nodes[1], nodes[2], NARROW)
    insist(containers[0], 3, 1376)
    assert learned_mtu(containers[0], 3) == NARROW - OVERHEAD
    assert containers[0].pings("10.1.0.3", size=NARROW - OVERHEAD - 28, whole=True, wait=5)
    assert nodes[1].path.counters()[Counter.ICMP_RETURNED] >= 1
    assert nodes[0].path.macs()[bytes.fromhex("020000000003")] == 3
    assert nodes[0].path.macs()[bytes.fromhex("020000000001")] is None


def test_a_narrow_interface_of_the_relay(lab: Lab) -> None:
    nodes = make_nodes(lab, 3)
    connect(nodes, [(1, 2), (2, 3)])
    containers = [node.container() for node in nodes]
    assert containers[0].pings("10.1.0.3", wait=5)
    nodes[1].host.ip(f"route add {nodes[2].ip}/32 dev eth0 mtu lock {NARROW}")
    insist(containers[0], 3, 1376)
    assert learned_mtu(containers[0], 3) == NARROW - OVERHEAD


def test_ipv6_learns_it_too(lab: Lab) -> None:
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    containers = [node.container() for node in nodes]
    speak_ipv6(containers)
    assert containers[0].pings("fd00::2", wait=5)
    nodes[0].host.ip(f"route add {nodes[1].ip}/32 dev eth0 mtu lock 1400")
    insist(containers[0], 2, 1376, "fd00::")
    assert learned_mtu(containers[0], 2, "fd00::") == 1400 - OVERHEAD


def test_a_narrow_tunnel_behind_a_sleeve(lab: Lab) -> None:
    """The relay's answer goes back the way that the packet came, by the other carrier."""
    nodes = make_nodes(lab, 3)
    connect(nodes, [(1, 2), (2, 3)], [(1, 2)])
    containers = [node.container() for node in nodes]
    speak_ipv6(containers)
    with Postman(nodes):
        assert containers[0].pings("10.1.0.3", wait=5)
        assert containers[0].pings("fd00::3", wait=5)
        nodes[1].host.ip(f"route add {nodes[2].ip}/32 dev eth0 mtu lock 1400")
        for prefix in ("10.1.0.", "fd00::"):
            insist(containers[0], 3, 1376, prefix)
            assert learned_mtu(containers[0], 3, prefix) == 1400 - OVERHEAD
        assert containers[0].pings("10.1.0.3", size=1400 - OVERHEAD - 28, whole=True, wait=5)
    assert nodes[1].path.counters()[Counter.ICMP_RETURNED] >= 2
    assert nodes[0].path.macs()[bytes.fromhex("020000000003")] == 3
