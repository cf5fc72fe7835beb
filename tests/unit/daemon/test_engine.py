"""The pump, and what the daemon asks of a node through it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from ipaddress import IPv4Address, IPv4Interface

import pytest
from node.world import RANGE, Member, World

from tulle.api.addresses import AutoAddress, ManualAddress
from tulle.api.daemon import NameRequest, RequestCancelled
from tulle.daemon import engine as module
from tulle.daemon.addresses import Addresses, if_alive, while_alive
from tulle.daemon.engine import Engine, now
from tulle.daemon.names import Names
from tulle.datapath.groups.pruning import GroupTables
from tulle.datapath.groups.record import Interest, group_of
from tulle.datapath.sleeve.orders import Arrival, Count, Endpoint, PathId, Refused, SleeveOrder
from tulle.datapath.tables import ShortId, Tables
from tulle.errors import StorageError, UserError
from tulle.host.groups_watch import Joined
from tulle.instant import Instant
from tulle.mesh.events import LinkId
from tulle.node.events import Frame, UseTables

IP = IPv4Address("10.1.1.1")


class FakeDataPath:
    def __init__(self) -> None:
        self.tables: list[Tables] = []
        self.groups: list[GroupTables] = []
        self.sent: list[bytes] = []
        self.orders: list[SleeveOrder] = []
        self.counts: dict[PathId, Count] = {}
        self.waiting: list[bytes] = []

    def send_frame(self, frame: bytes) -> None:
        self.sent.append(frame)

    def drain_frames(self, take: Callable[[bytes], None]) -> None:
        waiting, self.waiting = self.waiting, []
        for frame in waiting:
            take(frame)

    def use_tables(self, tables: Tables) -> None:
        self.tables.append(tables)

    def use_groups(self, tables: GroupTables) -> None:
        self.groups.append(tables)

    def sleeve_do(self, order: SleeveOrder) -> None:
        self.orders.append(order)

    def sleeve_counts(self) -> dict[PathId, Count]:
        return self.counts

    def sleeve_relayed(self) -> set[tuple[ShortId, ShortId]]:
        return set()


class Rig:
    """One node alone, which founds its range by itself, driven by a real engine."""

    def __init__(self) -> None:
        world = World()
        world.now = now()
        self.member: Member = world.add(1)
        self.path = FakeDataPath()
        self.engine = Engine(self.member.node, self.path)
        self.addresses = Addresses(self.engine)
        self.names = Names(self.engine)
        self.engine.pump()


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.engine.close()


async def test_an_address_is_allocated_looked_up_and_released(rig: Rig) -> None:
    got = await rig.addresses.obtain("c1", AutoAddress(None))
    assert await rig.addresses.allocate("c1", RANGE) == got
    assert rig.addresses.lookup("c1", None) == [got]
    assert rig.addresses.release("c1", got.ip) == [got]
    assert rig.addresses.held() == {}
    assert not rig.addresses.has_company()


async def test_an_address_of_another_is_refused(rig: Rig) -> None:
    manual = ManualAddress(IPv4Interface("10.40.0.9/24"))
    assert await rig.addresses.obtain("c1", manual) == manual.interface
    with pytest.raises(UserError, match=r"unable to claim 10.40.0.9/24 for c2"):
        await rig.addresses.obtain("c2", manual)


async def test_what_the_disk_refuses_stays_with_nobody(rig: Rig) -> None:
    await rig.addresses.prime()
    rig.member.disk.broken = True
    with pytest.raises(UserError, match="disk full"):
        await rig.addresses.allocate("c1", RANGE)
    with pytest.raises(StorageError, match="disk full"):
        rig.names.add("c1", "web", [IP])
    rig.member.disk.broken = False
    rig.engine.pump()
    assert rig.addresses.held() == {}
    assert rig.names.lookup("web") == []


async def test_a_name_that_was_there_survives_a_refusal(rig: Rig) -> None:
    rig.names.add("c1", "web", [IP])
    rig.member.disk.broken = True
    with pytest.raises(StorageError):
        rig.names.add("c1", "other", [IP])
    with pytest.raises(StorageError):
        rig.names.add("c1", "web", [IP])
    rig.member.disk.broken = False
    rig.engine.pump()
    assert rig.names.of("c1") == ["web.tulle.internal."]
    assert rig.names.remove(NameRequest("c1", None)) == 1
    assert list(rig.names.holders()) == []


async def test_everything_is_quiet_when_turned_off(rig: Rig) -> None:
    rig.member.node.ipam = rig.member.node.names = None
    manual = ManualAddress(IPv4Interface("10.9.0.1/24"))
    assert await rig.addresses.obtain("c1", manual) == manual.interface
    assert rig.addresses.release("c1", None) == []
    rig.names.add_derived("c1", "web", [IP])
    rig.names.container_gone("c1")
    assert rig.names.of("c1") == []
    for refused in (lambda: rig.names.lookup("web"), lambda: rig.addresses.allocator):
        with pytest.raises(UserError, match="turned off"):
            refused()


async def test_a_name_that_nobody_chose_may_be_none(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.names.add_derived("c1", "not a name", [IP])
    assert "gets no name" in caplog.text


async def test_the_groups_that_are_joined_here_are_said(rig: Rig) -> None:
    group = group_of(IPv4Address("239.1.1.1"))
    rig.engine.groups_joined(Joined(frozenset({group})))
    said = rig.member.node.multicast.channel.interests
    assert list(said.values()) == [Interest(1, frozenset({group}))]


async def test_a_mistake_in_a_turn_does_not_stop_the_clock(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    turned = asyncio.Event()
    turns = 0

    def tick(at: Instant) -> None:
        nonlocal turns
        turns += 1
        if turns == 1:
            raise ValueError("a mistake")
        turned.set()

    monkeypatch.setattr(module, "PAUSE_AFTER_ERROR", 0.0)
    monkeypatch.setattr(rig.member.node, "tick", tick)
    monkeypatch.setattr(rig.member.node, "next_deadline", lambda: now().mono if turns < 2 else float("inf"))
    rig.engine.pump()
    async with asyncio.timeout(20):
        await turned.wait()
    assert "a mistake" in caplog.text


@pytest.mark.parametrize("late", [0.0, 1.0])
async def test_who_comes_late_hears_what_waits_before_it_judges(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, late: float
) -> None:
    turned = asyncio.Event()
    monkeypatch.setattr(rig.member.node, "tick", lambda at: turned.set())
    deadlines = iter([now().mono - late])
    monkeypatch.setattr(rig.member.node, "next_deadline", lambda: next(deadlines, float("inf")))
    rig.path.waiting = [b"frame"]
    rig.engine.pump()
    async with asyncio.timeout(20):
        await turned.wait()
    assert rig.member.carrier.frames == ([b"frame"] if late else [])


async def test_what_comes_in_swarms_is_pumped_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    pumped = []
    collect = rig.member.node.collect
    monkeypatch.setattr(rig.member.node, "collect", lambda at: pumped.append(at) or collect(at))
    for number in range(50):
        rig.engine.frame_received(b"frame")
        rig.engine.link_received(LinkId(number), b"news")
        rig.engine.link_closed(LinkId(number), "over")
        rig.engine.link_dial_failed(("10.99.0.9", 6783), "nobody there")
    assert not pumped
    await asyncio.sleep(0)
    assert 1 <= len(pumped) <= 2


async def test_the_node_is_told_what_the_sleeve_has_to_say(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    for name in ("arrived", "refused", "counted"):
        monkeypatch.setattr(rig.member.node, name, lambda what, at: told.append(what))
    arrival = Arrival(PathId(1), b"hello", Endpoint("10.99.0.2", 6783), 60)
    rig.engine.sleeve_reported(arrival)
    rig.engine.sleeve_reported(Refused(PathId(1), 1400))
    rig.path.counts = {PathId(1): Count(1, 2, 3, 0)}
    rig.engine._tick()
    assert told == [arrival, Refused(PathId(1), 1400), rig.path.counts]


async def test_background_work_that_fails_is_logged(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("lost")

    rig.engine.spawn(fail())
    for _ in range(3):  # the task, its end, and the report of it
        await asyncio.sleep(0)
    assert "lost" in caplog.text


async def test_a_container_that_ends_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tulle.daemon.addresses.ALIVE_CHECK_INTERVAL", 0.0)
    never = asyncio.Event()
    with pytest.raises(RequestCancelled):
        await while_alive("netns:no-such-namespace", never.wait())
    with pytest.raises(RequestCancelled):
        await if_alive("netns:no-such-namespace", never.wait())
    never.set()
    assert await if_alive("some-id-of-an-engine", never.wait())


async def test_what_cannot_be_done_does_not_cost_the_rest(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(tables: Tables) -> None:
        raise OSError("no memory")

    wanted = [[UseTables(Tables()), Frame(b"first"), Frame(b"second")], []]
    monkeypatch.setattr(rig.member.node, "collect", lambda at: wanted.pop(0))
    monkeypatch.setattr(rig.engine, "_orders", {**rig.engine._orders, UseTables: refuse})
    before = len(rig.path.sent)
    rig.engine.pump()
    assert rig.path.sent[before:] == [b"first", b"second"]
    assert "no memory" in caplog.text
