"""Keeping lanes: what ``datapath.lanes`` decides is done here, beside everything else and without its help.

A lane is a local matter of two kernels that both have one. Nothing else knows of it; without this keeper, or
where the lanes' UDP port is blocked, frames go as they always do.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from tulle.datapath.carrier import SendFrame
from tulle.datapath.lanes import Answer, LaneEvent, Lanes, Make, Remove, Use
from tulle.datapath.tables import ShortId, Tables
from tulle.datapath.tapframe import Way
from tulle.host import lane_device
from tulle.host.bpf.layout import TICK_SECONDS, LaneValue, Traffic
from tulle.host.bpf.map import Map
from tulle.host.tap import Tap
from tulle.instant import Instant

log = logging.getLogger(__name__)


@dataclass(slots=True)
class LanePrograms:
    """What a lane needs of the kernel path: its programs and maps. The keeper closes them.

    ``forget`` makes void what processors remember of routes.
    """

    outwards: int
    inwards: int
    lanes: Map[ShortId, LaneValue]
    peers: Map[int, ShortId]
    forget: Callable[[], None]

    def close(self) -> None:
        """Let go of the descriptors. May be called twice."""
        for program in {self.outwards, self.inwards} - {-1}:
            os.close(program)
        self.outwards = self.inwards = -1
        self.lanes.close()
        self.peers.close()


class LaneKeeper:
    """Makes and removes lanes as traffic comes and goes, as long as its task runs."""

    def __init__(self, bridge: str, port: int, mtu: int, tap: Tap, programs: LanePrograms) -> None:
        self._bridge = bridge
        self._port = port
        self._mtu = mtu
        self._tap = tap
        self._programs = programs
        self._lanes = Lanes(mtu, int.from_bytes(os.urandom(8), "big"))
        self._events: list[LaneEvent] = []
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def lanes(self) -> Lanes:
        """For status: who has a lane."""
        return self._lanes

    def start(self) -> None:
        """Keep lanes from now on, in the running event loop."""
        self._tap.divert(Way.LANE, self._answer)
        self._task = asyncio.get_running_loop().create_task(self._run())

    def close(self) -> None:
        """Leave the lanes to the next daemon. Until it comes the kernel uses them no longer."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        for peer in self._lanes.in_use():
            with contextlib.suppress(OSError):
                self._set(peer, until=0)
        self._programs.close()

    def adopt(self, tables: Tables) -> None:
        """Take over the lanes that an earlier daemon left; remove those that do not fit."""
        for peer, index in list(lane_device.lanes_of(self._bridge)):
            known = self._programs.lanes.get(peer)
            hop = tables.direct.get(peer)
            if known is None or known.ifindex != index or hop is None or tables.self_id is None:
                self._forget(peer)
                lane_device.remove(index)
                continue
            self._programs.peers.set(index, peer)
            lane_device.join(self._bridge, index, self._programs.outwards, self._programs.inwards)
            self._set(peer, closing=0)
            self._lanes.adopt(peer, tables.self_id, hop, _now())

    def look(self, tables: Tables, traffic: Callable[[ShortId], Traffic]) -> None:
        """Consider who deserves a lane; to be called every few seconds."""
        totals = {peer: traffic(peer) for peer in tables.direct}
        octets = {peer: one.tx_bytes + one.rx_bytes for peer, one in totals.items()}
        self._lanes.look(tables, octets, _now())
        self._wake()

    def _answer(self, data: bytes) -> None:
        self._lanes.frame(data, _now())
        self._wake()

    def _wake(self) -> None:
        self._events += self._lanes.collect()
        if self._events:
            self._woken.set()

    async def _pause(self) -> None:
        """Until something is due or to be done."""
        due = self._lanes.next_deadline() - _now().mono
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), max(0.01, due) if due < float("inf") else None)
        self._woken.clear()

    async def _run(self) -> None:
        while True:
            await self._pause()
            self._tap.drain_again()
            self._lanes.tick(_now())
            events, self._events = [*self._events, *self._lanes.collect()], []
            for event in events:
                try:
                    await self._do(event)
                except OSError as error:
                    log.warning("the kernel refuses a change to a lane (%s): %s", event, error)

    async def _do(self, event: LaneEvent) -> None:
        match event:
            case SendFrame(data):
                self._tap.write(data)
            case Use(peer, seconds):
                self._set(peer, until=_ticks(seconds) if seconds else 0)
            case Answer(peer, answering):
                self._set(peer, closing=int(not answering))
            case Make(peer):
                await self._make(event)
            case Remove(peer):
                index = self._forget(peer)
                if index:
                    await asyncio.to_thread(lane_device.remove, index)

    async def _make(self, event: Make) -> None:
        try:
            index = await asyncio.to_thread(
                lane_device.make, self._bridge, event.me, event.peer, event.hop, self._port, self._mtu
            )
            self._programs.peers.set(index, event.peer)
            self._programs.lanes.set(event.peer, LaneValue(index))
            await asyncio.to_thread(
                lane_device.join, self._bridge, index, self._programs.outwards, self._programs.inwards
            )
        except OSError as error:
            log.warning("no lane to the busy peer with short id %d: %s", event.peer, error)
            self._forget(event.peer)
            self._lanes.failed(event.peer, _now())
        else:
            self._lanes.made(event.peer, _now())

    def _set(self, peer: ShortId, *, until: int | None = None, closing: int | None = None) -> None:
        """Change what the kernel knows of a lane."""
        lane = self._programs.lanes.get(peer) or LaneValue()
        turned = until is not None and bool(until) != bool(lane.until)
        if until is not None:
            lane = lane._replace(until=until)
        if closing is not None:
            lane = lane._replace(closing=closing)
        self._programs.lanes.set(peer, lane)
        if turned:
            self._programs.forget()

    def _forget(self, peer: ShortId) -> int:
        """Take a lane out of the kernel's tables; its device, 0 if there was none."""
        lane = self._programs.lanes.get(peer) or LaneValue()
        self._programs.lanes.set(peer, LaneValue())
        self._programs.peers.delete(lane.ifindex)
        return lane.ifindex


def _now() -> Instant:
    return Instant(time.monotonic(), time.time())


def _ticks(seconds: float) -> int:
    """The kernel's tick so many seconds from now; its clock does not count suspended time."""
    return int((time.clock_gettime(time.CLOCK_MONOTONIC) + seconds) / TICK_SECONDS) & 0xFFFFFFFF
