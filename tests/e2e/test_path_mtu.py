"""Two hosts with a router between them that lets only small packets through, and ever other ones.

What is too big is answered with ICMP, or vanishes; fragments pass, or vanish too. Containers notice little.
"""

import socket
import threading
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Interface
from typing import Any

import pytest

from lab import Container, Host, Lab, wait_until
from lab.lab import Router

WIDEST = 9000
NO_ICMP = "icmp type destination-unreachable drop"
NO_FRAGMENTS = "ip frag-off & 0x3fff != 0 drop"


@dataclass
class Pair:
    """Two hosts and a container on each; all that the hosts send each other passes the router."""

    lab: Lab
    router: Router
    hosts: list[Host]
    boxes: list[Container]
    addresses: list[IPv4Interface]

    def narrow(self, mtu: int, *rules: str) -> None:
        """From now on only packets of up to so many bytes pass."""
        self.lab.switch.rules(*rules)
        limit = f" mtu lock {mtu}" if mtu < WIDEST else ""
        self.router.ip(*(f"route replace {host.address}/32 dev outside{limit}" for host in self.hosts))

    def connection(self) -> Any:
        """What the first host reports of its connection to the second."""
        (found,) = self.hosts[0].report()["Router"]["Connections"]
        return found["Attrs"]


@pytest.fixture(scope="module")
def pair() -> Generator[Pair]:
    with Lab() as lab:
        router = lab.router("narrow", 200, "10.99.9.1/24", mtu=WIDEST)
        for interface in ("all", "outside"):
            router.run("sysctl", "-q", "-w", f"net.ipv4.conf.{interface}.send_redirects=0")
        hosts = [lab.host(mtu=WIDEST) for _ in range(2)]
        made = Pair(lab, router, hosts, [], [])
        made.narrow(WIDEST)
        for host, other in (hosts, hosts[::-1]):
            host.ip(f"route add {other.address}/32 via 10.99.0.200")
        for host in hosts:
            host.begin_launch(*hosts[: host is hosts[1]])
        for host in hosts:
            host.wait_ready()
            made.boxes.append(host.container("box"))
            made.addresses.append(host.attach(made.boxes[-1]))
        lab.wait_connected(hosts)
        yield made


class Flow:
    """A TCP connection between the two containers that carries what it can."""

    def __init__(self, pair: Pair) -> None:
        self.received = 0
        self._ended = threading.Event()
        self._listener = pair.boxes[1].socket(kind=socket.SOCK_STREAM)
        self._listener.bind(("", 0))
        self._listener.listen()
        self._out = pair.boxes[0].socket(kind=socket.SOCK_STREAM)
        self._out.connect((str(pair.addresses[1].ip), self._listener.getsockname()[1]))
        self._in, _ = self._listener.accept()
        self._threads = [threading.Thread(target=work) for work in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        block = bytes(1 << 17)
        while not self._ended.wait(0.01):
            with suppress(TimeoutError):
                self._out.send(block)

    def _receive(self) -> None:
        self._in.settimeout(0.2)
        while not self._ended.is_set():
            with suppress(TimeoutError):
                self.received += len(self._in.recv(1 << 20))

    def goes_on(self) -> None:
        """Wait until a good deal more has arrived."""
        before = self.received
        wait_until(lambda: self.received > before + 1_000_000, 60, "the transfer goes on")

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        for one in (self._in, self._out, self._listener):
            one.close()


@pytest.fixture(scope="module")
def flow(pair: Pair) -> Generator[Flow]:
    made = Flow(pair)
    yield made
    made.end()


@pytest.mark.parametrize(
    ("mtu", "rules"),
    [(1400, []), (1280, [NO_ICMP, NO_FRAGMENTS]), (700, [NO_ICMP, NO_FRAGMENTS]), (WIDEST, [NO_ICMP])],
)
def test_a_path_that_changes_under_way(pair: Pair, flow: Flow, mtu: int, rules: list[str]) -> None:
    flow.goes_on()
    pair.narrow(mtu, *rules)
    wait_until(lambda: pair.boxes[0].pings(pair.addresses[1].ip, size=10_000), 30, "a big ping passes")
    flow.goes_on()
    wait_until(lambda: pair.connection().get("path_mtu") == mtu, 60, "the path's MTU is found")
    assert f" path-mtu={mtu} " in pair.hosts[0].view("connections")


def test_the_tunnel_is_used_again_when_the_path_is_wide_enough(pair: Pair, flow: Flow) -> None:
    """Though the kernel was told by ICMP that it is not, and would believe that for ten minutes."""
    wait_until(lambda: pair.connection()["name"] == "fastdp", 60, "frames go by the tunnel")
    flow.goes_on()
