"""Attachments over their life: announced, watched, adopted by the next daemon."""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

import pytest

from lab import wait_until
from lab.container import Container as Space
from lab.namespace import Namespace
from netns.support import Run, link, shown
from tulle.host.attachments import Attachment
from tulle.host.container import find_container
from tulle.host.ports import Ports
from tulle.host.veth import SLIGHTER, WHOLE, Wiring, attach

ONE, TWO = IPv4Interface("10.32.0.1/12"), IPv4Interface("10.32.0.2/12")

Life = Callable[[Callable[[Ports], Awaitable[None]]], list[Attachment]]


@pytest.fixture
def life(run: Run, wiring: Wiring) -> Life:
    """One life of a daemon: does something with started Ports, and answers what was reported as gone."""

    def live(work: Callable[[Ports], Awaitable[None]]) -> list[Attachment]:
        async def scenario() -> list[Attachment]:
            gone: list[Attachment] = []
            ports = Ports(wiring, gone.append)
            await ports.start()
            try:
                await work(ports)
            finally:
                ports.stop()
            return gone

        return run(scenario())

    return live


async def until(predicate: Callable[[], object]) -> None:
    await asyncio.to_thread(wait_until, predicate)


def test_a_dead_container_is_reported_once(life: Life, container: Space) -> None:
    async def work(ports: Ports) -> None:
        made.append(await ports.attach(await find_container(container.reference), [ONE]))
        assert ports.attached() == made
        await asyncio.to_thread(container.delete)
        await until(lambda: not ports.attached())

    made: list[Attachment] = []
    assert life(work) == made


def test_what_we_take_away_is_not_reported(life: Life, container: Space) -> None:
    async def work(ports: Ports) -> None:
        target = await find_container(container.reference)
        await ports.attach(target, [ONE, TWO])
        assert await ports.detach(target, [ONE]) == (ONE,)
        assert [one.addresses for one in ports.attached()] == [(TWO,)]
        assert await ports.detach(target, None) == (TWO,)
        assert ports.attached() == []
        await asyncio.sleep(0.1)

    assert life(work) == []


def test_a_container_that_dies_after_a_partial_detach_is_reported(life: Life, container: Space) -> None:
    async def work(ports: Ports) -> None:
        target = await find_container(container.reference)
        await ports.attach(target, [ONE, TWO])
        await ports.detach(target, [ONE])
        await asyncio.to_thread(container.delete)
        await until(lambda: not ports.attached())

    assert [one.addresses for one in life(work)] == [(TWO,)]


def test_the_next_life_adopts_and_watches(life: Life, container: Space) -> None:
    async def first(ports: Ports) -> None:
        made.append(await ports.attach(await find_container(container.reference, "abc"), [ONE]))

    async def second(ports: Ports) -> None:
        assert ports.attached() == made
        await asyncio.to_thread(container.delete)
        await until(lambda: not ports.attached())

    made: list[Attachment] = []
    assert life(first) == []
    assert life(second) == made


def test_nothing_is_missed_when_the_kernels_queue_overflows(
    life: Life, container: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Overflown:
        """A socket that lost the news, and says so once."""

        def fileno(self) -> int:
            return real[0].fileno()

        def recv(self, _size: int) -> bytes:
            real[0].recv(1 << 16)
            monkeypatch.undo()
            raise OSError(errno.ENOBUFS, "overrun")

    async def work(ports: Ports) -> None:
        await ports.attach(await find_container(container.reference), [ONE])
        await asyncio.sleep(0.05)
        assert ports._monitor._news
        real.append(ports._monitor._news._socket)
        monkeypatch.setattr(ports._monitor._news, "_socket", Overflown())
        await asyncio.to_thread(container.delete)
        await until(lambda: not ports.attached())

    real: list[socket.socket] = []
    assert len(life(work)) == 1


def test_one_that_dies_before_it_is_watched_is_reported(
    life: Life, host: Namespace, container: Space
) -> None:
    async def work(ports: Ports) -> None:
        made = await ports.attach(await find_container(container.reference), [ONE])
        ports._monitor.forget(made.host_index)
        await asyncio.to_thread(container.delete)
        await until(lambda: made.host_name not in host_links())
        ports._monitor.watch(made)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def host_links() -> list[str]:
        return [seen["ifname"] for seen in shown(host, "link")]

    assert len(life(work)) == 1


def test_cancelling_an_attach_does_not_lose_it(life: Life, container: Space) -> None:
    async def work(ports: Ports) -> None:
        attaching = asyncio.create_task(ports.attach(await find_container(container.reference), [ONE]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        attaching.cancel()
        await asyncio.gather(attaching, return_exceptions=True)
        assert attaching.cancelled()
        await until(ports.attached)

    life(work)


def test_attaching_many_at_once(life: Life, make_container: Callable[[], Space]) -> None:
    async def work(ports: Ports) -> None:
        targets = [await find_container(space.reference) for space in spaces]
        await asyncio.gather(
            *(
                ports.attach(target, [IPv4Interface((IPv4Address("10.32.1.0") + number, 12))])
                for number, target in enumerate(targets)
            )
        )
        assert len(ports.attached()) == len(spaces)
        await ports.remove_all()
        assert ports.attached() == []

    spaces = [make_container() for _ in range(5)]
    assert life(work) == []


def test_the_size_of_superframes_is_that_of_all_containers(
    life: Life, make_container: Callable[[], Space]
) -> None:
    async def work(ports: Ports) -> None:
        await ports.attach(await find_container(one.reference), [ONE])
        sizes.append(largest(one))
        await ports.use_superframes(SLIGHTER)
        await ports.attach(await find_container(two.reference), [TWO])
        sizes.extend([largest(one), largest(two)])
        await ports.use_superframes(WHOLE)
        sizes.extend([largest(one), largest(two)])

    def largest(space: Space) -> int:
        return int(link(space, "tulle0")["gso_max_size"])

    sizes: list[int] = []
    one, two = make_container(), make_container()
    assert life(work) == []
    assert sizes == [WHOLE, SLIGHTER, SLIGHTER, WHOLE, WHOLE]


def test_removing_all_takes_other_interface_names_along(
    life: Life, host: Namespace, run: Run, container: Space, wiring: Wiring
) -> None:
    async def work(ports: Ports) -> None:
        await ports.remove_all()

    target = run(find_container(container.reference))
    run(attach(target, [ONE], replace(wiring, interface="other0")))
    container.ip("link set other0 down", "link set other0 name renamed0")
    assert life(work) == []
    assert [seen["ifname"] for seen in shown(container, "link")] == ["lo"]


def test_an_address_that_moves_is_reachable_at_once(life: Life, make_container: Callable[[], Space]) -> None:
    """Neighbours that knew it elsewhere are told, twice because they may ignore the first."""

    async def work(ports: Ports) -> None:
        targets = [await find_container(space.reference) for space in (asks, old, new)]
        await ports.attach(targets[0], [ONE])
        await ports.attach(targets[1], [TWO])
        assert await asyncio.to_thread(asks.pings, TWO.ip)
        await ports.detach(targets[1], None)
        made = await ports.attach(targets[2], [TWO])
        await until(lambda: known(asks) == made.mac)
        assert await asyncio.to_thread(asks.pings, TWO.ip)

    def known(space: Space) -> str:
        (seen,) = (one for one in shown(space, "-4", "neigh") if one["dst"] == str(TWO.ip))
        return str(seen["lladdr"])

    asks, old, new = (make_container() for _ in range(3))
    life(work)
