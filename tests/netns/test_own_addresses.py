"""What a host says of its own addresses, while they come and go."""

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Interface

import pytest

from lab.namespace import Namespace
from netns.support import Run
from tulle.host.own_addresses import OwnAddresses, own_addresses

LOOPBACK = IPv4Interface("127.0.0.1/8")
HOME, OFFICE = IPv4Interface("192.168.1.5/24"), IPv4Interface("172.16.4.5/16")


@pytest.fixture
def cables(host: Namespace) -> Namespace:
    """A host with two interfaces, of which ``outer`` leads to the world."""
    host.ip(
        "link add inner type veth peer name inner-end",
        "link add outer type veth peer name outer-end",
        *(f"link set {name} up" for name in ("inner", "inner-end", "outer", "outer-end")),
        f"address add {OFFICE} dev inner",
        f"address add {HOME} dev outer",
        "route add default via 192.168.1.1",
    )
    return host


def test_the_way_to_the_world_comes_first(cables: Namespace) -> None:
    assert cables.inside(lambda: own_addresses("tulle")) == [HOME, LOOPBACK, OFFICE]


def test_without_a_way_to_the_world_there_is_an_order_all_the_same(cables: Namespace) -> None:
    cables.ip("route del default")
    assert cables.inside(lambda: own_addresses("tulle")) == [LOOPBACK, OFFICE, HOME]


def test_an_interface_of_our_own_is_left_out(cables: Namespace) -> None:
    assert cables.inside(lambda: own_addresses("inner")) == [HOME, LOOPBACK]


def test_changes_are_told_and_nothing_else_is(cables: Namespace, run: Run) -> None:
    moved = IPv4Interface("10.1.2.3/8")

    async def watch() -> list[Sequence[IPv4Interface]]:
        told: asyncio.Queue[Sequence[IPv4Interface]] = asyncio.Queue()
        watcher = OwnAddresses(told.put_nowait, "tulle")
        await watcher.start()
        heard = [await told.get()]
        change = (f"address del {HOME} dev outer", f"address add {moved} dev outer")
        await asyncio.to_thread(cables.ip, *change)
        heard.append(await asyncio.wait_for(told.get(), 10))
        while moved not in heard[-1]:
            heard.append(await asyncio.wait_for(told.get(), 10))
        await asyncio.to_thread(cables.ip, "link set inner mtu 1400")
        await watcher.stop()
        assert told.empty()
        return heard

    first, *_, last = run(watch())
    assert first == [HOME, LOOPBACK, OFFICE]
    assert set(last) == {moved, OFFICE, LOOPBACK}
