"""Sleeves between real TAPs and sockets: what is sent arrives, and nothing else does."""

import random
import socket
import threading

import pytest

from lab import Container, Lab
from lab.wait import wait_until
from netns.sleeve_lab import PORT, Eavesdropper, SleeveLab, index, path_id
from netns.vxlan_lab import transfer
from tulle.datapath.sleeve.orders import Arrival, ClosePath, Endpoint, SendMessage
from tulle.errors import UserError
from tulle.host.sleeve.sleeve import Sleeve
from tulle.host.sleeve.wire import HEADER

AMOUNT = 30_000_000
UDP_SEGMENT = 103


@pytest.mark.parametrize(("sealed", "group"), [(True, 0), (False, 0), (True, 8), (False, 1)])
def test_bulk_tcp_passes_in_superframes(lab: Lab, sealed: bool, group: int) -> None:
    with SleeveLab(lab, 2, sealed=sealed, group=group) as sleeves:
        one, two = (node.container() for node in sleeves.nodes)
        assert transfer(one, two, "10.1.0.2", AMOUNT) == AMOUNT
        assert transfer(two, one, "10.1.0.1", AMOUNT // 10) == AMOUNT // 10
        wait_until(lambda: sleeves.count(2, 1).expected == sleeves.count(1, 2).sent, 5, "the last ones came")
        here, there = sleeves.count(1, 2), sleeves.count(2, 1)
        assert here.dropped == there.dropped == 0
        assert there.received == there.expected
        assert AMOUNT / 1472 < here.sent < 1.4 * AMOUNT / 1472


@pytest.mark.parametrize("group", [0, 4])
def test_datagrams_that_a_container_sends_by_the_dozen(lab: Lab, group: int) -> None:
    """With UDP_SEGMENT, as QUIC does; they cross the network as one frame, or as a few."""
    with SleeveLab(lab, 2, group=group) as sleeves:
        one, two = (node.container() for node in sleeves.nodes)
        assert one.pings("10.1.0.2", wait=5)
        before = sleeves.count(1, 2).sent
        with two.socket() as ear, one.socket() as mouth:
            ear.bind(("", 5000))
            mouth.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1000)
            sent = [bytes([number]) * 1000 for number in range(40)] + [b"last"]
            mouth.sendto(b"".join(sent), ("10.1.0.2", 5000))
            assert [ear.recv(2000) for _ in sent] == sent
        assert sleeves.count(1, 2).sent - before < 40


def test_forged_replayed_changed_and_cross_path_datagrams_are_dropped_and_counted(lab: Lab) -> None:
    with SleeveLab(lab, 3) as sleeves:
        one, two, three = (node.container() for node in sleeves.nodes)
        assert one.pings("10.1.0.2", wait=5)
        assert three.pings("10.1.0.2", wait=5)
        with Eavesdropper(sleeves.nodes[1]) as wire, two.socket() as ear:
            ear.bind(("", 5000))
            ear.settimeout(5)
            with one.socket() as mouth:
                mouth.sendto(b"once", ("10.1.0.2", 5000))
            assert ear.recv(100) == b"once"
            (heard,) = wire.hear()
            assert b"once" not in heard
            before, other, sent = sleeves.count(2, 1), sleeves.count(2, 3), sleeves.count(1, 2).sent
            flipped = [flip(heard, bit) for bit in random.Random(1).sample(range(64, len(heard) * 8), 200)]
            wire.inject([heard, *flipped, heard[:-1], heard[: HEADER.size + 1], heard + b"\0"])
            wire.inject([index(3, 2).to_bytes(8, "big") + heard[8:]])
            wait_until(
                lambda: sleeves.count(2, 3).dropped == other.dropped + 1, 30, "the last one was looked at"
            )
            after, honest = sleeves.count(2, 1), sleeves.count(1, 2).sent - sent
            incomplete = 204 - (after.dropped - before.dropped)
            assert 0 <= incomplete <= 20, "a changed header may announce a unit of which nothing more comes"
            assert after.received - before.received <= honest, "the kernel may have asked who has an address"
            assert after.expected - before.expected <= honest
            ear.setblocking(False)
            with pytest.raises(BlockingIOError):
                ear.recv(100)
        assert one.pings("10.1.0.2", wait=5)


def flip(datagram: bytes, bit: int) -> bytes:
    changed = bytearray(datagram)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_a_flood_of_forgeries_during_a_transfer(lab: Lab) -> None:
    """Half of the strangers know the path's index, as somebody who sees the wire does."""
    with SleeveLab(lab, 2) as sleeves:
        one, two = (node.container() for node in sleeves.nodes)
        assert one.pings("10.1.0.2", wait=5)
        node, rng, sent = sleeves.nodes[1], random.Random(2), []

        def flood() -> None:
            with node.host.socket() as out:
                for number in range(50_000):
                    out.sendto(rng.randbytes(200), (node.ip, PORT))
                    header = HEADER.pack(index(1, 2), rng.getrandbits(40), 0x11, 0, number % 8 == 0, 0)
                    out.sendto(header + rng.randbytes(180), (node.ip, PORT))
                    sent.append(number)

        flooding = threading.Thread(target=flood)
        flooding.start()
        amounts = []
        while flooding.is_alive():
            amounts.append(transfer(one, two, "10.1.0.2", AMOUNT // 10))
        flooding.join()
        assert len(sent) == 50_000
        assert set(amounts) == {AMOUNT // 10}
        assert sleeves.inside(lambda: sleeves.sleeves[2].strangers) > 2_000
        assert sleeves.count(2, 1).dropped > 2_000
        assert sleeves.count(1, 2).sent < sleeves.count(2, 1).expected + 1000
        assert one.pings("10.1.0.2", wait=5)


@pytest.mark.parametrize("group", [16, 4])
def test_a_wire_that_loses_one_in_a_hundred(lab: Lab, group: int) -> None:
    with SleeveLab(lab, 2, group=group) as sleeves:
        one, two = (node.container() for node in sleeves.nodes)
        assert one.pings("10.1.0.2", wait=5)
        for node in sleeves.nodes:
            off = [word for what in ("tso", "gso", "tx-udp-segmentation", "gro") for word in (what, "off")]
            node.host.run("ethtool", "-K", "eth0", *off)
        lab.switch.lose(1)
        assert transfer(one, two, "10.1.0.2", AMOUNT // 3) == AMOUNT // 3
        wait_until(lambda: 0.002 < loss(sleeves) < 0.03, 5, "units that stay incomplete are given up")


def loss(sleeves: SleeveLab) -> float:
    count = sleeves.count(2, 1)
    return float(1 - count.received / count.expected)


def test_messages_arrive_with_their_size_and_source_and_say_where_a_peer_moved(lab: Lab) -> None:
    with SleeveLab(lab, 2) as sleeves:
        one, two = sleeves.nodes
        there = Endpoint(two.ip, PORT)
        for size in (0, 700, 1472):
            order = SendMessage(path_id(2), there, b"are you there?", size)
            sleeves.inside(lambda order=order: sleeves.sleeves[1].do(order))
        wait_until(lambda: len(sleeves.reports[2]) == 3, 5, "all came")
        assert [type(one) for one in sleeves.reports[2]] == [Arrival] * 3
        paths, messages, sources, sizes = zip(*sleeves.reports[2], strict=True)
        assert set(paths) == {path_id(1)}
        assert set(messages) == {b"are you there?"}
        assert set(sources) == {Endpoint(one.ip, PORT)}
        assert sizes[1:] == (700, 1472)
        assert sizes[0] < 70
        too_big = SendMessage(path_id(2), there, b"are you there?", 1473)
        sleeves.inside(lambda: sleeves.sleeves[1].do(too_big))
        assert sleeves.inside(lambda: sleeves.sleeves[1].socket.unsent) == 1


def test_a_closed_path_takes_nothing_more(lab: Lab) -> None:
    with SleeveLab(lab, 2) as sleeves:
        one, _two = (node.container() for node in sleeves.nodes)
        assert one.pings("10.1.0.2", wait=5)
        sleeves.inside(lambda: sleeves.sleeves[2].do(ClosePath(path_id(1))))
        assert not one.pings("10.1.0.2", wait=1)
        assert sleeves.inside(lambda: sleeves.sleeves[2].strangers) > 0
        assert sleeves.count(2, 1) == (0, 0, 0, 0)


def test_a_port_that_is_taken_is_said_plainly(lab: Lab) -> None:
    host = lab.host()
    with host.socket() as other:
        other.bind(("0.0.0.0", PORT))
        with pytest.raises(UserError, match="UDP port 6783"):
            host.inside(lambda: Sleeve(PORT))


def test_units_that_come_in_pieces_are_put_together(lab: Lab) -> None:
    """Without UDP_GRO every datagram comes by itself."""
    with SleeveLab(lab, 2) as sleeves:
        one, two = (node.container() for node in sleeves.nodes)
        for node in sleeves.nodes:
            off = [word for what in ("tso", "gso", "tx-udp-segmentation", "gro") for word in (what, "off")]
            node.host.run("ethtool", "-K", "eth0", *off)
            sleeve = sleeves.sleeves[node.number]
            sleeve.socket._socket.setsockopt(socket.IPPROTO_UDP, 104, 0)
        assert transfer(one, two, "10.1.0.2", AMOUNT // 3) == AMOUNT // 3
        assert sleeves.count(2, 1).dropped == 0


def test_an_interface_that_computes_no_checksums(lab: Lab) -> None:
    """Many a kernel refuses to cut datagrams for such; then they are cut before."""
    with SleeveLab(lab, 2) as sleeves:
        one, two = (node.container() for node in sleeves.nodes)
        for node in sleeves.nodes:
            node.host.run("ethtool", "-K", "eth0", "tx", "off")
        assert transfer(one, two, "10.1.0.2", AMOUNT // 3) == AMOUNT // 3
        assert sleeves.inside(lambda: sleeves.sleeves[1].socket.unsent) == 0


def test_frames_on_a_slow_wire_do_not_crowd_out_messages(lab: Lab) -> None:
    with SleeveLab(lab, 2) as sleeves:
        one, two = sleeves.nodes
        client, _server = one.container(), two.container()
        assert client.pings("10.1.0.2", wait=5)
        slow = "rate 20mbit burst 50k limit 4000k"
        one.host.run("tc", "qdisc", "add", "dev", "eth0", "root", "tbf", *slow.split())
        enough = threading.Event()
        bulk = threading.Thread(target=blast, args=(client, enough))
        bulk.start()
        question = SendMessage(path_id(2), Endpoint(two.ip, PORT), b"are you there?")
        for _ in range(30):
            sleeves.inside(lambda: sleeves.sleeves[1].do(question))
            enough.wait(0.02)
        enough.set()
        bulk.join()
        wait_until(lambda: len(sleeves.reports[2]) >= 25, 10, "all but a few messages have come")


def blast(source: Container, enough: threading.Event) -> None:
    """More than the wire can take."""
    with source.socket() as out:
        while not enough.is_set():
            out.sendto(bytes(1300), ("10.1.0.2", 9))
