"""Peers of Weave Net's kind among ours: a second implementation of theirs, in ``weave_peer``, judges."""

import socket
from collections.abc import Generator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network

import pytest
from weave_peer import WeavePeer

from lab import Container, Host, Lab, wait_until

PASSWORD = "correct horse battery"
THEIR_CONTAINER = IPv4Address("10.47.0.99")


@contextmanager
def weave_peer(
    place: Host, password: str = "", overlays: str = "sleeve", trusts: bool = False, number: int = 1
) -> Generator[WeavePeer]:
    """A peer on a host; its container has the address 10.47.0.99, or that of another number."""
    container = THEIR_CONTAINER + number - 1
    peer = WeavePeer(number, place.socket(), container, password.encode(), overlays, trusts=trusts)
    try:
        yield peer
    finally:
        peer.close()


def dialled(peer: WeavePeer, place: Host, target: Host) -> None:
    peer.dial(place.socket(kind=socket.SOCK_STREAM), target.address)
    peer.start()


def connection(host: Host) -> str:
    """What the host says of its connection to the original."""
    return "\n".join(line for line in host.view("connections").splitlines() if "original" in line)


@pytest.mark.parametrize(("password", "mtu"), [("", 1438), (PASSWORD, 1414)], ids=["plain", "encrypted"])
def test_a_peer_of_the_original_kind(lab: Lab, password: str, mtu: int) -> None:
    ours, behind, theirs = lab.make_hosts(3)
    words = ("--password", password) if password else ()
    ours.launch("--ipalloc-init", "consensus=1", *words)
    behind.launch("--ipalloc-init", "consensus=1", *words, ours)
    lab.cut(behind, theirs)
    box, far = ours.container("box"), behind.container("far")
    address, far_address = ours.attach(box), behind.attach(far)
    with weave_peer(theirs, password) as peer:
        dialled(peer, theirs, ours)
        wait_until(lambda: peer.established, 10, "the heartbeats of both were heard")
        wait_until(lambda: f"mtu={mtu}" in connection(ours), 10, "the MTU was found")
        assert ("encrypted sleeve" if password else "established sleeve") in " ".join(
            connection(ours).split()
        )
        assert (2, b"") in peer.controls
        assert (3, mtu.to_bytes(2, "big")) in peer.controls
        wait_until(lambda: box.pings(THEIR_CONTAINER), 10, "their container answers")
        assert peer.pings(address.ip, 1)
        wait_until(lambda: far.pings(THEIR_CONTAINER), 20, "the host behind reaches it over a relay")
        assert peer.pings(far_address.ip, 2, timeout=20)
        assert bytes.fromhex(behind.report()["Router"]["Name"].replace(":", "")) in peer.where.values()
        everybody_is_heard_once(peer, box, far, address.network)
        smaller_path(ours, theirs, box, mtu)
    with weave_peer(theirs, password) as again:
        dialled(again, theirs, ours)
        assert again.pings(address.ip, 3, timeout=20), "a peer that comes back is as good as new"


def everybody_is_heard_once(peer: WeavePeer, box: Container, far: Container, network: IPv4Network) -> None:
    """Broadcasts of our containers, near and behind a relay, reach the original once each."""
    for container, word in ((box, b"from near"), (far, b"from far")):
        with container.socket() as out:
            out.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            out.sendto(word, (str(network.broadcast_address), 6000))
        wait_until(lambda word=word: heard(peer, word) > 0, 5, "the broadcast is heard")
    assert [heard(peer, word) for word in (b"from near", b"from far")] == [1, 1]


def heard(peer: WeavePeer, word: bytes) -> int:
    return sum(word in frame for frame in peer.container.heard)


def smaller_path(ours: Host, theirs: Host, box: Container, mtu: int) -> None:
    """The network takes less from now on: what has DF is answered, and the rest goes in fragments."""
    for host in (ours, theirs):
        host.ip("link set eth0 mtu 1300")
    wait_until(lambda: f"mtu={mtu - 200}" in connection(ours), 10, "the smaller MTU was found")
    box.run("ping", "-M", "dont", "-c", "1", "-W", "3", "-s", "1272", str(THEIR_CONTAINER))
    command = ("ping", "-M", "do", "-c", "1", "-W", "2", "-s", "1272", str(THEIR_CONTAINER))
    assert f"mtu = {mtu - 200}" in box.run(*command, check=False).stdout


def test_one_that_we_dial_and_trust_and_whose_fast_path_fails(lab: Lab) -> None:
    ours, theirs = lab.make_hosts(2)
    listening = theirs.socket(kind=socket.SOCK_STREAM)
    listening.bind(("", 6783))
    listening.listen()
    trust = ("--password", PASSWORD, "--trusted-subnets", "10.99.0.0/24")
    ours.launch("--ipalloc-init", "consensus=1", *trust, theirs)
    box = ours.container("box")
    ours.attach(box)
    with listening, weave_peer(theirs, PASSWORD, "fastdp sleeve", trusts=True) as peer:
        peer.accept(listening)
        peer.start()
        assert peer.index == 1
        wait_until(lambda: "mtu=1438" in connection(ours), 10, "sleeve carries the frames, in the clear")
        assert "unencrypted sleeve" in " ".join(connection(ours).split())
        assert box.pings(THEIR_CONTAINER)


def test_two_of_them_with_one_of_ours_between(lab: Lab) -> None:
    left, ours, right = lab.make_hosts(3)
    lab.cut(left, right)
    ours.launch("--ipalloc-init", "consensus=1", "--password", PASSWORD)
    with weave_peer(left, PASSWORD) as one, weave_peer(right, PASSWORD, number=2) as two:
        dialled(one, left, ours)
        dialled(two, right, ours)
        assert one.pings(two.container.ip, 1, timeout=20)
        assert two.pings(one.container.ip, 2, timeout=20)
        assert one.where[two.container.mac] == two.name, "a relay does not change where a frame is from"
