"""Neighbours reached by the sleeve beside others: what the kernel gives to the daemon and takes back."""

import socket
import struct

import pytest

from lab import Lab
from lab.wait import wait_until
from netns.test_vxlan import arrivals, count, meet, pings, send_raw
from netns.vxlan_lab import Links, Node, Postman, connect, make_nodes, transfer
from tulle.datapath.echo import Echo, decode_answer
from tulle.datapath.heartbeat import encode as heartbeat
from tulle.datapath.tables import ShortId, Tables, Tree, sleeve_hop
from tulle.datapath.tapframe import ECHO_ETHERTYPE, ControlFrame, Way, decode
from tulle.host.bpf.layout import Counter

AMOUNT = 20_000_000
CHAIN = [(1, 2), (2, 3), (3, 4)]
SOL_PACKET, PACKET_AUXDATA = 263, 8
"""The kernel tells a frame's VLAN tag beside it."""


def drops(node: Node) -> dict[str, int]:
    return {
        one.name: many for one, many in node.path.counters().items() if one.name.startswith("DROP") and many
    }


@pytest.mark.parametrize(
    "sleeves",
    [[(1, 2)], [(1, 2), (2, 3)], [(2, 3)], [(1, 2), (3, 4)], CHAIN],
    ids=["first", "first-two", "middle", "ends", "all"],
)
def test_a_chain_of_both_carriers(lab: Lab, sleeves: Links) -> None:
    nodes = make_nodes(lab, 4)
    connect(nodes, CHAIN, sleeves)
    containers = [node.container() for node in nodes]
    with Postman(nodes) as postman:
        meet(containers)
        assert arrivals(nodes[1:], containers[0]) == [20, 20, 20]
        assert arrivals([nodes[0], nodes[2], nodes[3]], containers[1]) == [20, 20, 20]
        assert transfer(containers[0], containers[3], "10.1.0.4", AMOUNT) == AMOUNT
        assert postman.largest > 30_000
        assert set(postman.carried) == {pair for one, two in sleeves for pair in ((one, two), (two, one))}
    assert nodes[0].path.macs()[bytes.fromhex("020000000004")] == 4
    assert [drops(node) for node in nodes] == [{}] * 4


def inject(node: Node, via: int, dst: int, src: int, frame: bytes, hops_left: int = 64) -> None:
    """A frame that a neighbour's daemon sent, made up by the test."""
    header = struct.pack(">BBHHH4xH", 0x7A, hops_left, dst, src, via, 0x0800)
    assert node.path.tap.write(header + frame)


def frame_for(number: int, source: int = 1, ethertype: str = "88b6") -> bytes:
    return bytes.fromhex(f"0200000000{number:02x} 0200000000{source:02x} {ethertype}") + bytes(50)


def test_ipv6_passes_in_big_pieces_over_both_carriers(lab: Lab) -> None:
    nodes = make_nodes(lab, 3)
    connect(nodes, CHAIN[:2], [(1, 2)])
    containers = [node.container() for node in nodes]
    for container in containers:
        container.run("sysctl", "-qw", "net.ipv6.conf.tulle0.disable_ipv6=0")
        number = int(container.name.rpartition("c")[2])
        container.ip(f"address add fd00::{number}/64 dev tulle0 nodad")
    with Postman(nodes) as postman:
        assert containers[0].pings("fd00::3", wait=5)
        assert containers[0].pings("fd00::3", size=10_000, wait=5)
        assert transfer(containers[0], containers[2], "fd00::3", AMOUNT, socket.AF_INET6) == AMOUNT
        assert transfer(containers[2], containers[0], "fd00::1", AMOUNT, socket.AF_INET6) == AMOUNT
        assert postman.largest > 30_000


def test_odd_frames_arrive_as_they_were(lab: Lab) -> None:
    """Of a few bytes, with VLAN tags, of protocols that are not IP; and datagrams in fragments."""
    nodes = make_nodes(lab, 3)
    connect(nodes, CHAIN[:2], [(1, 2)])
    containers = [node.container() for node in nodes]
    frames = [
        bytes.fromhex("020000000003 020000000001 88b6") + b"x",
        bytes.fromhex("020000000003 020000000001 88b6")
        + b"some more bytes than the shortest frame has, " * 3,
        bytes.fromhex("020000000003 020000000001 8100 0064 88b6") + b"on a virtual network " * 3,
        bytes.fromhex("020000000003 020000000001 8100 2064 86dd 6000") + b"on another, of high priority " * 3,
    ]
    with Postman(nodes):
        meet(containers)
        assert pings(containers[0], 3, size=9000, wait=5)
        for sender, receiver, swapped in ((0, 2, False), (2, 0, True)):
            with containers[receiver].inside(
                lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            ) as hearing:
                hearing.bind(("tulle0", 3))
                hearing.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
                for frame in frames:
                    sent = frame[6:12] + frame[:6] + frame[12:] if swapped else frame
                    send_raw(containers[sender], sent)
                    assert receive_frame(hearing, sent[6:12]).startswith(sent)


def receive_frame(hearing: socket.socket, source: bytes) -> bytes:
    """The next frame of this source, with its VLAN tag."""
    hearing.settimeout(5)
    while True:
        data, notes, _, _ = hearing.recvmsg(2000, 100)
        if data[6:12] == source and data[12:14] not in (b"\x08\x06", b"\x08\x00"):
            break
    for _, kind, note in notes:
        status, _, _, _, _, tag, protocol = struct.unpack("=IIIHHHH", note)
        if kind == PACKET_AUXDATA and status & 0x10:
            return data[:12] + struct.pack(">HH", protocol, tag) + data[12:]
    return data


def test_an_unknown_destination_is_looked_for_along_the_tree(lab: Lab) -> None:
    nodes = make_nodes(lab, 3)
    connect(nodes, CHAIN[:2], [(2, 3)])
    here, silent = nodes[0].container(), nodes[2].container()
    nodes[1].container()
    here.ip("neighbour add 10.1.0.3 lladdr 02:00:00:00:00:03 dev tulle0")
    silent.ip("neighbour add 10.1.0.1 lladdr 02:00:00:00:00:01 dev tulle0")
    with Postman(nodes):
        assert pings(here, 3, wait=5)
    assert nodes[0].path.macs()[bytes.fromhex("020000000003")] == 3


# Loops


def test_trees_that_circle_let_nothing_through_twice(lab: Lab) -> None:
    """The worst that hosts which disagree could do: everybody sends everything to everybody."""
    nodes = make_nodes(lab, 3)
    links, sleeves = [(1, 2), (2, 3), (1, 3)], [(1, 2), (2, 3)]
    connect(nodes, links, sleeves)
    containers = [node.container() for node in nodes]
    with Postman(nodes):
        meet(containers)
        for node in nodes:
            everybody = tuple((other.id, node.hop_to(other, sleeves)) for other in nodes if other is not node)
            own = node.path.tables
            trees = {source: Tree(tree.parent, everybody) for source, tree in own.trees.items()}
            node.path.apply(Tables(own.self_id, own.direct, own.routes, trees))
        assert arrivals(nodes[1:], containers[0]) == [20, 20]
    assert count(nodes[1], Counter.DROP_NOT_PARENT) >= 20


def test_routes_that_circle_over_both_carriers_end_by_the_hop_limit(lab: Lab) -> None:
    nodes = make_nodes(lab, 3)
    links, sleeves = [(1, 2), (2, 3), (1, 3)], [(2, 3)]
    connect(nodes, links, sleeves)
    far = ShortId(99)
    for node, following in zip(nodes, [*nodes[1:], nodes[0]], strict=True):
        own = node.path.tables
        routes = {**own.routes, far: node.hop_to(following, sleeves)}
        node.path.apply(Tables(own.self_id, own.direct, routes, own.trees))
    with Postman(nodes):
        inject(nodes[1], 1, far, 50, frame_for(99, 50))
        wait_until(lambda: sum(count(node, Counter.DROP_HOPS) for node in nodes) == 1)
    assert sum(count(node, Counter.RELAYED) for node in nodes) == 63


def test_a_broadcast_in_a_circle_over_both_carriers_ends_by_the_hop_limit(lab: Lab) -> None:
    nodes = make_nodes(lab, 3)
    links, sleeves = [(1, 2), (2, 3), (1, 3)], [(2, 3)]
    connect(nodes, links, sleeves)
    source = ShortId(50)
    for node, before, after in ((nodes[0], 2, 1), (nodes[1], 0, 2), (nodes[2], 1, 0)):
        own = node.path.tables
        child = (nodes[after].id, node.hop_to(nodes[after], sleeves))
        circle = Tree(node.hop_to(nodes[before], sleeves).id, (child,))
        node.path.apply(Tables(own.self_id, own.direct, own.routes, {**own.trees, source: circle}))
    with Postman(nodes):
        inject(nodes[2], 2, nodes[2].id, source, bytes.fromhex("ffffffffffff 020000000050 88b6") + bytes(50))
        wait_until(lambda: sum(count(node, Counter.DROP_HOPS) for node in nodes) == 1)
    assert 63 <= sum(count(node, Counter.COPIES) for node in nodes) < 100


# What a neighbour may not do


def test_what_a_neighbour_may_not_say(lab: Lab) -> None:
    """Frames under our own id, broadcasts that are not its to send, heartbeats of a tunnel, broken frames."""
    one, two, _ = nodes = make_nodes(lab, 3)
    connect(nodes, [(1, 2), (2, 3)], [(1, 2), (2, 3)])
    two.container()
    everybody = bytes.fromhex("ffffffffffff 020000000001 88b6") + bytes(50)
    with Postman(nodes):
        inject(two, 1, two.id, two.id, frame_for(2))
        wait_until(lambda: count(two, Counter.DROP_OWN_ID) == 1)
        inject(two, 3, two.id, one.id, everybody)
        wait_until(lambda: count(two, Counter.DROP_NOT_PARENT) == 1)
        inject(two, 3, two.id, 99, everybody)
        wait_until(lambda: count(two, Counter.DROP_NO_TREE) == 1)
        inject(two, 1, 98, one.id, frame_for(98))
        wait_until(lambda: count(two, Counter.DROP_NO_ROUTE) == 1)
        inject(two, 1, two.id, one.id, bytes(12) + bytes(2) + heartbeat(1, 100))
        wait_until(lambda: count(two, Counter.DROP_CONTROL) == 1)
        before = count(two, Counter.DROP_MALFORMED)
        two.path.tap.write(struct.pack(">BBHHH4xH", 0x7A, 64, two.id, one.id, 1, 0x0800) + bytes(13))
        two.path.tap.write(struct.pack(">BBHHH4xH", 0x7A, 64, two.id, one.id, 1, 0x88B5) + frame_for(2))
        wait_until(lambda: count(two, Counter.DROP_MALFORMED) == before + 2)
        assert bytes.fromhex("020000000001") not in two.path.macs()


def test_a_source_without_a_tree_is_believed_when_it_speaks_for_itself(lab: Lab) -> None:
    _, two = nodes = make_nodes(lab, 2)
    connect(nodes, [(1, 2)], [(1, 2)])
    containers = [node.container() for node in nodes]
    own = two.path.tables
    two.path.apply(Tables(own.self_id, {}, own.routes, {two.id: own.trees[two.id]}))
    with Postman(nodes):
        assert arrivals(nodes[1:], containers[0]) == [20]


# The daemon's own frames, and its absence


def ask(one: Node, other: Node, way: Way) -> None:
    payload = Echo(7, 9, 100).encode()
    assert one.path.tap.write(ControlFrame(other.id, one.id, ECHO_ETHERTYPE, payload, way=way).encode())


@pytest.mark.parametrize("sleeves", [[(1, 2)], [(2, 3)], [(1, 2), (2, 3)]])
def test_an_echo_finds_its_way_over_sleeves(lab: Lab, sleeves: Links) -> None:
    nodes = make_nodes(lab, 3)
    connect(nodes, CHAIN[:2], sleeves)
    with Postman(nodes) as postman:
        for target in nodes[1:]:
            ask(nodes[0], target, Way.ROUTED)
        wait_until(lambda: len(postman.control[1]) == 2)
        answers = [decode(frame) for frame in postman.control[1]]
    assert {answer.src for answer in answers} == {2, 3}
    assert all(decode_answer(answer.payload) == Echo(7, 9, 100) for answer in answers)


def test_without_a_daemon_frames_for_its_sleeve_are_lost_and_others_are_not(lab: Lab) -> None:
    nodes = make_nodes(lab, 3)
    connect(nodes, [(1, 2), (1, 3)], [(1, 2)])
    containers = [node.container() for node in nodes]
    with Postman(nodes):
        meet([containers[0], containers[1]])
        meet([containers[0], containers[2]])
    tables = nodes[0].path.tables
    nodes[0].path.close()
    assert not pings(containers[0], 2, wait=1)
    assert pings(containers[0], 3)
    nodes[0].reopen()
    assert nodes[0].path.tables == tables
    assert tables.routes[nodes[1].id] == sleeve_hop(nodes[1].id)
    with Postman(nodes):
        assert pings(containers[0], 2, wait=5)


def test_frames_are_counted(lab: Lab) -> None:
    nodes = make_nodes(lab, 3)
    connect(nodes, CHAIN[:2], CHAIN[:2])
    containers = [node.container() for node in nodes]
    with Postman(nodes) as postman:
        assert transfer(containers[0], containers[2], "10.1.0.3", AMOUNT) == AMOUNT
    for node in nodes:
        carried = sum(many for (sender, _), many in postman.carried.items() if sender == node.number)
        assert count(node, Counter.SLEEVE_OUT) >= carried
    assert count(nodes[0], Counter.SLEEVE_OUT) < AMOUNT / 5000
    assert nodes[0].path.traffic(nodes[2].id).tx_packets > AMOUNT / 1400
    assert nodes[1].path.traffic(nodes[2].id).relay_packets > AMOUNT / 1400
    assert nodes[2].path.traffic(nodes[0].id).rx_packets > AMOUNT / 1400
