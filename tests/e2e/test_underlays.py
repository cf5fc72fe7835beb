"""A network in which few hosts reach each other, not all by the same carrier, and what happens as it changes.

Eight hosts, two rings that share a side:

    1 - 2 - 3 - 4 - 5
    |           |   |
    8 - - - - - 7 - 6

Where the tunnel's ports are blocked frames go by the sleeve. Each test leaves the network as it found it.
"""

import itertools
import socket
import threading
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from lab import Container, Host, Lab, wait_until
from netns.vxlan_lab import transfer

Link = tuple[int, int]

LINKS: list[Link] = [(1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (4, 7), (7, 8), (1, 8)]
SLEEVES: list[Link] = [(2, 3), (4, 5), (7, 8)]
"""Links on which UDP 6784 and 6785 are blocked."""
PORT = 6000
CAUGHT_ON_THE_WAY = 5
"""Packets that may circle until their hops are used up, since some hosts have heard of a change and others
not yet. A loop that lasts would have hundreds."""


@dataclass
class Network:
    """The hosts, a container on each, and the links that are up."""

    lab: Lab
    hosts: list[Host]
    boxes: list[Container]
    addresses: list[IPv4Interface]

    def use(self, links: Iterable[Link], one_way: Iterable[Link] = ()) -> None:
        """From now on these pairs exchange packets; the first of each pair in ``one_way`` sends in vain."""
        whole = {*links, *((other, one) for one, other in links)} - set(one_way)
        pairs = itertools.permutations(range(1, len(self.hosts) + 1), 2)
        self.lab.switch.cut(
            (self.hosts[one - 1].address, self.hosts[other - 1].address)
            for one, other in pairs
            if (one, other) not in whole
        )

    def carrier(self, one: int, other: int) -> str | None:
        """What takes frames from one host to another; None if the two have no established connection."""
        for line in self.hosts[one - 1].view("connections").splitlines():
            words = line.split()
            if words[2] == "established" and words[4].endswith(f"({self.hosts[other - 1].short})"):
                return words[3]
        return None

    def wait_for(self, links: Iterable[Link]) -> None:
        """Until these links are established at both ends."""
        for one, other in [*links, *((other, one) for one, other in links)]:
            wait_until(lambda one=one, other=other: self.carrier(one, other), 90, f"{one} to {other}")  # type: ignore[misc]

    def box(self, number: int) -> Container:
        return self.boxes[number - 1]

    def ip(self, number: int) -> str:
        return str(self.addresses[number - 1].ip)


def neighbours(number: int) -> list[int]:
    """The hosts that this one has a link to."""
    return [other for link in LINKS if number in link for other in link if other != number]


@pytest.fixture(scope="module")
def network() -> Generator[Network]:
    with Lab() as lab:
        hosts = lab.make_hosts(8)
        made = Network(lab, hosts, [], [])
        made.use(LINKS)
        address = {number: hosts[number - 1].address for number in range(1, 9)}
        lab.switch.rules(
            *(
                f"ip saddr {address[one]} ip daddr {address[other]} udp dport {{ 6784, 6785 }} drop"
                for pair in SLEEVES
                for one, other in (pair, pair[::-1])
            )
        )
        for some in (hosts[::2], hosts[1::2]):  # all at once would keep a small machine busy for long
            for host in some:
                known = [hosts[number - 1] for number in neighbours(host.number)]
                host.begin_launch("--ipalloc-init", f"consensus={len(hosts)}", *known)
            for host in some:
                host.wait_ready()
        for host in hosts:
            made.boxes.append(host.container("box"))
            made.addresses.append(host.attach(made.boxes[-1]))
        made.wait_for(LINKS)
        yield made


@contextmanager
def heard_everywhere(network: Network) -> Iterator[list[Counter[bytes]]]:
    """How often each container receives each datagram that is broadcast meanwhile."""
    heard: list[Counter[bytes]] = [Counter() for _ in network.boxes]
    ended = threading.Event()

    def listen(receiver: socket.socket, counter: Counter[bytes]) -> None:
        receiver.settimeout(0.2)
        while not ended.is_set():
            try:
                counter[receiver.recv(2000)] += 1
            except TimeoutError:
                continue

    receivers = [box.socket() for box in network.boxes]
    for receiver in receivers:
        receiver.bind(("", PORT))
    threads = [threading.Thread(target=listen, args=pair) for pair in zip(receivers, heard, strict=True)]
    for thread in threads:
        thread.start()
    try:
        yield heard
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        for receiver in receivers:
            receiver.close()


class Broadcaster:
    """Sends numbered datagrams to everybody out of one container."""

    def __init__(self, network: Network, number: int) -> None:
        self._number = number
        self._target = str(network.addresses[number - 1].network.broadcast_address)
        self._socket = network.box(number).socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.sent: list[bytes] = []

    def send(self) -> bytes:
        self.sent.append(b"%d:%d" % (self._number, len(self.sent)))
        self._socket.sendto(self.sent[-1], (self._target, PORT))
        return self.sent[-1]

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Meanwhile send fifty a second."""
        ended = threading.Event()

        def go_on() -> None:
            while not ended.wait(0.02):
                self.send()

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def close(self) -> None:
        self._socket.close()


def all_pairs_talk(network: Network) -> bool:
    pairs = itertools.permutations(range(1, len(network.hosts) + 1), 2)
    return all(network.box(one).pings(network.ip(other)) for one, other in pairs)


def drops(network: Network, counter: str) -> int:
    return sum(host.report()["Router"]["Counters"][counter] for host in network.hosts)


def each_hears_each_once(network: Network, frames: int = 10) -> bool:
    """Whether nothing was lost, as can happen on a busy machine; nothing may come twice in any case."""
    with ExitStack() as stack:
        senders = [
            stack.enter_context(closing(Broadcaster(network, number)))
            for number in range(1, len(network.hosts) + 1)
        ]
        heard = stack.enter_context(heard_everywhere(network))
        sent = {sender.send() for _ in range(frames) for sender in senders}
        with suppress(AssertionError):
            wait_until(lambda: all(one.keys() == sent for one in heard), 5)
    assert {times for one in heard for times in one.values()} == {1}
    return all(one.keys() == sent for one in heard)


def test_all_pairs_talk_by_the_carriers_there_are(network: Network) -> None:
    wait_until(lambda: all_pairs_talk(network), 60, "all pairs ping")
    for link in LINKS:
        wanted = "sleeve" if link in SLEEVES else "fastdp"
        wait_until(lambda link=link, wanted=wanted: network.carrier(*link) == wanted)  # type: ignore[misc]
    amount = 5_000_000
    assert transfer(network.box(1), network.box(5), network.ip(5), amount) == amount
    wait_until(lambda: network.box(2).pings(network.ip(6), size=10_000), what="a ping in many pieces")


def test_broadcasts_come_exactly_once_to_every_host(network: Network) -> None:
    assert any(each_hears_each_once(network) for _ in range(5)), "everybody hears everything"


def ride_out(network: Network, links: Iterable[Link], one_way: Iterable[Link], log: Path) -> None:
    """Change the network under a stream of pings from host 1 to host 4, until they are answered again."""
    stream = network.box(1).ping_stream(network.ip(4), log)
    wait_until(lambda: stream.answers > 3)
    network.use(links, one_way)
    before = stream.answers
    wait_until(lambda: stream.answers > before + 20, 60, "the way around")
    stream.stop()


@pytest.mark.parametrize(
    ("lost", "one_way"),
    [([(1, 2)], []), ([(2, 3)], []), ([], [(3, 4)]), ([(7, 8)], [(5, 4)])],
    ids=["a tunnel", "a sleeve", "one way", "one of each"],
)
def test_what_breaks_is_routed_around_and_nothing_is_doubled(
    network: Network, lost: list[Link], one_way: list[Link], tmp_path: Path
) -> None:
    """Broadcasts go on all the time. Some are lost; none may come twice, while routes change or later."""
    circled = drops(network, "drop_hops")
    sender = Broadcaster(network, 1)
    with heard_everywhere(network) as heard, sender.going_on():

        def all_hear() -> None:
            mark = len(sender.sent)
            wait_until(lambda: all(one.keys() & set(sender.sent[mark:]) for one in heard), 60, "all hear")

        ride_out(network, [link for link in LINKS if link not in lost], one_way, tmp_path / "ping.log")
        all_hear()
        wait_until(lambda: all_pairs_talk(network), 60, "all pairs ping")
        network.use(LINKS)
        network.wait_for(LINKS)
        all_hear()
    assert [max(one.values()) for one in heard] == [1] * 8
    assert drops(network, "drop_hops") - circled <= CAUGHT_ON_THE_WAY
    sender.close()
