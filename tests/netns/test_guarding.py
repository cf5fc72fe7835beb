"""The host's own table: what containers and strangers reach, and that it cannot be flushed away."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Interface

import pytest

from lab import receive_all, wait_until
from lab.container import Container as Space
from lab.namespace import Namespace
from netns.support import Run
from tulle.errors import UserError
from tulle.host import nft
from tulle.host.bridge import DEFAULT_RESOLVER, Bridge
from tulle.host.container import find_container
from tulle.host.expose import Exposure
from tulle.host.firewall import Firewall
from tulle.host.rules import FirewallConfig
from tulle.host.veth import Wiring, attach

CONFIG = FirewallConfig("tulle", closed_ports=(8080,), resolver=DEFAULT_RESOLVER)
HERE = IPv4Interface("10.32.0.9/12")
RESOLVER = str(DEFAULT_RESOLVER)


@pytest.fixture
def stranger(host: Namespace, make_container: Callable[[], Space]) -> Space:
    """A machine on the host's underlay: 192.168.7.1 is the host, 192.168.7.2 the machine."""
    made = make_container()
    host.ip(f"link add wire type veth peer name wire netns {made.name}")
    host.ip("link set wire up", "addr add 192.168.7.1/24 dev wire", "addr add fd07::1/64 dev wire nodad")
    made.ip("link set wire up", "addr add 192.168.7.2/24 dev wire", "addr add fd07::2/64 dev wire nodad")
    return made


@pytest.fixture
def inside(run: Run, container: Space, wiring: Wiring) -> Space:
    """A container, attached to the host."""
    run(attach(run(find_container(container.reference)), [IPv4Interface("10.32.0.1/12")], wiring))
    return container


def guarded(run: Run, during: Callable[[Firewall], Awaitable[None]] | None = None) -> Firewall:
    """Start the firewall, do something, and leave the table in place."""

    async def scenario() -> Firewall:
        firewall = Firewall(CONFIG, interval=600)
        await firewall.start()
        if during:
            await during(firewall)
        await firewall.stop()
        return firewall

    return run(scenario())


def expose(run: Run, bridge: Bridge, address: IPv4Interface = HERE, masquerade: bool = True) -> None:
    async def work(firewall: Firewall) -> None:
        await Exposure(bridge, firewall).expose(address, masquerade)

    guarded(run, work)


def hears(server: Namespace, client: Namespace, address: str, port: int, source: str = "") -> bool:
    """Whether a datagram from one reaches a socket of the other."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with server.socket(family) as listening, client.socket(family) as sending:
        listening.bind((address, port))
        listening.settimeout(0.3)
        sending.bind((source, 0))
        sending.sendto(b"hello", (address, port))
        try:
            return listening.recv(100) == b"hello"
        except TimeoutError:
            return False


def accepts(server: Namespace, client: Namespace, address: str, port: int) -> bool:
    """Whether a TCP connection comes about."""
    with (
        server.socket(kind=socket.SOCK_STREAM) as listening,
        client.socket(kind=socket.SOCK_STREAM) as calling,
    ):
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen()
        calling.settimeout(0.3)
        try:
            calling.connect((address, port))
        except TimeoutError:
            return False
        return True


def test_containers_do_not_reach_our_own_ports(
    host: Namespace, run: Run, bridge: Bridge, inside: Space
) -> None:
    expose(run, bridge)
    for port in (6783, 6784, 6785, 8080):
        assert not accepts(host, inside, str(HERE.ip), port), port
        assert not hears(host, inside, str(HERE.ip), port), port
    assert accepts(host, inside, str(HERE.ip), 80)
    assert hears(host, inside, str(HERE.ip), 5000)


def test_containers_reach_names_and_ping_of_the_resolver_and_nothing_else(
    host: Namespace, run: Run, inside: Space
) -> None:
    guarded(run)
    assert hears(host, inside, RESOLVER, 53)
    assert accepts(host, inside, RESOLVER, 53)
    assert inside.pings(RESOLVER)
    assert not hears(host, inside, RESOLVER, 5000)
    assert not accepts(host, inside, RESOLVER, 22)


def test_containers_do_not_reach_the_host_over_ipv6(host: Namespace, run: Run, inside: Space) -> None:
    host.ip("addr add fd08::1/64 dev tulle nodad")
    inside.ip("addr add fd08::2/64 dev tulle0 nodad")
    guarded(run)
    assert inside.pings("fd08::1")
    assert not hears(host, inside, "fd08::1", 5000)


def test_routers_among_containers_do_not_reach_the_host(host: Namespace, run: Run, inside: Space) -> None:
    """Not even a program of its own that listens for them."""
    guarded(run)
    inside.ip("addr add fe80::7/64 dev tulle0 nodad")
    advert = bytes([134, 0, 0, 0, 64, 0, 0x07, 0x08]) + bytes(8)
    solicitation = bytes([133]) + bytes(7)
    with (
        host.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as listening,
        inside.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as forging,
    ):
        forging.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        forging.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, inside.index)

        def heard() -> set[int]:
            for message in (advert, solicitation):
                forging.sendto(message, ("ff02::1", 0))
            return {data[0] for data in receive_all([listening], quiet=0.2)[0]}

        wait_until(lambda: 133 in heard())
        assert 134 not in heard()
    assert "default" not in host.run("ip", "-6", "route").stdout


def test_a_guarded_bridge_does_not_reach_our_ports_either(
    host: Namespace, run: Run, make_container: Callable[[], Space]
) -> None:
    other = make_container()
    host.ip("link add docker0 type bridge", "link set docker0 up", "addr add 172.17.0.1/16 dev docker0")
    host.ip(f"link add d1 type veth peer name d1 netns {other.name}", "link set d1 up master docker0")
    other.ip("link set d1 up", "addr add 172.17.0.2/16 dev d1")
    guarded(run)
    assert not accepts(host, other, "172.17.0.1", 6783)
    assert accepts(host, other, "172.17.0.1", 80)


def test_only_peers_reach_the_tunnel_port(host: Namespace, run: Run, stranger: Space) -> None:
    async def with_peers(firewall: Firewall) -> None:
        await firewall.set_peers(["192.168.7.2", "fd07::2"])

    async def with_others(firewall: Firewall) -> None:
        await firewall.set_peers(["192.168.7.3"])

    guarded(run)
    assert not hears(host, stranger, "192.168.7.1", 6784)
    assert not hears(host, stranger, "fd07::1", 6784)
    assert hears(host, stranger, "192.168.7.1", 6783)
    guarded(run, with_peers)
    assert hears(host, stranger, "192.168.7.1", 6784)
    assert hears(host, stranger, "fd07::1", 6784)
    guarded(run, with_others)
    assert not hears(host, stranger, "192.168.7.1", 6784)
    assert not hears(host, stranger, "fd07::1", 6784)


def test_local_users_do_not_reach_the_tunnel_port(host: Namespace, run: Run) -> None:
    guarded(run)
    assert not hears(host, host, "127.0.0.1", 6784)
    assert hears(host, host, "127.0.0.1", 8080)


def test_peers_of_an_earlier_life_stay_let_in(host: Namespace, run: Run, stranger: Space) -> None:
    async def with_peer(firewall: Firewall) -> None:
        await firewall.set_peers(["192.168.7.2"])

    guarded(run, with_peer)
    guarded(run)
    assert hears(host, stranger, "192.168.7.1", 6784)


def test_loopback_addresses_are_not_believed_from_outside(host: Namespace, run: Run, stranger: Space) -> None:
    """Even where a careless setting would route them in."""
    host.run("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1", "net.ipv4.conf.wire.route_localnet=1")
    stranger.run("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1", "net.ipv4.conf.wire.route_localnet=1")
    stranger.ip("addr del 127.0.0.1/8 dev lo", "route add 127.0.0.0/8 via 192.168.7.1 dev wire")

    def reaches(port: int) -> bool:
        return hears(host, stranger, "127.0.0.1", port, source="192.168.7.2")

    assert reaches(8080)
    guarded(run)
    assert not reaches(8080)
    assert reaches(5000)


FLUSHES = {
    "flush ruleset": "flush ruleset",
    "delete table": "delete table inet tulle",
    "flush table": "flush table inet tulle",
    "flush chain": "flush chain inet tulle input",
    "flush set": "flush set inet tulle peers4",
}


@pytest.mark.parametrize("script", FLUSHES.values(), ids=FLUSHES.keys())
def test_a_flush_is_noticed_and_undone(
    host: Namespace, run: Run, script: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        firewall = Firewall(CONFIG, interval=600)
        await firewall.start()
        await firewall.set_peers(["192.168.7.2"])
        assert await firewall.check()
        host.nft(script)
        await asyncio.to_thread(wait_until, lambda: firewall.remade)
        assert await firewall.check()
        await firewall.stop()

    run(scenario())
    assert "made the nftables table inet tulle anew" in caplog.text


def test_what_the_kernel_did_not_tell_is_found_by_looking(host: Namespace, run: Run) -> None:
    async def scenario() -> None:
        firewall = Firewall(CONFIG, interval=0.05)
        await firewall.start()
        assert firewall._news is not None
        firewall._news.close()
        host.nft("flush ruleset")
        await asyncio.to_thread(wait_until, lambda: firewall.remade)
        await firewall.stop()

    run(scenario())


def test_other_tables_are_not_our_business(host: Namespace, run: Run) -> None:
    async def scenario() -> None:
        firewall = Firewall(CONFIG, interval=600)
        await firewall.start()
        host.nft("add table inet other; add chain inet other c; delete table inet other")
        await firewall.set_peers(["192.168.7.2"])
        await firewall.set_peers([])
        assert await firewall.check()
        assert firewall.remade == 0
        await firewall.stop()

    run(scenario())


def test_a_change_of_peers_over_a_flushed_table_makes_it_anew(host: Namespace, run: Run) -> None:
    async def scenario() -> None:
        firewall = Firewall(CONFIG, interval=600)
        await firewall.start()
        assert firewall._news is not None
        firewall._news.close()
        host.nft("flush ruleset")
        await firewall.set_peers(["192.168.7.2"])
        assert await firewall.check()
        await firewall.stop()

    run(scenario())


def test_removal_leaves_nothing_and_may_be_repeated(host: Namespace, run: Run) -> None:
    firewall = guarded(run)
    run(firewall.remove())
    run(firewall.remove())
    assert host.run("nft", "list", "ruleset").stdout == ""


def test_a_missing_nft_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nft, "_PATH", "/nowhere")
    with pytest.raises(UserError, match="install the package nftables"):
        guarded(run)
