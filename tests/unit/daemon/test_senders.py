"""Whose tunnelled frames the firewall lets in, as the tables change."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from tulle.daemon import kernel as module
from tulle.daemon.kernel import Kernel
from tulle.datapath.tables import Hop, ShortId, Tables, sleeve_hop


@dataclass
class Change:
    drop_routes: tuple[int, ...] = ()


class Path:
    def apply(self, tables: Tables) -> Change:
        return Change()

    def missing(self) -> list[str]:
        return []


@dataclass
class Firewall:
    allowed: list[frozenset[str]] = field(default_factory=list)

    async def set_peers(self, addresses: Any) -> None:
        self.allowed.append(frozenset(addresses))


@dataclass
class Bridge:
    adopted: bool = False
    name: str = "tulle"
    index: int = 1


def tables(*addresses: str) -> Tables:
    hops = {number: Hop(address, "10.99.0.1") for number, address in enumerate(addresses, 2)}
    return Tables(self_id=1, routes=hops, trees={}, direct=hops)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def open_kernel(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Firewall]:
    monkeypatch.setattr(module, "interface_is", lambda name, index: True)
    firewall = Firewall()
    nothing: Any = None
    fakes: Any = (nothing, Bridge(), Path(), firewall, nothing, nothing, nothing)
    return Kernel(*fakes), firewall


async def test_an_address_may_send_for_a_while_after_it_left(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, firewall = await open_kernel(monkeypatch)
    kernel.use_tables(tables("10.99.0.2", "10.99.0.3"))
    await settle()
    kernel.use_tables(tables("10.99.0.2"))
    await settle()
    assert firewall.allowed == [{"10.99.0.2", "10.99.0.3"}]
    await kernel._stop_tasks()


async def test_a_neighbour_by_the_sleeve_may_not_write_to_the_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, firewall = await open_kernel(monkeypatch)
    kernel.use_tables(
        Tables(ShortId(1), {}, {ShortId(2): sleeve_hop(ShortId(2)), ShortId(3): Hop("10.99.0.3", "")})
    )
    await settle()
    assert firewall.allowed == [{"10.99.0.3"}]
    await kernel._stop_tasks()


async def test_and_no_longer_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINGER", 0.0)
    kernel, firewall = await open_kernel(monkeypatch)
    kernel.use_tables(tables("10.99.0.2", "10.99.0.3"))
    await settle()
    kernel.use_tables(tables("10.99.0.2"))
    await settle()
    assert firewall.allowed[-1] == {"10.99.0.2"}
    await kernel._stop_tasks()


async def test_one_that_returns_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, firewall = await open_kernel(monkeypatch)
    for addresses in (["10.99.0.2"], [], ["10.99.0.2"]):
        kernel.use_tables(tables(*addresses))
    assert kernel._senders == {"10.99.0.2": float("inf")}
    await settle()
    assert firewall.allowed == [{"10.99.0.2"}]
    await kernel._stop_tasks()
