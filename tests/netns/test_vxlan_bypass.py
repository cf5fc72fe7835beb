"""Frames between containers and other hosts go past the bridge; the others do not."""

import asyncio
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lab import Host, Lab
from lab.wait import wait_until
from netns.vxlan_lab import BRIDGE, MTU, PORT, Node, full_mesh, make_nodes, opened, transfer
from tulle.host.bpf.filters import Direction, attached
from tulle.host.bpf.layout import Counter
from tulle.host.vxlan import KernelPath

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
    """The data path of a host with an event loop, as a daemon has one."""
    node.path.close()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: node.host.inside(loop.run_forever))
    thread.start()

    async def work() -> KernelPath:
        return opened(await KernelPath.ensure(BRIDGE, PORT, MTU, bypass=bypass))

    async def close() -> None:
        node.path.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    try:
        node.path = asyncio.run_coroutine_threadsafe(work(), loop).result(60)
        yield
    finally:
        asyncio.run_coroutine_threadsafe(close(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def program(node: Node, port: str) -> int | None:
    """The id of the program on a port."""
    return node.host.inside(lambda: attached(socket.if_nametoindex(port), Direction.INGRESS))


def make_port(host: Host, name: str, bridge: str = BRIDGE) -> None:
    host.ip(f"link add {name} type veth peer name i{name[2:]}", f"link set {name} master {bridge} up")


def test_what_goes_to_other_hosts_is_not_seen_by_the_bridge(lab: Lab) -> None:
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    one, other = (node.container() for node in nodes)
    assert one.pings("10.1.0.2")
    assert other.pings("10.1.0.1")
    counts = [watch(node.host) for node in nodes]
    assert transfer(one, other, "10.1.0.2", AMOUNT) == AMOUNT
    assert [count() for count in counts] == [0, 0]
    assert nodes[0].path.traffic(nodes[1].id).tx_bytes > AMOUNT
    assert nodes[1].path.traffic(nodes[0].id).rx_bytes > AMOUNT
    drops = [counter for counter in Counter if counter.name.startswith("DROP")]
    assert not any(node.path.counters()[drop] for node in nodes for drop in drops)


def test_what_stays_on_the_host_is(lab: Lab) -> None:
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    one, neighbour = nodes[0].container(), nodes[0].container(9)
    assert one.pings("10.1.0.9")
    count = watch(nodes[0].host)
    assert transfer(one, neighbour, "10.1.0.9", AMOUNT) == AMOUNT
    assert count() > AMOUNT


def test_without_it_the_bridge_sees_all_and_the_next_daemon_may_think_otherwise(lab: Lab) -> None:
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    one, other = (node.container() for node in nodes)
    count = watch(nodes[0].host)
    with living(nodes[0], bypass=False):
        assert one.pings("10.1.0.2")
        assert transfer(one, other, "10.1.0.2", AMOUNT) == AMOUNT
        assert count() > AMOUNT
    seen = count()
    with living(nodes[0]):
        assert one.pings("10.1.0.2")
        assert transfer(one, other, "10.1.0.2", AMOUNT) == AMOUNT
        assert count() == seen


def test_a_container_that_comes_back_elsewhere_is_found(lab: Lab) -> None:
    """With its hardware address: on another host, then on the same one behind another port."""
    nodes = make_nodes(lab, 3)
    full_mesh(nodes)
    one, gone = nodes[0].container(), nodes[1].container()
    assert transfer(one, gone, "10.1.0.2", AMOUNT) == AMOUNT
    nodes[1].host.ip("link delete tl000000000002")
    again = nodes[2].host.container("again")
    _join(nodes[2], "tl00000000000a", again.name)
    again.ip("link set tulle0 address 02:00:00:00:00:02", "address add 10.1.0.2/24 dev tulle0")
    again.ip("link set tulle0 up")
    wait_until(lambda: again.pings("10.1.0.1", wait=1))
    assert transfer(one, again, "10.1.0.2", AMOUNT) == AMOUNT
    nodes[2].host.ip("link delete tl00000000000a")
    _join(nodes[2], "tl00000000000b", again.name)
    again.ip("link set tulle0 address 02:00:00:00:00:02", "address add 10.1.0.2/24 dev tulle0")
    again.ip("link set tulle0 up")
    wait_until(lambda: again.pings("10.1.0.1", wait=1))
    assert transfer(one, again, "10.1.0.2", AMOUNT) == AMOUNT


def _join(node: Node, port: str, namespace: str) -> None:
    node.host.ip(
        f"link add {port} type veth peer name tulle0 netns {namespace}",
        f"link set {port} master {BRIDGE} up",
    )
    node.host.inside(lambda: node.path.bypass.put([socket.if_nametoindex(port)]))


def test_a_mark_of_the_tunnel_s_packets_does_not_get_into_a_container(lab: Lab) -> None:
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    one, other = (node.container() for node in nodes)
    host = nodes[1].host
    host.run("nft", "add table ip marking")
    host.run("nft", "add chain ip marking first { type filter hook prerouting priority -150; }")
    host.run("nft", f"add rule ip marking first udp dport {PORT} meta mark set 7")
    other.run("nft", "add table ip marked")
    other.run("nft", "add chain ip marked first { type filter hook prerouting priority 0; }")
    other.run("nft", "add rule ip marked first meta mark 7 drop")
    assert one.pings("10.1.0.2")
    assert other.pings("10.1.0.1")
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
