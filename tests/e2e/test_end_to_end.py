"""Frames that others relay are sealed end to end: no relay can read them, on its wires or in its process.

Four hosts in a line, each of which reaches only its neighbours.
"""

import contextlib
import itertools
import re
import secrets
import socket
from collections.abc import Generator, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import Container, Host, Lab, wait_until
from lab.wiretap import Wiretap
from netns.vxlan_lab import transfer

PASSWORD = "between-you-and-me"
PORT = 6200


@dataclass
class Line:
    """The hosts, and a container on each of the outer two."""

    lab: Lab
    hosts: list[Host]
    near: Container
    far: Container
    address: dict[str, str]

    @property
    def relays(self) -> list[Host]:
        return self.hosts[1:-1]

    def say(self, payload: bytes) -> None:
        """Until one datagram with this has come from the near container to the far one."""
        with self.near.socket() as mouth, self.far.socket() as ear:
            ear.bind(("", PORT))
            ear.settimeout(0.5)

            def heard() -> bool:
                mouth.sendto(payload, (self.address["far"], PORT))
                return ear.recv(65536) == payload

            wait_until(heard, what="a datagram over the relays")

    def say_to_one(self) -> bytes:
        """A marker that has gone over the relays, and that nobody was looking for the far container by.

        A host that has just forgotten where a MAC address lives asks everybody, with the frame itself.
        """
        markers: list[bytes] = []

        def said() -> bool:
            markers.append(secrets.token_hex(16).encode())
            before = self._flooded()
            for size in (100, 1300, 9000):
                self.say((markers[-1] * 300)[:size])
            return self._flooded() == before

        wait_until(said, what="datagrams that were for one host only")
        return markers[-1]

    def _flooded(self) -> int:
        return int(self.hosts[0].report()["Router"]["Counters"]["flooded"])


TRUSTING = ("--trusted-subnets", "10.99.0.0/24")


def launch(hosts: list[Host], *arguments: str) -> None:
    """Start these daemons; each but the first dials the host before it."""
    for some in (hosts[:2], hosts[2:]):  # all at once would keep a small machine busy for long
        for host in some:
            before = [host.lab.hosts[host.number - 2]] if host.number > 1 else []
            host.begin_launch("--password", PASSWORD, "--ipalloc-init", "consensus=4", *arguments, *before)
        for host in some:
            host.wait_ready()


@pytest.fixture(scope="module")
def line() -> Generator[Line]:
    with Lab() as lab:
        hosts = lab.make_hosts(4)
        lab.switch.cut(
            (one.address, other.address)
            for one in hosts
            for other in hosts
            if abs(one.number - other.number) > 1
        )
        launch(hosts)
        for pair in itertools.pairwise(hosts):
            lab.wait_connected(pair)
        near, far = hosts[0].container("near"), hosts[-1].container("far")
        address = {"near": str(hosts[0].attach(near).ip), "far": str(hosts[-1].attach(far).ip)}
        made = Line(lab, hosts, near, far, address)
        wait_until(lambda: near.pings(address["far"]), 60, "the first ping")
        wait_until(lambda: sealed(hosts[0], hosts[-1]), what="both have the other's key")
        yield made


def sealed(host: Host, other: Host) -> bool:
    """Whether status says that what goes to the other is for it alone."""
    lines = [line for line in host.view("connections").splitlines() if f"({other.short})" in line]
    return bool(lines) and "sealed end to end" in lines[0]


def memory_of(host: Host) -> Iterable[bytes]:
    """All that the host's daemon has in its memory."""
    assert host.process is not None
    directory = Path(f"/proc/{host.process.pid}")
    with (directory / "mem").open("rb", 0) as memory:
        for area in (directory / "maps").read_text().splitlines():
            bounds = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", area)
            if bounds and "[v" not in area:
                begin, end = (int(bound, 16) for bound in bounds.groups())
                memory.seek(begin)
                with contextlib.suppress(OSError):  # given back since the list was made
                    yield memory.read(end - begin)


def remembers(host: Host, text: bytes) -> bool:
    return any(text in area for area in memory_of(host))


def assert_no_relay_can_read(line: Line) -> None:
    with ExitStack() as stack:
        taps = [
            stack.enter_context(Wiretap(relay, name))
            for relay in line.relays
            for name in ("eth0", "tulle-tap", "tulle-vx")
        ]
        inside = stack.enter_context(Wiretap(line.near, "tulle0"))
        marker = line.say_to_one()
        for relay in line.relays:
            assert not remembers(relay, marker)
        assert not any(tap.heard(marker) for tap in taps)
        assert all(tap.frames for tap in taps if tap.interface == "tulle-tap")
        wait_until(lambda: inside.heard(marker), what="the marker in clear where it is born")

    def remembered() -> bool:
        line.say(marker * 30)
        return remembers(line.hosts[0], marker)

    wait_until(remembered, what="that who may read it is found in this way")


def test_no_relay_can_read_what_it_passes_on(line: Line) -> None:
    assert_no_relay_can_read(line)


def test_everything_passes_as_without(line: Line) -> None:
    wait_until(lambda: line.near.pings(line.address["far"], size=10_000, wait=5), what="a big ping")
    wait_until(lambda: line.near.pings(line.address["far"], size=1376 - 28, whole=True, wait=5))
    for amount, (one, two, to) in (
        (20_000_000, (line.near, line.far, "far")),
        (5_000_000, (line.far, line.near, "near")),
    ):
        assert transfer(one, two, line.address[to], amount) == amount
    for host in line.hosts:
        assert host.report()["Router"]["Counters"]["sleeve_dropped"] == 0


def test_forged_ones_are_dropped(line: Line) -> None:
    """A container can make frames that look sealed; they are nobody's."""
    forged = b"\x02tulle" + b"\x02tullf" + b"\x08\x00" + b"\x45" + bytes(80)
    with line.near.socket(socket.AF_PACKET, socket.SOCK_RAW) as mouth:
        mouth.bind(("tulle0", 0))
        for cut in range(40):
            mouth.send(forged[: len(forged) - cut])
    line.say(b"after the forgeries")


def test_a_last_leg_in_tunnels_does_not_change_that(line: Line) -> None:
    """The last two hosts trust the wire between them. The first seals for the last one all the same.

    Their daemons are new, and so are their keys.
    """
    third, fourth = line.hosts[2:]
    for host in (third, fourth):
        host.kill()
    launch([third, fourth], *TRUSTING)
    wait_until(lambda: " fastdp " in third.view("connections"), 60, "the tunnel")
    wait_until(lambda: line.near.pings(line.address["far"]), 60, "a ping by then")
    wait_until(lambda: sealed(line.hosts[0], fourth), what="the keys of their new lives")
    assert_no_relay_can_read(line)
    wait_until(lambda: "which can read it" in fourth.view("connections"), 60, "its first leg is in the clear")
