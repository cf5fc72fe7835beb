"""Multicast on an underlay that has none: over relays, once to each listener, and nowhere else.

Four hosts in a line, so that all but neighbours talk through others. There is a password; the first two
hosts trust the wire between them, so that frames pass tunnels as well as the sleeve; the last is behind a
router that translates addresses: 1 = 2 ~ 3 ~ NAT ~ 4.
"""

import re
import socket
import sys
import threading
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import Container, Host, Lab, receive_all, wait_until
from lab.nat import Kind, Nat

PORT = 5000
SERVICE = Path(__file__).with_name("mdns_service.py")
TUNNEL = "tulle-vx"
EVERYTHING = 3
"""The protocol under which a packet socket gets all frames."""


@dataclass
class Line:
    """The hosts and a container on each."""

    lab: Lab
    hosts: list[Host]
    boxes: list[Container]


def make_line(lab: Lab) -> Line:
    """Hosts that reach only the next ones, on a switch that drops all multicast."""
    lab.switch.rules("ip daddr 224.0.0.0/4 drop", "ip6 daddr ff00::/8 drop")
    router = Nat(lab, "home", 4, Kind.SYMMETRIC)
    hosts = [*lab.make_hosts(3), router.host("h4")]
    seen = [*(host.address for host in hosts[:3]), router.outside]
    apart = [(one, other) for one in range(4) for other in range(4) if abs(one - other) > 1]
    lab.switch.cut((seen[one], seen[other]) for one, other in apart)
    for host, before in zip(hosts, [None, *hosts], strict=False):
        trusted = {1: "10.99.0.2/32", 2: "10.99.0.1/32"}.get(host.number, "10.99.255.0/32")
        host.begin_launch("--password", "secret", "--trusted-subnets", trusted, *([before] if before else []))
    for host in hosts:
        host.wait_ready()
    boxes = [host.container("box") for host in hosts]
    addresses = [host.attach(box).ip for host, box in zip(hosts, boxes, strict=True)]
    wait_until(lambda: all(boxes[0].pings(address) for address in addresses), 60, "the ends ping")
    assert [carriers(host) for host in hosts[:3]] == [["fastdp"], ["fastdp", "sleeve"], ["sleeve"] * 2]
    line = Line(lab, hosts, boxes)
    wait_until(lambda: all(is_said(line, host) for host in hosts), 20, "everybody has said what it wants")
    return line


def carriers(host: Host) -> list[str]:
    """The carriers of its connections that carry frames."""
    found = host.report()["Router"]["Connections"]
    return sorted(one["Attrs"]["name"] for one in found if one["State"] == "established")


def is_said(line: Line, host: Host) -> bool:
    return len(line.hosts) == len(host.report()["Router"]["MulticastInterests"])


@pytest.fixture(scope="module")
def line() -> Generator[Line]:
    with Lab() as lab:
        yield make_line(lab)


def listeners(line: Line, host: Host, group: str) -> set[str]:
    """The nicknames of the hosts that, as this one knows, listen to a group."""
    router = host.report()["Router"]
    names = {peer["Name"]: peer["NickName"] for peer in router["Peers"]}
    return {names[one["Peer"]] for one in router["MulticastInterests"] if group in one["Groups"]}


def wait_listeners(line: Line, group: str, *numbers: int) -> None:
    """Until every host knows that exactly these listen."""
    wanted = {line.hosts[number - 1].short for number in numbers}
    wait_until(lambda: all(listeners(line, host, group) == wanted for host in line.hosts), 30, f"{wanted}")


class Tap:
    """All frames that come out of the tunnel of a host."""

    def __init__(self, host: Host) -> None:
        self._socket = host.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERYTHING))
        self._socket.bind((TUNNEL, EVERYTHING))

    def __enter__(self) -> "Tap":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def frames(self, payload: bytes) -> int:
        """How many of them had this in them, until it is quiet."""
        return sum(payload in frame for frame in receive_all([self._socket], quiet=0.3)[0])


def send(box: Container, group: str, payloads: Iterable[bytes]) -> None:
    with box.multicast_sender(ipv6=":" in group) as sender:
        for payload in payloads:
            sender.sendto(payload, (group, PORT))


def numbered(word: str, count: int = 30) -> list[bytes]:
    return [f"{word}-{number:03}".encode() for number in range(count)]


@pytest.mark.parametrize("group", ["239.1.2.3", "239.0.0.7", "ff05::123"])
def test_each_listener_gets_each_datagram_once(line: Line, group: str) -> None:
    payloads = numbered(group)
    with line.boxes[1].join(group, PORT) as near, line.boxes[3].join(group, PORT) as far:
        for sender in (0, 2):
            wait_until(lambda: reaches(line.boxes[sender], group, near, far), 20, "both listen")  # noqa: B023
            send(line.boxes[sender], group, payloads)
            assert [sorted(heard) for heard in receive_all([near, far], quiet=0.3)] == [payloads, payloads]


def test_hosts_without_listeners_get_nothing(line: Line) -> None:
    four, six = "239.5.5.5", "ff0e::55"
    payloads = numbered("nothing")
    with (
        line.boxes[1].join(four, PORT) as by_four,
        line.boxes[1].join(six, PORT) as by_six,
        Tap(line.hosts[2]) as third,
        Tap(line.hosts[3]) as fourth,
    ):
        wait_until(lambda: reaches(line.boxes[0], four, by_four))
        send(line.boxes[0], four, payloads)
        wait_until(lambda: reaches(line.boxes[0], six, by_six))
        send(line.boxes[0], six, payloads)
        assert [sorted(heard) for heard in receive_all([by_four, by_six], quiet=0.3)] == [payloads, payloads]
        assert (third.frames(b"nothing"), fourth.frames(b"nothing")) == (0, 0)
    with Tap(line.hosts[1]) as second:
        wait_until(lambda: not send(line.boxes[0], four, payloads) and not second.frames(b"nothing"))
    assert all(host.report()["Router"]["Counters"]["pruned"] >= len(payloads) for host in line.hosts[:2])


def test_who_joins_hears_within_a_second(line: Line) -> None:
    """The fastest of a few joins counts: this machine does other things as well."""
    fastest = 10.0
    with line.boxes[0].multicast_sender() as sender:
        for group in ("239.6.6.6", "239.6.6.7", "239.6.6.8"):
            with line.boxes[3].join(group, PORT) as listener:
                listener.settimeout(0.02)
                joined = time.monotonic()
                while not hears(sender, listener, group):
                    assert time.monotonic() < joined + 20
                fastest = min(fastest, time.monotonic() - joined)
    assert fastest < 1


def reaches(sender: Container, group: str, *listeners: socket.socket) -> bool:
    """Whether a datagram to the group comes to all of them; afterwards none is under way."""
    send(sender, group, [b"listening?"])
    return all(receive_all(listeners, quiet=0.2))


def hears(sender: socket.socket, listener: socket.socket, group: str) -> bool:
    sender.sendto(b"now", (group, PORT))
    try:
        return bool(listener.recv(100))
    except TimeoutError:
        return False


@pytest.mark.parametrize("group", ["224.0.0.77", "ff02::77"])
def test_groups_of_the_link_go_to_every_host(line: Line, group: str) -> None:
    with Tap(line.hosts[3]) as fourth:
        send(line.boxes[0], group, numbered("link", 3))
        assert fourth.frames(b"link-") == 3


def test_each_bridge_asks_its_own_containers_only(line: Line) -> None:
    """Reports and questions of one host would fill the tables of the others, and silence their bridges."""
    with line.boxes[0].join("239.7.7.7", PORT):
        wait_listeners(line, "239.7.7.7", 1)
        shown = line.hosts[3].run("bridge", "mdb", "show").stdout
        assert "239.7.7.7" not in shown
    ports = [entry for entry in shown.splitlines() if TUNNEL in entry]
    assert ports == []
    wait_until(lambda: line.hosts[0].report()["Router"]["Counters"]["queries_kept"] > 0, 40)


def test_a_service_is_found_across_hosts_by_multicast_dns(line: Line) -> None:
    """With a real stack, which knows nothing of tulle: one end of the line announces, the other one looks."""
    address = line.boxes[0].addresses()[0].ip
    announcing = line.boxes[0].start(sys.executable, SERVICE, "announce", str(address))
    try:
        here = line.boxes[3].addresses()[0].ip
        found = line.boxes[3].run(sys.executable, SERVICE, "find", str(here), timeout=40).stdout
        assert found.split() == ["web._http._tcp.local.", str(address), "8080"]
    finally:
        announcing.kill()
        announcing.wait()


# IPv6 needs multicast to find neighbours.


def link_local(box: Container) -> str:
    """Its address on the link, which it has by itself, as others on the link write it."""
    shown = box.run(
        "ip", "-6", "-o", "address", "show", "dev", "tulle0", "scope", "link", "-tentative"
    ).stdout
    found = re.search(r"inet6 (fe80:\S+)/", shown)
    assert found, shown
    return found[1]


def test_link_local_addresses_work_by_themselves(line: Line) -> None:
    first, last = line.boxes[0], line.boxes[3]
    there = wait_until(lambda: link_local(last), what="the address is found to be nobody else's")
    wait_until(lambda: first.pings(f"{there}%tulle0"), what="the ends ping")
    assert first.pings(f"{there}%tulle0", size=1376 - 48, whole=True)
    assert first.pings(f"{there}%tulle0", size=10_000)


def test_addresses_that_containers_give_themselves_work(line: Line) -> None:
    first, last = line.boxes[0], line.boxes[3]
    for number, box in ((1, first), (4, last)):
        box.ip(f"address add fd00:7::{number}/64 dev tulle0")
    wait_until(lambda: first.pings("fd00:7::4"), what="the ends ping")
    assert transfer(first, last, "fd00:7::4", 3_000_000) == 3_000_000


def send_all(sending: socket.socket, amount: int) -> None:
    sending.sendall(bytes(amount))
    sending.shutdown(socket.SHUT_WR)


def transfer(sender: Container, receiver: Container, address: str, amount: int) -> int:
    """Send so many bytes by TCP; how many arrived."""
    with (
        receiver.socket(socket.AF_INET6, socket.SOCK_STREAM) as listening,
        sender.socket(socket.AF_INET6, socket.SOCK_STREAM) as sending,
    ):
        listening.bind(("::", PORT))
        listening.listen()
        listening.settimeout(20)
        sending.settimeout(20)
        sending.connect((address, PORT))
        incoming, _ = listening.accept()
        incoming.settimeout(20)
        work = threading.Thread(target=send_all, args=(sending, amount))
        work.start()
        got = 0
        with incoming:
            while data := incoming.recv(1 << 20):
                got += len(data)
        work.join()
        return got


def test_an_address_that_another_host_s_container_has_is_noticed(line: Line) -> None:
    """Neighbour discovery reaches those whose addresses it is about, wherever they are."""
    first, last = line.boxes[0], line.boxes[3]
    first.ip("address add fd00:8::1/64 dev tulle0")
    state = ("ip", "-6", "address", "show", "to", "fd00:8::1")
    wait_until(lambda: "tentative" not in first.run(*state).stdout)
    last.ip("address add fd00:8::1/64 dev tulle0")
    wait_until(lambda: "dadfailed" in last.run(*state).stdout)


def test_routers_are_not_advertised_across_hosts(line: Line) -> None:
    first, last = line.boxes[0], line.boxes[3]
    wait_until(lambda: link_local(first))
    advert = bytes([134, 0, 0, 0, 64, 0, 0x07, 0x08]) + bytes(8)
    with (
        first.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as forging,
        last.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as listening,
        line.hosts[0].socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as host,
    ):
        forging.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        forging.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, first.index)
        for message in (advert, bytes([133]) + bytes(7)):
            forging.sendto(message, ("ff02::1", 0))
        far, near = ({data[0] for data in heard} for heard in receive_all([listening, host], quiet=0.3))
    assert 133 in far
    assert 133 in near
    assert 134 not in far | near
    assert line.hosts[0].report()["Router"]["Counters"]["drop_router_advert"] > 0


def test_a_host_without_its_daemon_misses_nothing(line: Line) -> None:
    """Nobody tells the others what is joined there, so they send everything. The last test: it stays dead."""
    group = "239.8.8.8"
    with line.boxes[1].join(group, PORT) as before:
        wait_until(lambda: reaches(line.boxes[0], group, before), what="the group is known")
        line.hosts[0].kill()
        with line.boxes[0].join(group, PORT) as listener:
            wait_until(
                lambda: reaches(line.boxes[2], group, listener), 30, "the others send everything there"
            )
        assert reaches(line.boxes[0], group, before)
