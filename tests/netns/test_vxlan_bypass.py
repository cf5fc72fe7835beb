"""Frames between containers and other hosts go past the bridge; the others do not."""

import contextlib
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lab import Container, Host, Lab
from lab.wait import wait_until
from netns.living import Living
from netns.vxlan_lab import BRIDGE, MTU, PORT, Node, Postman, connect, full_mesh, make_nodes, transfer
from tulle.host.bpf.filters import Direction, attached
from tulle.host.bpf.layout import Counter

AMOUNT = 20_000_000


def watch(host: Host) -> Callable[[], int]:
    """Counts the bytes of TCP that the bridge of a host passes from port to port."""
    host.run("nft", "add table bridge watch")
    host.run("nft", "add chain bridge watch seen { type filter hook forward priority 0; }")
    host.run("nft", "add rule bridge watch seen ip protocol tcp counter")

    def seen() -> int:
        listed = host.run("nft", "list chain bridge watch seen").stdout
        found = re.search(r"bytes (\d+)", listed)
        assert found is not None
        return int(found[1])

    return seen


@contextmanager
def living(node: Node, *, bypass: bool = True) -> Iterator[None]:
    """A host with the data path of a daemon."""
    one = Living(node, bypass=bypass)
    try:
        yield
    finally:
        one.end()


def program(node: Node, port: str) -> int | None:
    """The id of the program on a port."""
    return node.host.inside(lambda: attached(socket.if_nametoindex(port), Direction.INGRESS))


def make_port(host: Host, name: str, bridge: str = BRIDGE) -> None:
    host.ip(f"link add {name} type veth peer name i{name[2:]}", f"link set {name} master {bridge} up")


def test_what_goes_to_other_hosts_is_hardly_seen_by_the_bridge(lab: Lab) -> None:
    """One frame in a moment is, of each direction, so that the bridge goes on to know who is where."""
    nodes, (one, other) = two_hosts(lab)
    counts = [watch(node.host) for node in nodes]
    assert transfer(one, other, "10.1.0.2", AMOUNT) == AMOUNT
    assert all(count() < AMOUNT / 20 for count in counts)
    assert nodes[0].path.traffic(nodes[1].id).tx_bytes > AMOUNT
    assert nodes[1].path.traffic(nodes[0].id).rx_bytes > AMOUNT
    drops = [counter for counter in Counter if counter.name.startswith("DROP")]
    assert not any(node.path.counters()[drop] for node in nodes for drop in drops)


def test_what_stays_on_the_host_is(lab: Lab) -> None:
    nodes, (one, _) = two_hosts(lab)
    neighbour = nodes[0].container(9)
    assert one.pings("10.1.0.9")
    count = watch(nodes[0].host)
    assert transfer(one, neighbour, "10.1.0.9", AMOUNT) == AMOUNT
    assert count() > AMOUNT


def test_without_it_the_bridge_sees_all_and_the_next_daemon_may_think_otherwise(lab: Lab) -> None:
    nodes, (one, other) = two_hosts(lab)
    count = watch(nodes[0].host)

    def bytes_seen() -> int:
        before = count()
        assert one.pings("10.1.0.2")
        assert transfer(one, other, "10.1.0.2", AMOUNT) == AMOUNT
        assert transfer(other, one, "10.1.0.1", AMOUNT) == AMOUNT
        return count() - before

    with living(nodes[0], bypass=False):
        assert bytes_seen() > 2 * AMOUNT
    with living(nodes[0]):
        assert bytes_seen() < AMOUNT / 10


def test_ports_without_it_talk_with_ports_that_have_it(lab: Lab) -> None:
    """Over a relay, one half of whose way is a sleeve; small and full-size."""
    nodes = make_nodes(lab, 3)
    connect(nodes, [(1, 2), (2, 3)], sleeves=[(2, 3)])
    one, other = nodes[0].container(bypass=False), nodes[2].container()
    with Postman(nodes):
        assert one.pings("10.1.0.3", size=MTU - 28, whole=True)
        assert transfer(one, other, "10.1.0.3", AMOUNT // 10) == AMOUNT // 10
        assert transfer(other, one, "10.1.0.1", AMOUNT // 10) == AMOUNT // 10


def test_a_container_that_comes_back_elsewhere_is_found(lab: Lab) -> None:
    """With its hardware address: on another host, then on the same one behind another port."""
    nodes = make_nodes(lab, 3)
    full_mesh(nodes)
    one, gone = nodes[0].container(), nodes[1].container()
    assert transfer(one, gone, "10.1.0.2", AMOUNT) == AMOUNT
    nodes[1].host.ip("link delete tl000000000002")
    again = nodes[2].host.container("again")
    for port in ("tl00000000000a", "tl00000000000b"):
        _join(nodes[2], port, again.name)
        again.ip("link set tulle0 address 02:00:00:00:00:02", "address add 10.1.0.2/24 dev tulle0")
        again.ip("link set tulle0 up")
        wait_until(lambda: again.pings("10.1.0.1", wait=1))
        assert transfer(one, again, "10.1.0.2", AMOUNT) == AMOUNT
        nodes[2].host.ip(f"link delete {port}")


def test_a_move_makes_void_what_processors_remember(lab: Lab) -> None:
    nodes, (one, other) = two_hosts(lab)
    before = moves(nodes[0])
    assert before == moves(nodes[0])
    wait_until(lambda: one.pings("10.1.0.2", wait=1) and quiet(nodes[0]))
    speak_as(other, "02:00:00:00:00:77", "02:00:00:00:00:01")
    wait_until(lambda: bytes.fromhex("020000000077") in nodes[0].path.macs())
    before = moves(nodes[0])
    nodes[1].host.ip("link set tl000000000002 down")

    def spoken_here() -> bool:
        speak_as(one, "02:00:00:00:00:77", "02:00:00:00:00:02")
        return nodes[0].path.macs()[bytes.fromhex("020000000077")] is None

    wait_until(spoken_here)
    assert moves(nodes[0]) > before


@pytest.mark.parametrize(
    "cut",
    ["ip link set {} nomaster", "bridge link set dev {} state 0", "ip link set {} down"],
    ids=["off the bridge", "blocked", "down"],
)
def test_whoever_closes_a_port_closes_it_both_ways(lab: Lab, cut: str) -> None:
    nodes, (one, other) = two_hosts(lab)
    with one.socket(socket.AF_INET, socket.SOCK_DGRAM) as inside:
        inside.bind(("", 5555))
        inside.settimeout(1)
        with other.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:

            def gets_in() -> bool:
                outside.sendto(b"knock", ("10.1.0.1", 5555))
                with contextlib.suppress(TimeoutError):
                    return bool(inside.recv(10))
                return False

            wait_until(gets_in)
            nodes[0].host.run(*cut.format("tl000000000001").split())
            wait_until(lambda: not one.pings("10.1.0.2", wait=1))
            other.ip("neighbour replace 10.1.0.1 lladdr 02:00:00:00:00:01 dev tulle0 nud permanent")
            wait_until(lambda: not gets_in())


def test_the_bridge_goes_on_to_know_who_is_where(lab: Lab) -> None:
    nodes, (one, _) = two_hosts(lab)
    nodes[0].host.run("ip", "link", "set", BRIDGE, "type", "bridge", "ageing_time", "200")
    one.ip("neighbour replace 10.1.0.2 lladdr 02:00:00:00:00:02 dev tulle0 nud permanent")
    one.run("ping", "-n", "-q", "-i", "0.05", "-c", "60", "10.1.0.2")
    known = nodes[0].host.run("bridge", "fdb", "show", "br", BRIDGE).stdout
    assert "02:00:00:00:00:01 dev tl000000000001" in known
    assert f"02:00:00:00:00:02 dev {BRIDGE}-vx" in known


@pytest.mark.parametrize("stolen", ["bridge", "neighbour"])
def test_a_name_on_another_host_takes_no_local_frames(lab: Lab, stolen: str) -> None:
    """Of the bridge itself, and of a container that has spoken only here."""
    nodes, (one, other) = two_hosts(lab)
    near = nodes[0].container(9)
    nodes[0].host.ip(f"address add 10.1.0.100/24 dev {BRIDGE}")
    address, mac = {
        "bridge": ("10.1.0.100", "02:00:00:00:01:01"),
        "neighbour": ("10.1.0.9", "02:00:00:00:00:09"),
    }[stolen]
    assert one.pings(address)
    claimed = bytes.fromhex(mac.replace(":", ""))

    def claims() -> bool:
        speak_as(other, mac, "02:00:00:00:00:01")
        return nodes[0].path.macs().get(claimed) is not None

    wait_until(claims)
    near.pings("10.1.0.1", wait=1)
    assert one.pings(address)


def two_hosts(lab: Lab) -> tuple[list[Node], list[Container]]:
    """Two hosts, on each a container, which have spoken with each other, and may do so past their bridges."""
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    containers = [node.container() for node in nodes]
    assert containers[0].pings("10.1.0.2")
    wait_until(lambda: containers[1].pings("10.1.0.1") and all(map(may_bypass, nodes)))
    return nodes, containers


def may_bypass(node: Node) -> bool:
    """Whether frames for the host's container go there past the bridge."""
    mac = bytes.fromhex(f"0200000000{node.number:02x}")
    place = node.path._maps.macs.get(mac)
    return place is not None and bool(place.bypass)


def moves(node: Node) -> int:
    """What grows when an address has moved."""
    config = node.path._maps.config.get(0)
    assert config is not None
    return config.moves


def quiet(node: Node) -> bool:
    """Whether nothing has moved just now."""
    before = moves(node)
    time.sleep(0.2)
    return moves(node) == before


def speak_as(container: Container, source: str, destination: str) -> None:
    """Send a frame under a hardware address of one's choice."""
    ends = bytes.fromhex((destination + source).replace(":", ""))

    def send() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
            wire.bind(("tulle0", 0))
            wire.send(ends + struct.pack(">H", 0x88B6) + bytes(46))

    container.inside(send)


def _join(node: Node, port: str, namespace: str) -> None:
    node.host.ip(
        f"link add {port} type veth peer name tulle0 netns {namespace}",
        f"link set {port} master {BRIDGE} up",
    )
    node.host.inside(lambda: node.path.bypass.put([socket.if_nametoindex(port)]))


def test_a_mark_of_the_tunnel_s_packets_does_not_get_into_a_container(lab: Lab) -> None:
    nodes, (one, other) = two_hosts(lab)
    host = nodes[1].host
    host.run("nft", "add table ip marking")
    host.run("nft", "add chain ip marking first { type filter hook prerouting priority -150; }")
    host.run("nft", f"add rule ip marking first udp dport {PORT} meta mark set 7")
    other.run("nft", "add table ip marked")
    other.run("nft", "add chain ip marked first { type filter hook prerouting priority 0; }")
    other.run("nft", "add rule ip marked first meta mark 7 drop")
    assert transfer(one, other, "10.1.0.2", AMOUNT) == AMOUNT


@pytest.mark.parametrize("prefix", ["tl", "te"])
def test_new_ports_get_the_program(lab: Lab, prefix: str) -> None:
    (node,) = make_nodes(lab, 1)
    with living(node):
        node.host.ip("link add elsewhere type bridge")
        make_port(node.host, "byhand")
        make_port(node.host, f"{prefix}00000000000e", bridge="elsewhere")
        make_port(node.host, f"{prefix}00000000000f")
        wait_until(lambda: program(node, f"{prefix}00000000000f"))
        assert program(node, "byhand") is None
        assert program(node, f"{prefix}00000000000e") is None


def test_ports_that_are_there_get_that_of_the_new_daemon(lab: Lab) -> None:
    (node,) = make_nodes(lab, 1)
    node.container()
    make_port(node.host, "tl00000000000f")
    before = program(node, "tl000000000001")
    with living(node):
        now = program(node, "tl000000000001")
        assert now is not None
        assert now != before
        assert program(node, "tl00000000000f") is not None
