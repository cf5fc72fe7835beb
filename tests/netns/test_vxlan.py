"""The kernel data path on hosts of a lab, with tables written by hand and no daemon anywhere."""

import socket
import struct
from collections.abc import Sequence
from ipaddress import IPv4Address

import pytest

from lab import Container, Lab
from lab.container import receive_all
from lab.wait import wait_until
from netns.vxlan_lab import BRIDGE, Node, connect, full_mesh, make_nodes, transfer
from tulle.datapath.echo import Echo, decode_answer
from tulle.datapath.heartbeat import encode as heartbeat
from tulle.datapath.tables import Hop, ShortId, Tables, Tree
from tulle.datapath.tapframe import ECHO_ETHERTYPE, ControlFrame, Way, decode
from tulle.errors import BadMessage
from tulle.host.bpf.layout import ANNOUNCED, Counter

CHAIN = [(1, 2), (2, 3)]
GROUP = "239.1.2.3"


def pings(container: Container, number: int, **options: int | bool) -> bool:
    return container.pings(f"10.1.0.{number}", **options)  # type: ignore[arg-type]


def count(node: Node, counter: Counter) -> int:
    return node.path.counters()[counter]


def meet(containers: Sequence[Container]) -> None:
    """Everybody has heard of everybody, so that only the test's own frames are flooded from now on."""
    for one in containers:
        for other in containers:
            if one is not other:
                assert pings(one, int(other.name.rpartition("c")[2]), wait=5)


def send_raw(container: Container, *frames: bytes) -> None:
    """Frames as they are, out of a container."""
    with container.inside(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)) as raw:
        raw.bind(("tulle0", 0))
        for frame in frames:
            raw.send(frame)


# Unicast


def test_containers_on_two_hosts_talk_and_their_hosts_learn_where_they_are(lab: Lab) -> None:
    one, two = nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    here, _ = one.container(), two.container()
    assert pings(here, 2, count=3)
    assert one.path.macs()[bytes.fromhex("020000000002")] == 2
    assert one.path.macs()[bytes.fromhex("020000000001")] is None
    assert two.path.macs()[bytes.fromhex("020000000001")] == 1
    traffic = one.path.traffic(two.id)
    assert traffic.tx_packets >= 3
    assert traffic.rx_packets >= 3
    assert traffic.tx_bytes >= 3 * 98
    assert not any(one.path.counters()[drop] for drop in Counter if drop.name.startswith("DROP"))


def test_a_full_size_packet_passes_unfragmented(lab: Lab) -> None:
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    containers = [node.container() for node in nodes]
    assert pings(containers[0], 2, size=1376 - 28, whole=True, wait=5)


def test_the_wire_is_weave_s(lab: Lab) -> None:
    """VNI destination << 12 | source, UDP port 6784, no checksum, DF, TTL 64, the address it was given."""
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    here = nodes[0].container()
    nodes[1].container()
    assert pings(here, 2, wait=5)
    sniffer = nodes[1].host.inside(
        lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    )
    with sniffer:
        sniffer.settimeout(5)
        assert pings(here, 2)
        packet = next(data for data in iter(lambda: sniffer.recv(2000), b"") if data[9] == 17)
    assert struct.unpack(">H", packet[6:8]) == (0x4000,)
    assert packet[8] == 64
    assert packet[12:20] == bytes([10, 99, 0, 1, 10, 99, 0, 2])
    assert struct.unpack(">H2xH", packet[22:28]) == (6784, 0)
    assert packet[28:36] == bytes([8, 0, 0, 0, 0x00, 0x20, 0x01, 0])


def test_a_frame_is_passed_on_in_the_kernel(lab: Lab) -> None:
    nodes = make_nodes(lab, 3)
    connect(nodes, CHAIN)
    containers = [node.container() for node in nodes]
    assert pings(containers[0], 3, count=3, wait=5)
    assert count(nodes[1], Counter.RELAYED) >= 6
    assert nodes[1].path.traffic(nodes[2].id).relay_packets >= 3
    assert nodes[0].path.macs()[bytes.fromhex("020000000003")] == 3


def test_tcp_passes_a_relay_in_big_pieces(lab: Lab) -> None:
    nodes = make_nodes(lab, 3)
    connect(nodes, CHAIN)
    containers = [node.container() for node in nodes]
    amount = 20_000_000
    assert transfer(containers[0], containers[2], "10.1.0.3", amount) == amount
    counted = nodes[1].path.traffic(nodes[2].id)
    assert counted.relay_packets > amount / 1400
    assert count(nodes[1], Counter.RELAYED) < counted.relay_packets / 2


def test_an_unknown_destination_is_looked_for_along_the_tree(lab: Lab) -> None:
    nodes = make_nodes(lab, 3)
    connect(nodes, CHAIN)
    here, silent = nodes[0].container(), nodes[2].container()
    here.ip("neighbour add 10.1.0.3 lladdr 02:00:00:00:00:03 dev tulle0")
    silent.ip("neighbour add 10.1.0.1 lladdr 02:00:00:00:00:01 dev tulle0")
    assert bytes.fromhex("020000000003") not in nodes[0].path.macs()
    assert pings(here, 3, wait=5)
    assert nodes[0].path.macs()[bytes.fromhex("020000000003")] == 3


def test_a_peer_without_a_route_is_not_flooded_to(lab: Lab) -> None:
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    containers = [node.container() for node in nodes]
    meet(containers)
    own = nodes[0].path.tables
    nodes[0].path.apply(Tables(own.self_id, own.direct, {}, own.trees))
    send_raw(containers[0], *[bytes.fromhex("020000000002 020000000001 88b6") + bytes(50)] * 50)
    assert count(nodes[0], Counter.DROP_NO_ROUTE) >= 50


def test_forgotten_peers_are_looked_for_again(lab: Lab) -> None:
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    containers = [node.container() for node in nodes]
    meet(containers)
    assert nodes[0].path.forget_peers([nodes[1].id]) >= 1
    assert bytes.fromhex("020000000002") not in nodes[0].path.macs()
    assert pings(containers[0], 2, wait=5)


def test_our_own_id_changes_under_traffic(lab: Lab) -> None:
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    containers = [node.container() for node in nodes]
    meet(containers)
    renamed = ShortId(4000)
    hop = nodes[1].hop_to(nodes[0])
    nodes[1].path.apply(
        Tables(
            nodes[1].id,
            {renamed: hop},
            {renamed: hop},
            {renamed: Tree(nodes[0].ip), nodes[1].id: Tree(None, ((renamed, hop),))},
        )
    )
    own = nodes[0].path.tables
    trees = {renamed: own.trees[nodes[0].id], nodes[1].id: own.trees[nodes[1].id]}
    nodes[0].path.apply(Tables(renamed, own.direct, own.routes, trees))
    nodes[1].path.forget_peers([nodes[0].id])
    assert pings(containers[0], 2, wait=5)
    assert nodes[1].path.macs()[bytes.fromhex("020000000001")] == renamed


def test_many_children_fit_in_a_tree(lab: Lab) -> None:
    (node,) = make_nodes(lab, 1)
    children = tuple((ShortId(100 + number), Hop(f"10.98.0.{number}", node.ip)) for number in range(256))
    tree = Tree("10.98.0.9", children)
    node.path.apply(Tables(node.id, {}, {}, {ShortId(number): tree for number in range(200)}))
    stored = dict(node.path._maps.trees.items())
    assert len(stored) == 200
    assert all(one == tree for one in stored.values())


# Broadcast


def has_joined(node: Node) -> bool:
    """Whether the host's bridge has seen that its container wants the group; others are heard of, too."""
    port = f"port tl{node.number:012x} grp {GROUP}"
    return port in node.host.run("bridge", "mdb", "show", "dev", BRIDGE).stdout


def arrivals(nodes: Sequence[Node], sender: Container, frames: int = 20) -> list[int]:
    """How many of ``frames`` datagrams to a multicast group a container on each host receives; none twice."""
    receivers = [node.containers[0].join(GROUP, 5353) for node in nodes]
    try:
        for node in nodes:
            wait_until(lambda node=node: has_joined(node))  # type: ignore[misc]
        with sender.socket() as out:
            index = sender.inside(lambda: socket.if_nametoindex("tulle0"))
            request = struct.pack("4s4si", socket.inet_aton(GROUP), bytes(4), index)
            out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
            for number in range(frames):
                out.sendto(b"%d" % number, (GROUP, 5353))
        heard = receive_all(receivers)
    finally:
        for receiver in receivers:
            receiver.close()
    for payloads in heard:
        assert len(set(payloads)) == len(payloads), "a datagram came twice"
    return [len(payloads) for payloads in heard]


@pytest.mark.parametrize(
    "links",
    [
        [(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)],
        [(1, 2), (2, 3), (3, 4)],
        [(1, 2), (2, 3), (3, 4), (1, 4)],
        [(1, 2), (1, 3), (1, 4)],
    ],
    ids=["mesh", "chain", "ring", "star"],
)
def test_multicast_comes_exactly_once_to_every_host(lab: Lab, links: list[tuple[int, int]]) -> None:
    nodes = make_nodes(lab, 4)
    connect(nodes, links)
    containers = [node.container() for node in nodes]
    meet(containers)
    assert arrivals(nodes[1:], containers[0]) == [20, 20, 20]
    assert arrivals(nodes[:3], containers[3]) == [20, 20, 20]
    assert sum(count(node, Counter.DROP_HOPS) for node in nodes) == 0


def test_an_arp_request_comes_once(lab: Lab) -> None:
    nodes = make_nodes(lab, 4)
    connect(nodes, [(1, 2), (2, 3), (3, 4), (1, 4), (2, 4)])
    containers = [node.container() for node in nodes]
    meet(containers)
    sniffers = [
        one.inside(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0806)))
        for one in containers[1:]
    ]
    question = bytes.fromhex("0001 0800 0604 0001 020000000001 0a010001 000000000000 0a01004d")
    send_raw(containers[0], b"\xff" * 6 + bytes.fromhex("020000000001 0806") + question)
    requests = [
        [data for data in heard if data[24:28] == bytes([10, 1, 0, 77])] for heard in receive_all(sniffers)
    ]
    for sniffer in sniffers:
        sniffer.close()
    assert [len(heard) for heard in requests] == [1, 1, 1]


def test_trees_that_circle_let_nothing_through_twice(lab: Lab) -> None:
    """The worst that hosts which disagree could do: everybody sends everything to everybody."""
    nodes = make_nodes(lab, 3)
    full_mesh(nodes)
    containers = [node.container() for node in nodes]
    meet(containers)
    for node in nodes:
        everybody = tuple((other.id, node.hop_to(other)) for other in nodes if other is not node)
        own = node.path.tables
        trees = {source: Tree(tree.parent, everybody) for source, tree in own.trees.items()}
        node.path.apply(Tables(own.self_id, own.direct, own.routes, trees))
    assert arrivals(nodes[1:], containers[0]) == [20, 20]
    assert count(nodes[1], Counter.DROP_NOT_PARENT) >= 20


def inject(at: Node, to: Node, dst: int, src: int, frame: bytes) -> None:
    """A frame in its tunnel, from one host's address to another, made up by the test."""
    header = struct.pack(">II", 0x08000000, (dst << 12 | src) << 8)
    with at.host.socket() as out:
        out.sendto(header + frame, (to.ip, 6784))


def test_parents_that_circle_end_by_the_hop_limit(lab: Lab) -> None:
    """Should hosts disagree so badly that a broadcast gets into a circle, it ends after 64 relays."""
    two, three = nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    source = ShortId(50)
    for node, other in ((two, three), (three, two)):
        own = node.path.tables
        # Copies never go straight back, so the other is known by a second address here.
        node.host.ip(f"address add 10.99.1.{node.number}/16 dev eth0")
        circle = Tree(other.ip, ((other.id, Hop(f"10.99.1.{other.number}", node.ip)),))
        node.path.apply(Tables(own.self_id, own.direct, own.routes, {**own.trees, source: circle}))
    inject(three, two, two.id, source, bytes.fromhex("ffffffffffff 020000000050 88b6") + bytes(50))
    wait_until(lambda: sum(count(node, Counter.DROP_HOPS) for node in nodes) == 1)
    assert 63 <= sum(count(node, Counter.COPIES) for node in nodes) < 100


def route_in_a_circle(nodes: Sequence[Node], far: ShortId) -> None:
    """Each of them believes that the next one is nearer to ``far``."""
    for node, other in zip(nodes, (*nodes[1:], nodes[0]), strict=True):
        own = node.path.tables
        node.path.apply(Tables(own.self_id, own.direct, {**own.routes, far: node.hop_to(other)}, own.trees))


TO_FAR = bytes.fromhex("020000000099 020000000001 88b6") + bytes(50)


def test_routes_that_circle_end_by_the_hop_limit(lab: Lab) -> None:
    one, two, _ = nodes = make_nodes(lab, 3)
    full_mesh(nodes)
    far, source = ShortId(99), ShortId(50)
    route_in_a_circle(nodes, far)
    inject(one, two, far, source, TO_FAR)
    wait_until(lambda: sum(count(node, Counter.DROP_HOPS) for node in nodes) == 1)
    assert sum(count(node, Counter.RELAYED) for node in nodes) == 63


def test_a_frame_never_goes_back_to_where_it_came_from(lab: Lab) -> None:
    """Two hosts, of which each believes the other to be nearer, do not play ball with it."""
    one, two, three = nodes = make_nodes(lab, 3)
    full_mesh(nodes)
    far = ShortId(99)
    route_in_a_circle((two, three), far)
    inject(one, two, far, one.id, TO_FAR)
    wait_until(lambda: count(three, Counter.DROP_LOOP) == 1)
    assert sum(count(node, Counter.RELAYED) for node in nodes) == 1
    assert sum(count(node, Counter.DROP_HOPS) for node in nodes) == 0


def test_a_frame_under_our_own_id_is_not_taken(lab: Lab) -> None:
    one, two = nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    inject(two, one, one.id, one.id, bytes.fromhex("ffffffffffff 020000000050 88b6") + bytes(50))
    wait_until(lambda: count(one, Counter.DROP_OWN_ID) == 1)


def test_a_spoofed_local_address_is_not_learned(lab: Lab) -> None:
    one, two = nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    containers = [node.container() for node in nodes]
    meet(containers)
    assert pings(containers[0], 2)
    inject(two, one, one.id, two.id, bytes.fromhex("020000000077 020000000001 88b6") + bytes(50))
    wait_until(lambda: count(one, Counter.DROP_LOOP) == 1)
    assert one.path.macs()[bytes.fromhex("020000000001")] is None


def test_a_broadcast_of_an_unknown_source_is_not_taken(lab: Lab) -> None:
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    containers = [node.container() for node in nodes]
    own = nodes[1].path.tables
    nodes[1].path.apply(Tables(own.self_id, {}, own.routes, {}))
    assert not pings(containers[0], 2, wait=1)
    assert count(nodes[1], Counter.DROP_NO_TREE) >= 1
    nodes[1].path.apply(Tables(own.self_id, own.direct, own.routes, {}))
    taken = count(nodes[1], Counter.DROP_NO_TREE)
    assert arrivals(nodes[1:], containers[0]) == [20]
    assert count(nodes[1], Counter.DROP_NO_TREE) == taken


# What stays on a host


def test_arp_for_the_resolver_does_not_cross(lab: Lab) -> None:
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    containers = [node.container() for node in nodes]
    resolver = "169.254.53.53"
    containers[1].ip(f"address add {resolver}/32 dev tulle0")
    nodes[0].host.ip(f"address del {resolver}/32 dev {BRIDGE}")
    containers[0].ip(f"route add {resolver} dev tulle0")
    assert containers[0].pings(resolver, wait=5)
    containers[0].ip("neighbour flush all")
    nodes[0].path.set_resolver(IPv4Address(resolver))
    assert not containers[0].pings(resolver, wait=1)
    assert count(nodes[0], Counter.DROP_RESOLVER_ARP) >= 1
    nodes[0].path.set_resolver(None)
    nodes[1].path.set_resolver(IPv4Address(resolver))
    containers[0].ip("neighbour del 169.254.53.53 dev tulle0")
    assert not containers[0].pings(resolver, wait=1)
    assert count(nodes[1], Counter.DROP_RESOLVER_ARP) >= 1


def test_bridge_control_frames_stay(lab: Lab) -> None:
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    bridge = nodes[0].host.inside(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
    with bridge:
        bridge.bind((f"{BRIDGE}-vx", 0))
        with pytest.raises(OSError, match="No buffer space"):
            bridge.send(bytes.fromhex("0180c200000e 020000000001 88cc") + bytes(50))
        assert count(nodes[0], Counter.DROP_LINK_CONTROL) == 1


def test_a_frame_bridged_behind_our_back_does_not_circle(lab: Lab) -> None:
    """A second connection between two bridges, as a user might plug by mistake."""
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    containers = [node.container() for node in nodes]
    meet(containers)
    one, two = (node.host for node in nodes)
    one.ip(f"link add mistake type veth peer name mistake netns {two.name}")
    for host in (one, two):
        host.run("sysctl", "-qw", "net.ipv6.conf.mistake.disable_ipv6=1")
        host.ip(f"link set mistake master {BRIDGE} up")
    shown = ("bridge", "link", "show", "dev", "mistake")
    for host in (one, two):
        wait_until(lambda host=host: "state forwarding" in host.run(*shown).stdout)  # type: ignore[misc]
    before = sum(count(node, Counter.COPIES) for node in nodes)
    containers[0].run("ping", "-c", "3", "-i", "0.2", "-W", "1", "10.1.0.77", check=False)
    assert sum(count(node, Counter.COPIES) for node in nodes) - before < 40
    assert sum(count(node, Counter.DROP_LOOP) for node in nodes) >= 1


# The daemon's own frames


def receive(node: Node) -> ControlFrame:
    """The next frame of ours out of the TAP."""

    def look() -> ControlFrame | None:
        while (data := node.path.tap.read()) is not None:
            try:
                return decode(data)
            except BadMessage:
                continue
        return None

    found = wait_until(look, 5, "a frame from the TAP")
    assert found is not None
    return found


def test_a_heartbeat_arrives_at_the_other_daemon(lab: Lab) -> None:
    one, two = nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    payload = heartbeat(0x1122334455667788, 1390)
    assert one.path.tap.write(ControlFrame(two.id, one.id, 0, payload).encode())
    assert receive(two) == ControlFrame(two.id, one.id, 0, payload, one.ip)
    assert count(one, Counter.CONTROL_OUT) == count(two, Counter.CONTROL_IN) == 1


def ask(one: Node, other: Node, size: int = 1390, way: Way = Way.DIRECT) -> None:
    payload = Echo(7, 9, size).encode()
    assert one.path.tap.write(ControlFrame(other.id, one.id, ECHO_ETHERTYPE, payload, way=way).encode())


def test_a_kernel_answers_without_its_daemon(lab: Lab) -> None:
    one, two = nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    two.path.close()
    ask(one, two)
    frame = receive(one)
    assert decode_answer(frame.payload) == Echo(7, 9, 1390)
    assert (frame.src, frame.remote_ip) == (two.id, two.ip)


def test_a_kernel_answers_over_a_relay(lab: Lab) -> None:
    nodes = make_nodes(lab, 3)
    connect(nodes, CHAIN)
    nodes[2].path.close()
    ask(nodes[0], nodes[2], way=Way.ROUTED)
    frame = receive(nodes[0])
    assert (frame.src, frame.remote_ip) == (nodes[2].id, nodes[1].ip)


def test_strangers_get_no_answer(lab: Lab) -> None:
    one, two = nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    own = two.path.tables
    two.path.apply(Tables(own.self_id, {one.id: Hop("10.99.0.77", two.ip)}, own.routes, own.trees))
    ask(one, two)
    one.path.tap.write(ControlFrame(two.id, one.id, 0, heartbeat(1, 100)).encode())
    wait_until(lambda: count(two, Counter.DROP_CONTROL) + count(two, Counter.CONTROL_IN) == 2)
    assert count(two, Counter.ECHO_ANSWERED) == 0
    assert one.path.tap.read() is None


def test_containers_cannot_forge_control_frames(lab: Lab) -> None:
    one, two = nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    container = one.container()
    echo = struct.pack(">H", ECHO_ETHERTYPE) + Echo(7, 9, 100).encode()
    for source in (bytes(6), bytes.fromhex("020000000001")):
        send_raw(container, bytes(6) + source + echo, b"\xff" * 6 + source + echo)
        send_raw(container, bytes(6) + source + bytes(2) + heartbeat(1, 100))
    assert not pings(container, 77, wait=1)
    assert count(two, Counter.ECHO_ANSWERED) == count(two, Counter.CONTROL_IN) == 0
    assert two.path.tap.read() is None


def test_a_frame_for_nobody_is_counted(lab: Lab) -> None:
    (node,) = make_nodes(lab, 1)
    node.path.apply(Tables(node.id))
    node.path.tap.write(ControlFrame(ShortId(9), node.id, 0, bytes(60)).encode())
    node.path.tap.write(b"\x33\x33" + bytes(60))
    assert count(node, Counter.DROP_CONTROL) == 2


# What the host says for its containers


def test_the_host_announces_a_container_without_being_taken_for_a_loop(lab: Lab) -> None:
    """An ARP announcement that the host sends for a new container, followed at once by its own frames."""
    one, two = nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    container = one.container()
    far = two.container()
    port = one.host.inside(lambda: socket.if_nametoindex("tl000000000001"))
    announcement = bytes.fromhex("0001 0800 0604 0001 020000000001 0a010001 000000000000 0a010001")
    with one.host.inside(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)) as raw:
        raw.bind((BRIDGE, 0))
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, ANNOUNCED)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, port)
        raw.send(b"\xff" * 6 + bytes.fromhex("020000000001 0806") + announcement)
    assert wait_until(lambda: two.path.macs().get(bytes.fromhex("020000000001"))) == 1
    assert pings(container, 2, wait=5)
    assert pings(far, 1, wait=5)
    assert count(one, Counter.DROP_LOOP) == 0
