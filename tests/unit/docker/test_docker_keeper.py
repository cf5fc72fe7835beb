"""Upkeep where a real engine cannot be had in the state that matters: away, slow, or of two minds."""

import asyncio
from collections.abc import Callable
from ipaddress import IPv4Interface
from typing import Any, cast

import pytest
from daemon.fakes import FakeAddresses, FakeFiles, FakeNames, FakePorts
from test_docker_records import Disk

from tulle.api.addresses import ManualAddress
from tulle.api.containers import ContainerRef
from tulle.api.daemon import AttachRequest, DetachRequest
from tulle.daemon.containers import Containers
from tulle.docker.engine import Config, EngineRefused, EngineUnreachable, HostConfig, Inspected, State
from tulle.docker.keeper import Keeper, make_keeper
from tulle.docker.records import Membership, Memberships
from tulle.errors import StorageError, UserError
from tulle.host.container import Container

ID = "ab" * 32
RUNS, STOPPED = State(running=True, pid=77), State()
ADDRESS = IPv4Interface("10.40.0.1/16")


class FakeEngine:
    """Knows one container, in ``state``; None: none, and an exception is raised by every request."""

    def __init__(self) -> None:
        self.state: State | Exception | None = RUNS
        self.asked = 0

    async def inspect(self, container: str) -> Inspected:
        self.asked += 1
        if isinstance(self.state, Exception):
            raise self.state
        if self.state is None or not (ID.startswith(container) or container == "web"):
            raise EngineRefused("No such container", 404)
        return Inspected(ID, "/web", self.state, Config(hostname=ID[:12]), HostConfig("default"))


class Rig:
    """A keeper among fakes. ``restart_daemon`` keeps the disk and the kernel, and forgets the rest."""

    def __init__(self) -> None:
        self.addresses, self.names = FakeAddresses(), FakeNames()
        self.ports, self.engine, self.disk = FakePorts(), FakeEngine(), Disk()
        self.restart_daemon()

    def restart_daemon(self) -> None:
        parts = (self.addresses, self.names, FakeFiles(), self.ports)
        self.containers = Containers(*cast(Any, parts))
        memberships = Memberships(self.disk.load(), self.disk.commit)
        self.memberships = memberships
        self.keeper: Keeper = make_keeper(
            cast(Any, self.engine), self.containers, "tulle.internal.", memberships
        )

    async def find(self, reference: str, ident: str | None = None) -> Container:
        return Container(ident or reference, f"ns-{ident}", reference)

    async def attach(self, *specs: Any, **changes: Any) -> list[IPv4Interface]:
        return await self.keeper.attach(AttachRequest(ContainerRef("web", "", None), specs, **changes))

    def interface_goes(self) -> None:
        gone = self.ports.there.pop(ID)
        self.containers.gone(gone)

    async def look(self) -> None:
        """A look, to its end."""
        before = self.engine.asked
        self.keeper.looks.at(ID)
        await until(lambda: self.engine.asked > before)
        for _ in range(50):
            await asyncio.sleep(0)

    @property
    def held(self) -> list[IPv4Interface]:
        return list(self.addresses.held().get(ID, ()))


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        for _ in iter(lambda: bool(true()), True):
            await asyncio.sleep(0)


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    made = Rig()
    monkeypatch.setattr("tulle.host.container.find_container", made.find)
    monkeypatch.setattr("tulle.docker.keeper.GRACE", 0.0)
    return made


async def test_what_ends_keeps_its_addresses_for_a_moment_but_not_its_name(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.attach()
    assert rig.names.holders() == [ID]
    monkeypatch.setattr("tulle.docker.keeper.GRACE", 1000.0)
    rig.engine.state = STOPPED
    rig.interface_goes()
    assert rig.names.holders() == []
    await rig.look()
    assert rig.held == [ADDRESS]
    monkeypatch.setattr("tulle.docker.keeper.GRACE", 0.0)
    await rig.look()
    assert rig.held == []
    rig.engine.state = RUNS
    await rig.look()
    assert (rig.held, rig.names.holders()) == ([ADDRESS], [ID])


async def test_what_its_policy_will_start_again_keeps_its_addresses(rig: Rig) -> None:
    await rig.attach()
    rig.engine.state = State(running=True, restarting=True)
    rig.interface_goes()
    await rig.look()
    await rig.look()
    assert (rig.held, rig.names.holders()) == ([ADDRESS], [])


async def test_an_interface_that_somebody_removes_comes_back(rig: Rig) -> None:
    await rig.attach()
    rig.interface_goes()
    await until(lambda: rig.ports.there and rig.names.holders())
    assert rig.ports.there[ID].addresses == (ADDRESS,)


async def test_without_an_engine_the_kernel_decides(rig: Rig) -> None:
    await rig.attach()
    rig.engine.state = EngineUnreachable("/docker.sock", "it ended")
    rig.interface_goes()
    await until(lambda: not rig.held)
    assert rig.memberships.get(ID), "it may come back with the engine"


async def test_after_a_boot_addresses_wait_for_the_engine(rig: Rig) -> None:
    await rig.attach()
    rig.ports.there.clear()
    rig.engine.state = EngineUnreachable("/docker.sock", "no such file")
    rig.restart_daemon()
    rig.containers.reconcile()
    await rig.look()
    assert rig.held == [ADDRESS]
    rig.engine.state = RUNS
    await rig.look()
    assert rig.ports.there[ID].addresses == (ADDRESS,)


async def test_a_container_that_docker_has_forgotten_is_forgotten(rig: Rig) -> None:
    await rig.attach()
    rig.engine.state = None
    await rig.look()
    assert (rig.held, rig.ports.there, rig.memberships.idents()) == ([], {}, [])


@pytest.mark.parametrize("before", [(), (ADDRESS,)])
async def test_an_attach_that_was_broken_off_is_undone(rig: Rig, before: tuple[IPv4Interface, ...]) -> None:
    if before:
        await rig.attach()
    added = IPv4Interface("10.9.0.1/24")
    rig.memberships.put(ID, Membership(addresses=before).begun())
    rig.addresses.holding[ID].append(added)
    rig.ports.put(ID, *map(str, (*before, added)))
    rig.restart_daemon()
    await rig.look()
    assert rig.held == list(before)
    assert [ID in rig.ports.there, ID in rig.memberships.idents()] == [bool(before)] * 2


async def test_an_attach_that_cannot_be_remembered_is_undone(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    attach = rig.ports.attach

    async def fill_the_disk(*arguments: Any, **named: Any) -> Any:
        rig.disk.full = True
        return await attach(*arguments, **named)

    monkeypatch.setattr(rig.ports, "attach", fill_the_disk)
    with pytest.raises(StorageError):
        await rig.attach()
    rig.disk.full = False
    await rig.look()
    assert (rig.held, rig.ports.there, rig.memberships.idents()) == ([], {}, [])


async def test_a_refused_attach_leaves_no_trace_and_adds_to_no_trouble(rig: Rig) -> None:
    rig.ports.refusal = UserError("the kernel says no", 409)
    with pytest.raises(UserError, match="the kernel says no"):
        await rig.attach()
    assert (rig.held, rig.memberships.idents(), rig.disk.records) == ([], [], {})
    rig.ports.refusal = None
    await rig.attach()
    rig.ports.refusal = UserError("not this one", 409)
    with pytest.raises(UserError):
        await rig.attach(ManualAddress(IPv4Interface("10.9.0.1/24")))
    assert len(rig.held) == 1
    assert rig.memberships.get(ID) == Membership(addresses=tuple(rig.held), derived="web.tulle.internal.")


async def test_a_process_id_that_is_another_container_by_now_is_not_believed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def changes(reference: str, ident: str | None = None) -> Container:
        rig.engine.state = State(running=True, pid=78)
        return await rig.find(reference, ident)

    monkeypatch.setattr("tulle.host.container.find_container", changes)
    with pytest.raises(UserError, match="has just ended"):
        await rig.attach()
    assert rig.held == []


async def test_attached_without_a_record_means_that_the_state_was_lost(rig: Rig) -> None:
    rig.ports.put(ID, str(ADDRESS))
    await rig.look()
    assert rig.memberships.get(ID) == Membership(addresses=(ADDRESS,), derived="web.tulle.internal.")
    assert rig.names.holders() == [ID]


async def test_what_was_attached_can_be_detached_without_an_engine(rig: Rig) -> None:
    await rig.attach()
    rig.engine.state = EngineUnreachable("/docker.sock", "it ended")
    freed = await rig.keeper.detach(DetachRequest(ContainerRef(ID[:6], "", None)))
    assert (freed, rig.held, rig.memberships.idents()) == ([ADDRESS], [], [])
    with pytest.raises(EngineUnreachable):
        await rig.keeper.detach(DetachRequest(ContainerRef("web", "", None)))


async def test_names_that_were_added_come_back_where_their_address_does(rig: Rig) -> None:
    await rig.attach()
    rig.names.add(ID, "alias", [ADDRESS.ip])
    rig.engine.state = STOPPED
    rig.interface_goes()
    await until(lambda: not rig.held)
    assert rig.names.holders() == []
    rig.restart_daemon()
    rig.engine.state = RUNS
    await rig.look()
    assert rig.names.known[ID] == {("web.tulle.internal.", ADDRESS.ip), ("alias", ADDRESS.ip)}
    rig.names.known[ID].discard(("alias", ADDRESS.ip))
    rig.interface_goes()
    await until(lambda: rig.ports.there)
    assert rig.names.known[ID] == {("web.tulle.internal.", ADDRESS.ip)}
