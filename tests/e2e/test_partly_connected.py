"""Hosts that cannot all reach each other, and frames that go to everybody."""

import socket
from ipaddress import IPv4Interface

from lab import Container, Host, Lab, receive_all, wait_until


def attach_everywhere(hosts: list[Host]) -> tuple[list[Container], list[IPv4Interface]]:
    boxes = [host.container("box") for host in hosts]
    return boxes, [host.attach(box) for host, box in zip(hosts, boxes, strict=True)]


def all_ping(boxes: list[Container], addresses: list[IPv4Interface]) -> bool:
    return all(box.pings(address.ip) for box in boxes for address in addresses)


def line_of_three(lab: Lab) -> list[Host]:
    """Three hosts of which the outer two cannot reach each other."""
    one, two, three = lab.make_hosts(3)
    lab.cut(one, three)
    two.launch()
    one.launch(two)
    three.launch(two)
    return [one, two, three]


def broadcast_and_count(boxes: list[Container], addresses: list[IPv4Interface]) -> list[list[bytes]]:
    """Each container broadcasts ten numbered datagrams; what every container has received."""
    receivers = []
    for box in boxes:
        receiver = box.socket()
        receiver.bind(("", 6000))
        receivers.append(receiver)
    for sender, (box, address) in enumerate(zip(boxes, addresses, strict=True)):
        with box.socket() as out:
            out.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            for number in range(10):
                out.sendto(f"{sender}:{number}".encode(), (str(address.network.broadcast_address), 6000))
    heard = receive_all(receivers)
    for receiver in receivers:
        receiver.close()
    return [sorted(payloads) for payloads in heard]


def expected(boxes: list[Container], myself: int) -> list[bytes]:
    """Ten from each of the others (a sender does not hear its own broadcast here)."""
    others = [number for number in range(len(boxes)) if number != myself]
    return sorted(f"{sender}:{number}".encode() for sender in others for number in range(10))


def assert_exactly_once(boxes: list[Container], addresses: list[IPv4Interface]) -> None:
    for myself, heard in enumerate(broadcast_and_count(boxes, addresses)):
        from_others = [payload for payload in heard if not payload.startswith(f"{myself}:".encode())]
        assert from_others == expected(boxes, myself)


def test_a_host_in_the_middle_relays(lab: Lab) -> None:
    hosts = line_of_three(lab)
    boxes, addresses = attach_everywhere(hosts)
    wait_until(lambda: all_ping(boxes, addresses), 40, "all pairs ping")


def test_a_link_that_breaks_is_routed_around(lab: Lab) -> None:
    hosts = lab.network(3)
    boxes, addresses = attach_everywhere(hosts)
    wait_until(lambda: all_ping(boxes, addresses), 40, "all pairs ping")
    lab.cut(hosts[0], hosts[2])
    wait_until(lambda: boxes[0].pings(addresses[2].ip), 90, "the way around")
    lab.heal()
    lab.wait_connected(hosts, 90)


def test_broadcast_arrives_exactly_once_in_a_full_mesh(lab: Lab) -> None:
    hosts = lab.network(3)
    boxes, addresses = attach_everywhere(hosts)
    wait_until(lambda: all_ping(boxes, addresses), 40, "all pairs ping")
    assert_exactly_once(boxes, addresses)


def test_broadcast_arrives_exactly_once_over_a_relay(lab: Lab) -> None:
    hosts = line_of_three(lab)
    boxes, addresses = attach_everywhere(hosts)
    wait_until(lambda: all_ping(boxes, addresses), 40, "all pairs ping")
    assert_exactly_once(boxes, addresses)


def test_multicast_reaches_members_once_and_nobody_else(lab: Lab) -> None:
    lab.switch.rules("ether type ip ip daddr 224.0.0.0/4 drop")
    hosts = lab.network(3)
    boxes, addresses = attach_everywhere(hosts)
    wait_until(lambda: all_ping(boxes, addresses), 40, "all pairs ping")
    member, outsider = boxes[1], boxes[2]
    with boxes[0].socket() as sender, member.join("239.1.2.3", 5000) as receiver:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 4)

        def send(count: int) -> list[bytes]:
            """Send that many datagrams to the group; what the member receives."""
            for number in range(count):
                sender.sendto(b"%d" % number, ("239.1.2.3", 5000))
            return receive_all([receiver], quiet=0.3)[0]

        def is_settled() -> bool:
            """A new bridge passes a group to everybody until its members had time to answer a query."""
            before = received_frames(outsider)
            return len(send(10)) == 10 and received_frames(outsider) - before < 10

        wait_until(is_settled, 60, "the bridges know who is in the group")
        before = received_frames(outsider)
        assert sorted(send(50)) == sorted(b"%d" % number for number in range(50))
        assert received_frames(outsider) - before < 25


def received_frames(box: Container) -> int:
    return int(box.run("cat", "/sys/class/net/tulle0/statistics/rx_packets").stdout)
