"""The lab's routers translate addresses as their kind says, so what is seen behind them proves something."""

import itertools
import socket
from collections.abc import Generator
from contextlib import ExitStack

import pytest

from lab import Host, Lab, wait_until
from lab.nat import MESH_PORT, Kind, Nat, move

Endpoint = tuple[str, int]
PATIENCE = 0.3
"""Seconds in which a packet that is let in arrives; what has not by then never will."""
LONG = 10.0
"""Seconds that a packet which has to arrive may take on a busy machine."""
_NUMBERS = itertools.count()


class World:
    """Two hosts on the open switch, with two sockets each, and all that a test opens besides."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._ends = ExitStack()
        self.near, self.far = lab.make_hosts(2)

    def socket(self, host: Host, port: int = MESH_PORT) -> socket.socket:
        made = self._ends.enter_context(host.socket())
        made.bind(("", port))
        made.settimeout(PATIENCE)
        return made

    def close(self) -> None:
        self._ends.close()


@pytest.fixture(scope="module")
def world() -> Generator[World]:
    with Lab() as lab:
        made = World(lab)
        yield made
        made.close()


@pytest.fixture(scope="module")
def sockets(world: World) -> dict[str, socket.socket]:
    """Two ports of one open host, and one of another."""
    return {
        "near": world.socket(world.near),
        "near other port": world.socket(world.near, 7000),
        "far": world.socket(world.far),
    }


@pytest.fixture(scope="module")
def routers(world: World) -> dict[Kind, Nat]:
    return {
        kind: Nat(world.lab, f"nat{number}", number, kind, hairpin=kind is Kind.FULL_CONE)
        for number, kind in enumerate(Kind, 1)
    }


def address_of(host: Host, port: int = MESH_PORT) -> Endpoint:
    return str(host.address), port


def seen_by(sender: socket.socket, receiver: socket.socket, target: Endpoint) -> Endpoint:
    """The address that the receiver sees when the sender talks to it."""
    said = b"hello %d" % next(_NUMBERS)
    sender.sendto(said, target)
    receiver.settimeout(LONG)
    try:
        while True:
            data, source = receiver.recvfrom(100)
            if data == said:
                return (source[0], source[1])
    finally:
        receiver.settimeout(PATIENCE)


def arrives(sender: socket.socket, receiver: socket.socket, target: Endpoint) -> bool:
    sender.sendto(b"unasked", target)
    try:
        return receiver.recv(100) == b"unasked"
    except TimeoutError:
        return False


@pytest.mark.parametrize("kind", Kind)
def test_which_outside_port_a_host_has(
    world: World, sockets: dict[str, socket.socket], routers: dict[Kind, Nat], kind: Kind
) -> None:
    host = routers[kind].host(f"ports{kind.value}")
    inside = world.socket(host)
    seen = [
        seen_by(inside, sockets["near"], address_of(world.near)),
        seen_by(inside, sockets["near other port"], address_of(world.near, 7000)),
        seen_by(inside, sockets["far"], address_of(world.far)),
        seen_by(inside, sockets["near"], address_of(world.near)),
    ]
    assert {ip for ip, _ in seen} == {str(routers[kind].outside)}
    assert seen[0] == seen[3]
    assert len(set(seen)) == (3 if kind is Kind.SYMMETRIC else 1)


@pytest.mark.parametrize(
    ("kind", "same_host", "stranger"),
    [
        (Kind.FULL_CONE, True, True),
        (Kind.RESTRICTED, True, False),
        (Kind.PORT_RESTRICTED, False, False),
        (Kind.SYMMETRIC, False, False),
    ],
)
def test_whose_packets_are_let_in(
    world: World,
    sockets: dict[str, socket.socket],
    routers: dict[Kind, Nat],
    kind: Kind,
    same_host: bool,
    stranger: bool,
) -> None:
    inside = world.socket(routers[kind].host(f"guests{kind.value}"))
    outside = seen_by(inside, sockets["near"], address_of(world.near))
    assert arrives(sockets["near"], inside, outside)
    assert arrives(sockets["near other port"], inside, outside) is same_host
    assert arrives(sockets["far"], inside, outside) is stranger


def test_both_ends_that_send_at_once_meet_through_port_restricted_routers(
    world: World, sockets: dict[str, socket.socket], routers: dict[Kind, Nat]
) -> None:
    other = Nat(world.lab, "second", 12, Kind.PORT_RESTRICTED)
    one, two = (
        world.socket(routers[Kind.PORT_RESTRICTED].host("punch1")),
        world.socket(other.host("punch2")),
    )
    ends = [seen_by(end, sockets["near"], address_of(world.near)) for end in (one, two)]
    one.sendto(b"first", ends[1])
    assert seen_by(two, one, ends[0]) == ends[1]
    assert seen_by(one, two, ends[1]) == ends[0]


def test_an_unasked_packet_does_not_spoil_the_port_of_a_later_answer(
    world: World, sockets: dict[str, socket.socket], routers: dict[Kind, Nat]
) -> None:
    inside = world.socket(routers[Kind.PORT_RESTRICTED].host("late"))
    outside = seen_by(inside, sockets["near"], address_of(world.near))
    assert not arrives(sockets["far"], inside, outside)
    assert seen_by(inside, sockets["far"], address_of(world.far)) == outside


@pytest.mark.parametrize(("kind", "hairpin"), [(Kind.FULL_CONE, True), (Kind.RESTRICTED, False)])
def test_hosts_behind_one_router_meet_at_its_outside_address_only_with_hairpin(
    world: World, sockets: dict[str, socket.socket], routers: dict[Kind, Nat], kind: Kind, hairpin: bool
) -> None:
    hosts = [routers[kind].host(f"pin{kind.value}{number}") for number in (1, 2)]
    one, two = map(world.socket, hosts)
    ends = [seen_by(end, sockets["near"], address_of(world.near)) for end in (one, two)]
    assert ends[0] != ends[1]
    assert arrives(one, two, ends[1]) is hairpin
    assert arrives(one, two, address_of(hosts[1]))
    if hairpin:
        assert seen_by(one, two, ends[1]) == ends[0]


def test_a_router_behind_a_router(world: World, sockets: dict[str, socket.socket]) -> None:
    outer = Nat(world.lab, "outer", 13, Kind.PORT_RESTRICTED)
    inner = Nat(world.lab, "inner", 14, Kind.FULL_CONE, upstream=outer)
    inside = world.socket(inner.host("deep"))
    seen = seen_by(inside, sockets["near"], address_of(world.near))
    assert seen[0] == str(outer.outside)
    assert seen == seen_by(inside, sockets["far"], address_of(world.far))
    assert arrives(sockets["far"], inside, seen)
    assert not arrives(sockets["near other port"], inside, seen)


def test_a_mapping_that_changes(world: World, sockets: dict[str, socket.socket]) -> None:
    router = Nat(world.lab, "fickle", 15, Kind.FULL_CONE)
    inside = world.socket(router.host("mapped"))
    before = seen_by(inside, sockets["near"], address_of(world.near))
    router.remap()
    after = seen_by(inside, sockets["near"], address_of(world.near))
    assert before[0] == after[0]
    assert before[1] != after[1]
    assert not arrives(sockets["near"], inside, before)
    assert arrives(sockets["near"], inside, after)


def test_a_mapping_that_expires(world: World, sockets: dict[str, socket.socket]) -> None:
    router = Nat(world.lab, "forgetful", 16, Kind.SYMMETRIC)
    router.forget_after(1)
    inside = world.socket(router.host("expired"))
    outside = seen_by(inside, sockets["near"], address_of(world.near))
    wait_until(lambda: not arrives(sockets["near"], inside, outside), 20, "the router forgets", interval=1.5)
    assert seen_by(inside, sockets["near"], address_of(world.near)) != outside


def test_a_host_that_roams(world: World, sockets: dict[str, socket.socket]) -> None:
    here, there = (Nat(world.lab, f"place{n}", 16 + n, Kind.PORT_RESTRICTED) for n in (1, 2))
    host = here.host("roamer")
    inside = world.socket(host)
    first = seen_by(inside, sockets["near"], address_of(world.near))
    move(host, there, here)
    second = seen_by(inside, sockets["near"], address_of(world.near))
    assert first[0] == str(here.outside)
    assert second[0] == str(there.outside)
