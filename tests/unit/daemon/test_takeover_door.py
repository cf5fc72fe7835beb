"""A lost peer's addresses are taken only when its door says that nobody is there, or by force."""

from types import SimpleNamespace
from typing import cast

import pytest

from tulle.daemon.addresses import Addresses
from tulle.daemon.engine import Engine
from tulle.daemon.knocking import Door
from tulle.daemon.requests import Tickets
from tulle.errors import UserError
from tulle.ipam.takeover import TakenOver
from tulle.mesh.events import Address
from tulle.mesh.peername import PeerName

LOST, OTHER = PeerName(3), PeerName(4)
PLACE = ("10.0.0.3", 6783)


class Stage:
    """An engine with an allocator that grants every takeover, and a door with an answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, door: Door = Door.SILENT) -> None:
        self.taken: list[bool] = []
        self.knocked: list[Address] = []
        self.reachable: set[PeerName] = set()
        self.place: Address | None = PLACE
        self.at_home: PeerName | None = None
        self.tickets = Tickets(lambda ticket: None)
        mesh = SimpleNamespace(
            address_of=lambda peer: self.place,
            peer_at=lambda address: self.at_home,
            routes=SimpleNamespace(unicast_all=self.reachable),
            label=str,
        )
        ipam = SimpleNamespace(
            ring=SimpleNamespace(owners={LOST}),
            find_peer=lambda text: LOST,
            label=lambda peer: "h3",
            takeover=self._takeover,
        )
        node = SimpleNamespace(mesh=mesh, ipam=ipam, forget_ghost=lambda peer: None)
        engine = SimpleNamespace(node=node, tickets=self.tickets, pump=lambda: None)
        self.addresses = Addresses(cast(Engine, engine))

        async def knock(address: Address) -> Door:
            self.knocked.append(address)
            return door

        monkeypatch.setattr("tulle.daemon.addresses.knock", knock)

    def _takeover(self, ticket: int, peer: PeerName, now: object, force: bool) -> None:
        self.taken.append(force)
        self.tickets.done(ticket, TakenOver(peer, (), ()))


async def test_silence_is_no_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, Door.SILENT)
    with pytest.raises(UserError, match="may be off, or run and be cut off"):
        await stage.addresses.takeover("h3", force=False)
    assert (stage.taken, stage.knocked) == ([], [PLACE])


async def test_a_machine_without_a_daemon_can_be_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, Door.CLOSED)
    await stage.addresses.takeover("h3", force=False)
    assert stage.taken == [False]


async def test_force_does_not_knock(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, Door.OPEN)
    await stage.addresses.takeover("h3", force=True)
    assert (stage.taken, stage.knocked) == ([True], [])


async def test_who_can_be_reached_is_the_allocators_to_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, Door.OPEN)
    stage.reachable.add(LOST)
    await stage.addresses.takeover("h3", force=False)
    assert (stage.taken, stage.knocked) == ([False], [])


async def test_a_machine_that_lives_on_under_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, Door.OPEN)
    stage.at_home = OTHER
    await stage.addresses.takeover("h3", force=False)
    assert stage.taken == [False]


async def test_a_peer_that_was_never_met(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    stage.place = None
    with pytest.raises(UserError, match="not known where h3 was"):
        await stage.addresses.takeover("h3", force=False)
    assert stage.taken == []
