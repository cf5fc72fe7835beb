"""The detour: questions for the host's DNS servers that come out of Docker's bridge are answered here."""

import socket
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from lab.container import Container as Space
from lab.namespace import Namespace
from netns.support import Run, shown
from tulle.host.bridge import DEFAULT_RESOLVER, Bridge
from tulle.host.dns_detour import GATEWAY_BRIDGE, DnsDetour, servers_of_docker

SERVER = "192.0.2.53"


@pytest.fixture
def inside(host: Namespace, container: Space) -> Space:
    """A container whose way out is Docker's gateway bridge."""
    host.ip(f"link add {GATEWAY_BRIDGE} type bridge", f"link set {GATEWAY_BRIDGE} up")
    host.ip(f"addr add 172.18.0.1/16 dev {GATEWAY_BRIDGE}")
    host.ip(f"link add way master {GATEWAY_BRIDGE} type veth peer name way netns {container.name}")
    host.ip("link set way up")
    container.ip("link set way up", "addr add 172.18.0.2/16 dev way", "route add default via 172.18.0.1")
    return container


@pytest.fixture
def resolver(host: Namespace, bridge: Bridge) -> Iterator[socket.socket]:
    """What listens at the resolver's address."""
    with host.socket() as listening:
        listening.bind((str(DEFAULT_RESOLVER), 53))
        yield listening


def ask(container: Space, server: str = SERVER) -> socket.socket:
    asking = container.socket()
    asking.connect((server, 53))
    asking.send(b"question")
    return asking


def test_a_question_is_answered_as_if_by_the_server(
    run: Run, inside: Space, resolver: socket.socket, host: Namespace
) -> None:
    detour = DnsDetour("tulle", DEFAULT_RESOLVER)
    rules = shown(host, "rule")
    for _life in range(2):
        run(detour.start())
    run(detour.renew([IPv4Address(SERVER)]))
    assert len(shown(host, "rule")) > len(rules)
    with ask(inside) as asking:
        question, place = resolver.recvfrom(100)
        assert (question, place[0]) == (b"question", "172.18.0.2")
        resolver.sendto(b"answer", place)
        assert asking.recv(100) == b"answer"
    run(detour.remove())
    assert "docker-dns" not in host.run("nft", "list", "tables").stdout
    assert shown(host, "rule") == rules


def test_other_servers_are_left_alone(run: Run, inside: Space, resolver: socket.socket) -> None:
    detour = DnsDetour("tulle", DEFAULT_RESOLVER)
    run(detour.start())
    run(detour.renew([IPv4Address(SERVER)]))
    with ask(inside, "192.0.2.54"), ask(inside):
        assert resolver.recvfrom(100)[0] == b"question"
        resolver.setblocking(False)
        with pytest.raises(BlockingIOError):
            resolver.recvfrom(100)


def test_the_list_of_servers_lapses_without_a_daemon(run: Run, host: Namespace, bridge: Bridge) -> None:
    detour = DnsDetour("tulle", DEFAULT_RESOLVER)
    run(detour.start())
    run(detour.renew([IPv4Address(SERVER)]))
    listed = host.run("nft", "list", "set", "ip", "tulle-docker-dns", "servers").stdout
    assert f"{SERVER} timeout 1m30s expires" in listed
    run(detour.renew([]))
    assert SERVER not in host.run("nft", "list", "set", "ip", "tulle-docker-dns", "servers").stdout


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("nameserver 192.0.2.1\nnameserver 192.0.2.2\n", ["192.0.2.1", "192.0.2.2"]),
        ("nameserver 127.0.0.1\nnameserver 192.0.2.2\n", ["192.0.2.2"]),
        ("nameserver fe80::1%eth0\nnameserver nonsense\n", []),
        ("nameserver 127.0.0.1\n", []),
        ("search example.org\n", ["8.8.8.8", "8.8.4.4"]),
    ],
)
def test_whom_docker_asks(tmp_path: Path, text: str, servers: list[str]) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(text)
    assert list(map(str, servers_of_docker(file))) == servers
