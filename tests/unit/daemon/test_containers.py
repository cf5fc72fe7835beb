"""Attach and detach as a whole: all of it or nothing, and what was forgotten is found again."""

import asyncio
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any, cast

import pytest

from daemon.fakes import FakeAddresses, FakeFiles, FakeNames, FakePorts
from tulle.api.addresses import AutoAddress, ManualAddress
from tulle.api.containers import parse_container
from tulle.api.daemon import AttachRequest, DetachRequest
from tulle.daemon.containers import Containers
from tulle.errors import StorageError, UserError
from tulle.host.container import Container

BOX = "netns:box"
FIRST = IPv4Interface("10.40.0.1/16")


class Rig:
    """Containers of a host on which the namespaces ``alive`` are."""

    def __init__(self) -> None:
        self.addresses, self.names = FakeAddresses(), FakeNames()
        self.ports, self.files = FakePorts(), FakeFiles()
        self.alive = {BOX}
        self.containers = Containers(
            cast(Any, self.addresses), cast(Any, self.names), cast(Any, self.files), cast(Any, self.ports)
        )

    async def find(self, reference: str, ident: str | None = None) -> Container:
        if reference not in self.alive:
            raise UserError(f"{reference} is not there", 404)
        return Container(ident or reference, f"ns-{reference}", reference)

    async def attach(self, *specs: Any, ident: str = BOX, **changes: Any) -> list[IPv4Interface]:
        return await self.containers.attach(AttachRequest(parse_container(ident), specs, **changes))

    async def detach(self, *specs: Any, ident: str = BOX) -> list[IPv4Interface]:
        return await self.containers.detach(DetachRequest(parse_container(ident), specs))

    def is_clean(self) -> bool:
        return not (self.addresses.held() or self.names.holders() or self.ports.there or self.files.written)


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    made = Rig()
    monkeypatch.setattr("tulle.host.container.find_container", made.find)
    return made


async def test_attach_gives_an_address_an_interface_and_a_name(rig: Rig) -> None:
    assert await rig.attach() == [FIRST]
    assert rig.ports.there[BOX].addresses == (FIRST,)
    assert rig.names.known[BOX] == {("box", FIRST.ip)}
    assert BOX in rig.files.written


async def test_attach_may_be_repeated_and_added_to(rig: Rig) -> None:
    await rig.attach()
    assert await rig.attach() == [FIRST]
    manual = IPv4Interface("10.9.0.1/24")
    assert await rig.attach(ManualAddress(manual), AutoAddress(None)) == [manual, FIRST]
    assert rig.ports.there[BOX].addresses == (FIRST, manual)


async def test_the_name_is_the_one_asked_for_or_none(rig: Rig) -> None:
    await rig.attach(hostname="web")
    assert rig.names.known[BOX] == {("web", FIRST.ip)}
    rig.alive.add("netns:other")
    await rig.attach(ident="netns:other", without_dns=True, no_multicast_route=True)
    assert "netns:other" not in rig.names.holders()
    assert rig.ports.routes == [True, False]


async def test_before_a_reset_all_are_taken_off_with_all_they_have(rig: Rig) -> None:
    rig.alive.add("netns:other")
    await rig.attach(AutoAddress(None), ManualAddress(IPv4Interface("10.9.0.1/24")))
    await rig.attach(ident="netns:other")
    await rig.containers.detach_all()
    assert rig.is_clean()


@pytest.mark.parametrize("where", ["addresses", "ports", "names"])
async def test_an_attach_that_cannot_be_completed_leaves_no_address(rig: Rig, where: str) -> None:
    getattr(rig, where).refusal = UserError("no", 409)
    with pytest.raises(UserError, match="no"):
        await rig.attach()
    assert rig.addresses.held() == {}
    assert rig.names.holders() == []


async def test_a_name_that_the_disk_refuses_undoes_the_interface_too(rig: Rig) -> None:
    rig.names.refusal = StorageError("disk full")
    with pytest.raises(StorageError):
        await rig.attach()
    assert rig.is_clean()


async def test_an_attach_that_fails_leaves_what_was_there_before(rig: Rig) -> None:
    await rig.attach()
    rig.names.refusal = UserError("no")
    with pytest.raises(UserError):
        await rig.attach(AutoAddress(IPv4Network("10.40.7.0/24")))
    assert rig.ports.there[BOX].addresses == (FIRST,)
    assert rig.addresses.held() == {BOX: [FIRST]}
    assert rig.names.known[BOX] == {("box", FIRST.ip)}


async def test_an_attach_that_is_called_off_leaves_nothing(rig: Rig) -> None:
    rig.addresses.wait = asyncio.Event()
    attach = asyncio.ensure_future(rig.attach())
    await asyncio.sleep(0)
    attach.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attach
    assert rig.is_clean()


async def test_two_attaches_of_one_container_wait_for_each_other(rig: Rig) -> None:
    rig.addresses.wait = asyncio.Event()
    both = [asyncio.ensure_future(rig.attach()) for _ in range(2)]
    await asyncio.sleep(0)
    rig.addresses.wait.set()
    assert await asyncio.gather(*both) == [[FIRST], [FIRST]]


async def test_a_container_that_is_not_there_is_refused(rig: Rig) -> None:
    with pytest.raises(UserError, match="is not there"):
        await rig.attach(ident="netns:nobody")
    with pytest.raises(UserError, match="netns:nobody is not attached, and is not there"):
        await rig.detach(ident="netns:nobody")


async def test_detach_takes_what_is_meant_and_with_the_last_the_rest(rig: Rig) -> None:
    manual = IPv4Interface("10.9.0.1/24")
    await rig.attach(AutoAddress(None), ManualAddress(manual))
    assert await rig.detach(ManualAddress(manual)) == [manual]
    assert rig.names.known[BOX] == {("box", FIRST.ip)}
    assert await rig.detach() == [FIRST]
    assert rig.is_clean()
    assert await rig.detach() == []


async def test_detach_frees_what_a_dead_container_held(rig: Rig) -> None:
    rig.addresses.holding[BOX] = [FIRST]
    rig.alive.clear()
    assert await rig.detach() == [FIRST]
    assert rig.is_clean()


async def test_a_container_that_dies_is_forgotten_unless_it_is_attached_anew(rig: Rig) -> None:
    await rig.attach()
    attachment = rig.ports.there[BOX]
    rig.containers.gone(attachment)
    assert rig.addresses.held() == {BOX: [FIRST]}, "an older pair of the same container went"
    del rig.ports.there[BOX]
    rig.containers.gone(attachment)
    assert rig.is_clean()


async def test_a_start_adopts_what_is_attached_and_buries_what_is_not(rig: Rig) -> None:
    rig.ports.put(BOX, "10.40.0.9/16")
    rig.addresses.holding["netns:dead"] = [FIRST]
    rig.names.add("netns:named", "x", [FIRST.ip])
    rig.addresses.holding["api-user"] = [IPv4Interface("10.40.0.3/16")]
    await rig.containers.start()
    assert rig.addresses.claimed == [(BOX, IPv4Interface("10.40.0.9/16"))]
    assert set(rig.addresses.held()) == {"api-user"}
    assert rig.names.holders() == []
    assert rig.files.renewed == [BOX]


async def test_what_is_being_attached_is_left_alone_by_reconcile(rig: Rig) -> None:
    rig.addresses.wait = asyncio.Event()
    attach = asyncio.ensure_future(rig.attach())
    await asyncio.sleep(0)
    rig.addresses.holding[BOX] = [IPv4Interface((IPv4Address("10.40.0.50"), 16))]
    rig.containers.reconcile()
    assert BOX in rig.addresses.held()
    rig.addresses.wait.set()
    await attach


async def test_the_files_of_attached_containers_go_with_the_network(rig: Rig) -> None:
    await rig.attach()
    rig.containers.remove_files()
    assert rig.files.written == {}
