"""The keeper of lanes, with a kernel that refuses."""

import asyncio
from unittest.mock import Mock

import pytest

from tulle.datapath.carrier import SendFrame
from tulle.datapath.lanes import Remove, Use
from tulle.datapath.tables import ShortId
from tulle.host.bpf.layout import LaneValue
from tulle.host.lanes import LaneKeeper, LanePrograms

PEER = ShortId(7)


async def test_what_the_kernel_refuses_does_not_end_the_keeping(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tap, lanes = Mock(), Mock()
    lanes.get.return_value = LaneValue(9, 5)
    lanes.set.side_effect = OSError("no memory")
    keeper = LaneKeeper("tulle", 6785, 1376, tap, LanePrograms(-1, -1, lanes, Mock(), Mock()))
    written = asyncio.Event()
    tap.write.side_effect = lambda data: written.set()
    keeper.start()
    keeper._events = [Use(PEER, 0.0), Remove(PEER), SendFrame(b"later")]
    keeper._woken.set()
    async with asyncio.timeout(20):
        await written.wait()
    tap.write.assert_called_once_with(b"later")
    assert caplog.text.count("no memory") == 2
    lanes.set.side_effect = None
    assert keeper._task is not None
    keeper._task.cancel()


def test_a_closed_keeper_lets_go_of_its_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[int] = []
    monkeypatch.setattr("os.close", closed.append)
    lanes, peers = Mock(), Mock()
    LaneKeeper("tulle", 6785, 1376, Mock(), LanePrograms(3, 4, lanes, peers, Mock())).close()
    assert closed == [3, 4]
    for table in (lanes, peers):
        table.close.assert_called_once_with()
