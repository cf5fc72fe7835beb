"""Lanes on real kernels: busy neighbours get one, frames go by it, nothing is lost as it comes and goes."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import Lab, PingStream
from lab.wait import wait_until
from netns.living import Living
from netns.vxlan_lab import BRIDGE, MTU, PORT, Node, connect, full_mesh, make_nodes, transfer
from tulle.host import lane_device
from tulle.host.bpf.layout import Counter

AMOUNT = 50_000_000


@pytest.fixture
def live() -> Iterator[Callable[[Node], Living]]:
    """Gives hosts a daemon's event loop."""
    made: list[Living] = []

    def start(node: Node) -> Living:
        made.append(Living(node))
        return made[-1]

    yield start
    for one in made:
        one.end()


def lanes(node: Node) -> list[int]:
    return node.host.inside(lambda: [peer for peer, _ in lane_device.lanes_of(BRIDGE)])


def used(node: Node) -> bool:
    """Whether the kernel may use a lane (and not only the daemon thinks so)."""
    return any(lane.until for _, lane in node.path.lanes._programs.lanes.items())


def keep_busy(nodes: list[Node], until: Callable[[], bool]) -> None:
    """Traffic between the containers of the first and the last host until something is so."""
    one, other = nodes[0].containers[0], nodes[-1].containers[0]

    def work() -> bool:
        assert transfer(one, other, f"10.1.0.{nodes[-1].number}", AMOUNT) == AMOUNT
        return until()

    wait_until(work, 60)


def lane_packets(node: Node, direction: str) -> int:
    """Packets that a host's one lane has received (rx) or sent (tx)."""
    (peer,) = lanes(node)
    name = lane_device.device_name(BRIDGE, peer)  # type: ignore[arg-type]
    path = f"/sys/class/net/{name}/statistics/{direction}_packets"
    # A fresh mount of sysfs shows the devices of the namespace it is made in.
    shown = node.host.run("unshare", "--mount", "sh", "-c", f"mount -t sysfs s /sys && cat {path}")
    return int(shown.stdout)


def test_busy_neighbours_get_a_lane_and_use_it(lab: Lab, live: Callable[[Node], Living]) -> None:
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    for node in nodes:
        node.container()
        live(node)
    assert lanes(nodes[0]) == []
    keep_busy(nodes, lambda: all(map(used, nodes)))
    assert lanes(nodes[0]) == [2]
    before = lane_packets(nodes[1], "rx")
    keep_busy(nodes, lambda: True)
    assert lane_packets(nodes[1], "rx") - before > AMOUNT / 65536 / 2
    assert nodes[0].containers[0].pings("10.1.0.2", size=MTU - 28, whole=True)
    assert not any(
        node.path.counters()[drop]
        for node in nodes
        for drop in (Counter.DROP_LANE, Counter.DROP_LOOP, Counter.DROP_SEND)
    )


def test_no_ping_is_lost_when_a_lane_comes_breaks_and_goes(
    lab: Lab, live: Callable[[Node], Living], tmp_path: Path
) -> None:
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    for node in nodes:
        node.container()
        live(node)
    stream = PingStream(nodes[0].containers[0], "10.1.0.2", tmp_path / "ping.log")
    keep_busy(nodes, lambda: all(map(used, nodes)))
    wait_until(lambda: stream.answers > 20)
    nodes[0].path.forget_macs(nodes[0].path.macs())
    assert nodes[0].containers[0].pings("10.1.0.2")
    sent, answered = stream.stop()
    assert answered == sent


def test_without_the_other_end_s_lane_frames_go_as_ever(lab: Lab, live: Callable[[Node], Living]) -> None:
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    for node in nodes:
        node.container()
    live(nodes[0])
    keep_busy(nodes, lambda: lanes(nodes[0]) == [2])
    keep_busy(nodes, lambda: True)
    assert not used(nodes[0])


def test_a_blocked_lane_is_left(lab: Lab, live: Callable[[Node], Living]) -> None:
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    for node in nodes:
        node.container()
        live(node)
    keep_busy(nodes, lambda: all(map(used, nodes)))
    lab.switch.rules(f"ip protocol udp udp dport {PORT + 1} drop")
    wait_until(lambda: not any(map(used, nodes)))
    assert nodes[0].containers[0].pings("10.1.0.2", count=3)
    lab.switch.rules()
    wait_until(lambda: all(map(used, nodes)))


def test_a_relayed_peer_gets_none(lab: Lab, live: Callable[[Node], Living]) -> None:
    nodes = make_nodes(lab, 3)
    connect(nodes, [(1, 2), (2, 3)])
    for node in nodes:
        node.container()
        live(node)
    keep_busy(nodes, lambda: nodes[1].path.traffic(nodes[2].id).relay_bytes > 3 * AMOUNT)
    assert [lanes(node) for node in nodes] == [[], [], []]


def test_a_new_daemon_goes_on_with_the_lane(lab: Lab, live: Callable[[Node], Living]) -> None:
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    living = []
    for node in nodes:
        node.container()
        living.append(live(node))
    keep_busy(nodes, lambda: all(map(used, nodes)))
    living[0].close()
    assert nodes[0].containers[0].pings("10.1.0.2", count=3)
    assert lanes(nodes[0]) == [2]
    living[0].open()
    wait_until(lambda: used(nodes[0]))
    assert nodes[0].containers[0].pings("10.1.0.2", count=3)
    living[0].run(nodes[0].path.remove())
    assert lanes(nodes[0]) == []
    wait_until(lambda: not used(nodes[1]))


def test_a_left_over_lane_is_removed_and_a_stranger_of_that_name_is_not(lab: Lab) -> None:
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    one = nodes[0]
    one.path.close()
    one.host.inside(
        lambda: lane_device.make(BRIDGE, one.id, nodes[1].id, one.hop_to(nodes[1]), PORT + 1, MTU)
    )
    one.host.ip(f"link add {BRIDGE}-abc type vxlan id 7 dstport 7000 remote 10.99.0.2")
    assert lanes(one) == [2]
    one.reopen()
    assert lanes(one) == []
    one.host.inside(lambda: asyncio.run(one.path.remove()))
    assert f"{BRIDGE}-abc" in one.host.run("ip", "link").stdout
