"""The judge is not blind: mistakes that are planted in the product are found, and by their name."""

from collections.abc import Callable

import pytest

from tulle.instant import Instant
from tulle.ipam.paxos import Elector
from tulle.ipam.takeover import Takeovers
from tulle.mesh.events import LinkId
from tulle.mesh.mesh import Mesh
from tulle.names.nameserver import Nameserver
from tulle.sim.disk import Disk
from tulle.sim.run import run
from tulle.sim.scenarios import SCENARIOS
from tulle.sim.sleeve import SleeveSide

Plant = Callable[[pytest.MonkeyPatch], None]


def _forgetful_disk(patch: pytest.MonkeyPatch) -> None:
    commit = Disk.commit
    patch.setattr(Disk, "commit", lambda disk, rows: commit(disk, [r for r in rows if r.kind != "ipam-held"]))


def _minority(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Elector, "quorum", property(lambda elector: 1, lambda elector, size: None), raising=False)


def _ghost_names(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Nameserver, "container_gone", lambda *arguments: 0)


def _greedy_heirs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Takeovers, "_heir", lambda takeovers, inquiry: takeovers._territory.me)


def _hoarding(patch: pytest.MonkeyPatch) -> None:
    received = Mesh.received
    hoard: list[bytes] = []

    def keep(mesh: Mesh, link: LinkId, data: bytes, now: Instant) -> None:
        hoard.append(data)
        mesh.hoard = hoard  # type: ignore[attr-defined]
        received(mesh, link, data, now)

    patch.setattr(Mesh, "received", keep)


def _nameless(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SleeveSide, "sender", lambda side, index: None)


@pytest.mark.parametrize(
    ("plant", "scenario", "found"),
    [
        (_forgetful_disk, "chaos", "after its restart"),
        (_minority, "first-division", "have one address"),
        (_ghost_names, "names-within-a-second", "has 1 addresses"),
        (_hoarding, "flapping-partition", "things in memory"),
        (_nameless, "tunnels-blocked", "0 times"),
        (_greedy_heirs, "rmpeer-by-two", "in its own eyes"),
    ],
)
def test_a_planted_mistake_is_found(
    monkeypatch: pytest.MonkeyPatch, plant: Plant, scenario: str, found: str
) -> None:
    plant(monkeypatch)
    failures = (run(SCENARIOS[scenario], seed).failure for seed in range(12))
    assert any(found in failure for failure in failures)
