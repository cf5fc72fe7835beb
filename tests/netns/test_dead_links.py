"""A connection whose other machine has vanished without a word ends, though nothing is sent over it."""

import asyncio
import socket
from collections.abc import Callable

import pytest

from lab.container import Container
from lab.namespace import Namespace
from netns.support import Run
from tulle.daemon import links
from tulle.mesh.events import Address, LinkId

PATIENCE = 30


class Listener:
    """Hears what becomes of a dial."""

    def __init__(self) -> None:
        self.dialled, self.closed = asyncio.Event(), asyncio.Event()
        self.reason = ""

    def link_accepted(self, link: LinkId, remote: Address, local: Address) -> bool:
        return False

    def link_dialled(self, link: LinkId, target: Address, local: Address) -> None:
        self.dialled.set()

    def link_dial_failed(self, target: Address, reason: str) -> None:
        self.reason = reason

    def link_received(self, link: LinkId, data: bytes) -> None:
        pass

    def link_closed(self, link: LinkId, reason: str) -> None:
        self.reason = reason
        self.closed.set()

    def link_pull(self, link: LinkId) -> bytes:
        return b""


def test_a_machine_that_vanishes(
    host: Namespace,
    make_container: Callable[[], Container],
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(links, "KEEP_ALIVE", 1)
    monkeypatch.setattr(links, "DEAD_AFTER", 2)
    far = make_container()
    host.ip(
        f"link add eth0 type veth peer name eth0 netns {far.name}",
        "link set eth0 up",
        "address add 10.9.9.1/24 dev eth0",
    )
    far.ip("link set eth0 up", "address add 10.9.9.2/24 dev eth0")

    async def until_it_ends() -> str:
        listener = Listener()
        dialling = links.Links(listener)
        dialling.dial(("10.9.9.2", 6783))
        async with asyncio.timeout(PATIENCE):
            await listener.dialled.wait()
            await asyncio.to_thread(far.ip, "address del 10.9.9.2/24 dev eth0")
            await listener.closed.wait()
        await dialling.close()
        return listener.reason

    with far.socket(kind=socket.SOCK_STREAM) as server:
        server.bind(("10.9.9.2", 6783))
        server.listen()
        assert run(until_it_ends())
