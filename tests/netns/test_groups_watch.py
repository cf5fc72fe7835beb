"""What a bridge has found out about listeners is known at once, and what it cannot know as well."""

import asyncio
import socket
import struct
from collections.abc import Callable
from ipaddress import IPv4Interface, ip_address

import pytest

from lab import wait_until
from lab.container import Container
from lab.namespace import Namespace
from netns.support import Run
from tulle.datapath.groups.record import Group, group_of, worth_saying
from tulle.host.bridge import add_port
from tulle.host.container import find_container
from tulle.host.groups_watch import GroupWatch, Joined, look
from tulle.host.veth import Wiring, attach

CARRIER = "tulle-vx"


def named(*addresses: str) -> frozenset[Group]:
    return frozenset(group_of(ip_address(address)) for address in addresses)


@pytest.fixture
def box(run: Run, wiring: Wiring, make_container: Callable[[], Container]) -> Container:
    """A container on the bridge of the host under test, which also has a port towards other hosts."""
    made = make_container()
    target = run(find_container(made.reference))
    run(attach(target, [IPv4Interface("10.32.0.1/12")], wiring))
    return made


@pytest.fixture
def carrier(host: Namespace, run: Run, wiring: Wiring, make_container: Callable[[], Container]) -> Container:
    """Stands for all other hosts: what is behind the carrier's port."""
    beyond = make_container()
    host.ip(f"link add {CARRIER} type veth peer name tulle0 netns {beyond.name}")
    beyond.ip("link set tulle0 up", "address add 10.32.0.2/12 dev tulle0")
    run(add_port(wiring.bridge, CARRIER, carrier=True))
    return beyond


class Heard:
    """Everything that a watch has said; waits for what the test is after."""

    def __init__(self) -> None:
        self.latest: Joined | None = None
        self._news = asyncio.Event()

    def __call__(self, joined: Joined) -> None:
        self.latest = joined
        self._news.set()

    async def until(self, wanted: Callable[[Joined], bool]) -> Joined:
        async with asyncio.timeout(20):
            while self.latest is None or not wanted(self.latest):
                await self._news.wait()
                self._news.clear()
        return self.latest


def test_joining_and_leaving_are_told(run: Run, wiring: Wiring, box: Container) -> None:
    four, six = named("239.1.2.3"), named("ff05::123")

    async def work() -> None:
        heard = Heard()
        watch = GroupWatch(wiring.bridge, CARRIER, heard)
        watch.start()
        try:
            await heard.until(lambda joined: not worth_saying(joined.groups))
            with box.join("239.1.2.3", 5000), box.join("ff05::123", 5000):
                await heard.until(lambda joined: worth_saying(joined.groups) == four | six)
            await heard.until(lambda joined: not worth_saying(joined.groups))
        finally:
            await watch.stop()

    run(work())


def test_other_hosts_listeners_do_not_count(
    run: Run, host: Namespace, wiring: Wiring, box: Container, carrier: Container
) -> None:
    async def work() -> None:
        heard = Heard()
        watch = GroupWatch(wiring.bridge, CARRIER, heard)
        watch.start()
        try:
            with carrier.join("239.9.9.9", 5000):
                wait_until(lambda: "239.9.9.9" in host.run("bridge", "mdb", "show").stdout)
                with box.join("239.1.2.3", 5000):
                    await heard.until(lambda joined: worth_saying(joined.groups) == named("239.1.2.3"))
        finally:
            await watch.stop()

    run(work())


def test_the_host_itself_may_listen(run: Run, host: Namespace, wiring: Wiring, box: Container) -> None:
    host.ip(f"address add 10.32.0.9/12 dev {wiring.bridge}")
    with host.socket() as member:
        index = host.inside(lambda: socket.if_nametoindex(wiring.bridge))
        request = struct.pack("4s4si", socket.inet_aton("239.7.7.7"), bytes(4), index)
        member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        wait_until(lambda: named("239.7.7.7") <= run_look(run, wiring).groups)


def run_look(run: Run, wiring: Wiring) -> Joined:
    async def work() -> Joined | None:
        return look(wiring.bridge, CARRIER)

    found = run(work())
    assert found is not None
    return found


def test_a_blind_bridge_says_why(run: Run, host: Namespace, wiring: Wiring, box: Container) -> None:
    host.run("sysctl", "-qw", f"net.ipv6.conf.{wiring.bridge}.disable_ipv6=1")
    found = run_look(run, wiring)
    assert "IPv6 is turned off" in found.everything
    host.run("ip", "link", "set", wiring.bridge, "type", "bridge", "mcast_snooping", "0")
    found = run_look(run, wiring)
    assert "stopped snooping" in found.everything


def test_a_multicast_router_wants_everything(
    run: Run, host: Namespace, wiring: Wiring, box: Container, carrier: Container
) -> None:
    assert not run_look(run, wiring).everything
    ports = host.run("ip", "-br", "link", "show", "master", wiring.bridge).stdout.split("\n")
    port = next(line.partition("@")[0] for line in ports if line.startswith("tl"))
    host.run("bridge", "link", "set", "dev", port, "mcast_router", "2")
    wait_until(lambda: "multicast router" in run_look(run, wiring).everything)


def test_no_bridge_no_answer(run: Run) -> None:
    async def work() -> Joined | None:
        return look("nothing", CARRIER)

    assert run(work()) is None
