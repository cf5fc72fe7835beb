import asyncio
import logging
import os
import struct
from pathlib import Path

import pytest

from tulle.host.pm_qos import OFTEN, WINDOW, PmQos


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def device(tmp_path: Path) -> Path:
    path = tmp_path / "cpu_dma_latency"
    path.write_bytes(b"")
    return path


def held(device: Path) -> bool:
    """Whether this process has it open."""
    links = Path("/proc/self/fd").iterdir()
    return str(device) in [os.readlink(link) for link in links if link.is_symlink()]


def written(device: Path) -> bytes:
    return device.read_bytes()


async def until_halting(device: Path) -> None:
    while held(device):  # noqa: ASYNC110 - what ends it has no event
        await asyncio.sleep(0.01)


def come(pm_qos: PmQos, clock: Clock, number: int, interval: float) -> list[bool]:
    given = []
    for _ in range(number):
        clock.now += interval
        given.append(pm_qos.came())
    return given


async def test_frames_that_come_often_keep_processors_awake(device: Path) -> None:
    clock = Clock()
    pm_qos = PmQos(str(device), clock)
    assert come(pm_qos, clock, OFTEN, 0.001) == [False] * OFTEN, "nothing is known of the time before"
    assert come(pm_qos, clock, OFTEN, 0.001) == [False] * (OFTEN - 1) + [True], "one timer"
    assert held(device)
    assert written(device) == struct.pack("@i", 0)
    pm_qos.release()
    assert not held(device)


async def test_they_may_halt_when_fewer_come(device: Path) -> None:
    clock = Clock()
    pm_qos = PmQos(str(device), clock)
    come(pm_qos, clock, 2 * OFTEN, 0.001)
    assert held(device)
    await until_halting(device)
    come(pm_qos, clock, 2 * OFTEN, 0.001)
    assert held(device), "and are kept awake again"
    pm_qos.release()


async def test_they_are_awake_while_frames_keep_coming(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, looks = Clock(), []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_later", lambda delay, look: looks.append(look) or loop.call_at(1e9, look))
    pm_qos = PmQos(str(device), clock)
    come(pm_qos, clock, 2 * OFTEN, 0.001)
    for _ in range(3):
        assert come(pm_qos, clock, OFTEN, 0.001) == [False] * OFTEN, "it has its timer"
        looks[-1]()
        assert held(device)
    come(pm_qos, clock, OFTEN - 1, 0.001)
    looks[-1]()
    assert not held(device)
    assert len(looks) == 4


def test_frames_that_come_seldom_change_nothing(device: Path) -> None:
    clock = Clock()
    pm_qos = PmQos(str(device), clock)
    assert not any(come(pm_qos, clock, 5 * OFTEN, 1.01 * WINDOW / OFTEN)), "no loop is needed"
    assert not held(device)


@pytest.mark.parametrize("name", ["missing", "."])
async def test_a_host_without_the_device_is_no_error(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    clock = Clock()
    pm_qos = PmQos(str(tmp_path / name), clock)
    assert not any(come(pm_qos, clock, 10 * OFTEN, 0.001))
    assert len([one for one in caplog.records if "cannot be used" in one.message]) == 1
