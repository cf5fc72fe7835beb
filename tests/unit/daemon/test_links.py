"""Sockets between daemons, over the loopback device."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from tulle.daemon.links import Links
from tulle.errors import UserError
from tulle.mesh.events import Address, LinkId


class Ear:
    """Hears what the sockets tell, and has bytes for them."""

    def __init__(self) -> None:
        self.links = Links(self)
        self.accepting = True
        self.accepted: list[LinkId] = []
        self.dialled: list[LinkId] = []
        self.failed: list[str] = []
        self.heard: dict[LinkId, bytes] = {}
        self.closed: list[tuple[LinkId, str]] = []
        self.to_send: dict[LinkId, list[bytes]] = {}
        self.news = asyncio.Event()

    async def until(self, condition: "object") -> None:
        assert callable(condition)
        async with asyncio.timeout(20):
            while not condition():
                self.news.clear()
                await self.news.wait()

    def link_accepted(self, link: LinkId, remote: Address, local: Address) -> bool:
        self.accepted.append(link)
        self.news.set()
        return self.accepting

    def link_dialled(self, link: LinkId, target: Address, local: Address) -> None:
        self.dialled.append(link)
        self.news.set()

    def link_dial_failed(self, target: Address, reason: str) -> None:
        self.failed.append(reason)
        self.news.set()

    def link_received(self, link: LinkId, data: bytes) -> None:
        self.heard[link] = self.heard.get(link, b"") + data
        self.news.set()

    def link_closed(self, link: LinkId, reason: str) -> None:
        self.closed.append((link, reason))
        self.news.set()

    def link_pull(self, link: LinkId) -> bytes:
        waiting = self.to_send.get(link)
        return waiting.pop(0) if waiting else b""


class Couple:
    def __init__(self, here: Ear, there: Ear, address: Address) -> None:
        self.here, self.there, self.address = here, there, address

    async def connect(self) -> tuple[LinkId, LinkId]:
        self.here.links.dial(self.address)
        await self.here.until(lambda: self.here.dialled)
        await self.there.until(lambda: self.there.accepted)
        return self.here.dialled[-1], self.there.accepted[-1]


@pytest.fixture
async def couple() -> AsyncIterator[Couple]:
    here, there = Ear(), Ear()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    await there.links.listen("127.0.0.1", port)
    yield Couple(here, there, ("127.0.0.1", port))
    await here.links.close()
    await there.links.close()


async def test_bytes_go_both_ways(couple: Couple) -> None:
    ours, theirs = await couple.connect()
    couple.here.to_send[ours] = [b"one ", b"two"]
    couple.here.links.writable(ours)
    await couple.there.until(lambda: couple.there.heard.get(theirs) == b"one two")
    couple.there.to_send[theirs] = [b"x" * 3_000_000]
    couple.there.links.writable(theirs)
    await couple.here.until(lambda: len(couple.here.heard.get(ours, b"")) == 3_000_000)
    couple.here.links.writable(LinkId(999))


async def test_a_full_socket_is_not_pulled_for(couple: Couple) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        couple.here.links.dial(deaf.getsockname())
        await couple.here.until(lambda: couple.here.dialled)
        (link,) = couple.here.dialled
        couple.here.to_send[link] = [bytes(1_000_000) for _ in range(50)]
        couple.here.links.writable(link)
        assert len(couple.here.to_send[link]) > 40


async def test_a_closed_link_is_told_to_the_other_end_only(couple: Couple) -> None:
    ours, theirs = await couple.connect()
    couple.here.links.close_link(ours)
    couple.here.links.close_link(ours)
    await couple.there.until(lambda: couple.there.closed)
    assert couple.there.closed == [(theirs, "connection reset by peer")]
    assert couple.here.closed == []


async def test_last_words_arrive_before_the_end(couple: Couple) -> None:
    ours, theirs = await couple.connect()
    couple.here.links.close_link(ours, b"because of this")
    await couple.there.until(lambda: couple.there.closed)
    assert couple.there.heard == {theirs: b"because of this"}
    assert couple.there.closed == [(theirs, "connection reset by peer")]
    assert couple.here.closed == []


async def test_whoever_heard_the_last_words_may_close_first(couple: Couple) -> None:
    ours, theirs = await couple.connect()
    couple.here.links.close_link(ours, b"because of this")
    await couple.there.until(lambda: couple.there.heard)
    couple.there.links.close_link(theirs)
    couple.here.links.writable(ours)
    assert couple.there.closed == []
    assert couple.here.closed == []


async def test_a_connection_may_be_turned_away(couple: Couple) -> None:
    couple.there.accepting = False
    ours, _ = await couple.connect()
    await couple.here.until(lambda: couple.here.closed)
    assert couple.here.closed[0][0] == ours
    assert couple.there.closed == []


async def test_a_dial_that_nobody_takes_fails_in_plain_words(couple: Couple) -> None:
    await couple.there.links.close()
    couple.here.links.dial(couple.address)
    await couple.here.until(lambda: couple.here.failed)
    assert couple.here.failed == ["connection refused"]


async def test_a_port_in_use_and_an_address_of_others(couple: Couple) -> None:
    with pytest.raises(UserError, match=r"TCP port \d+ of 127.0.0.1: address already in use; stop what"):
        await couple.here.links.listen(*couple.address)
    with pytest.raises(UserError, match="cannot assign requested address; this host has no such address"):
        await couple.here.links.listen("192.0.2.1", couple.address[1])
