"""Hundreds of daemons, simulated: how long until all know the same, what gossip costs, what one peer needs.

``python -m bench.scale [COUNT...]`` prints what it measures as JSON; no root is needed. The daemons are the
product's own objects on a virtual clock, each told of four others (see ``tulle simulate``), so times to one
state and bytes do not depend on this machine; only processor time does. Each size runs in a process of its
own; see ``scale_one`` for the memory of one peer.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.resident import resident_bytes
from bench.scale_one import Recording, settings
from tulle.sim.agreement import disagreement
from tulle.sim.clock import Clock
from tulle.sim.network import Network
from tulle.sim.world import World

SIZES = (25, 50, 100, 200, 300, 1000)
WATCHED = 20
"""The peer whose life is told again to it alone."""
LINKS = 4
IDLE = CHURN = 60.0
DOWN_SECONDS = 15.0
CHURN_SHARE = 0.01
"""Of all daemons, per minute."""
CHURNED = 300
"""Larger clusters are left alone but for one restart: a minute of churn takes the bench an hour."""
PATIENCE = 120.0
LOOK_EVERY = 0.25
BARE_EVENTS = 300_000


def run() -> dict[str, Any]:
    """All sizes, and the simulator itself."""
    return {
        "sizes": [_in_process("bench.scale", str(count)) for count in SIZES],
        "bare_events_per_s": _in_process("bench.scale", "bare")["events_per_s"],
    }


def _in_process(module: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parents[1]
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def measure(count: int) -> dict[str, Any]:
    """One cluster: cold start, idle, churn if it is not too large, and one restart."""
    before = resident_bytes()
    world = World(settings(count, LINKS), "scale")
    began, events = time.process_time(), world.clock.events
    cold = _Span(world)
    for machine in world.machines.values():
        world.start(machine.number)
    watched = Recording(world, WATCHED)
    world.machines[1].launch("first", "first")
    cold_s = _settle(world)
    result: dict[str, Any] = {"peers": count, "links_per_peer": LINKS, "cold_s": cold_s}
    result["cold_bytes"], result["cold_messages"], result["cold_cpu_s"] = cold.per_peer()
    idle = _Span(world)
    world.clock.run_until(world.clock.mono + IDLE)
    result["one"] = _alone(watched, cold_s)
    result["idle_bytes"], result["idle_messages"], result["idle_cpu_s"] = idle.per_peer()
    if count <= CHURNED:
        result |= _under_churn(world)
    result["restart_s"] = _restart(world)
    result["memory_bytes"] = (resident_bytes() - before) / count
    cpu = time.process_time() - began
    return {**result, "cpu_s": cpu, "events_per_s": (world.clock.events - events) / cpu}


class _Span:
    """What is sent, and how much processor time passes, from now on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._bytes, self._pieces = world.network.total_bytes, world.network.pieces
        self._cpu = time.process_time()

    def per_peer(self) -> tuple[float, float, float]:
        """Bytes, messages (as written to a stream) and seconds."""
        network, count = self._world.network, len(self._world.machines)
        sent, pieces = network.total_bytes - self._bytes, network.pieces - self._pieces
        return sent / count, pieces / count, (time.process_time() - self._cpu) / count


def _under_churn(world: World) -> dict[str, float]:
    """Some daemons are killed and come back."""
    churn = _Span(world)
    _churn(world, max(1, round(len(world.machines) * CHURN_SHARE)))
    sent, messages, cpu = churn.per_peer()
    _settle(world)
    return {"churn_bytes": sent, "churn_messages": messages, "churn_cpu_s": cpu}


def _restart(world: World) -> float:
    """One daemon is killed and starts again at once; how long until all have one state."""
    number = len(world.machines) // 2
    world.crash(number, power=False)
    world.start(number)
    return _settle(world)


def _alone(watched: Recording, cold_s: float) -> dict[str, float]:
    """What the watched peer needs by itself."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "told")
        watched.save(path)
        return _in_process("bench.scale_one", str(path), str(cold_s), str(cold_s + IDLE))


def _settle(world: World) -> float:
    """Let time pass until all have one state; how long it took in virtual seconds."""
    begin = world.clock.mono
    while missing := disagreement(world, everything=True):
        if world.clock.mono - begin > PATIENCE:
            raise TimeoutError(missing)
        world.clock.run_until(world.clock.mono + LOOK_EVERY)
    return world.clock.mono - begin


def _churn(world: World, times: int) -> None:
    """Some daemons are killed, spread over a minute, and start again."""
    count, begin = len(world.machines), world.clock.mono
    for number in range(times):
        at, host = begin + CHURN * number / times, 1 + (number * 7919) % count
        world.clock.call_at(at, world.crash, host, False)
        world.clock.call_at(at + DOWN_SECONDS, world.start, host)
    world.clock.run_until(begin + CHURN + DOWN_SECONDS)


def measure_bare() -> dict[str, Any]:
    """The simulator alone: streams between hosts that have nothing to do with what arrives."""
    clock, began = _echoes(), time.process_time()
    while clock.events < BARE_EVENTS:
        clock.run_until(clock.mono + 1)
    return {"events_per_s": clock.events / (time.process_time() - began)}


class _Echo:
    """A host that sends back what it gets."""

    def __init__(self, network: Network, number: int) -> None:
        self.ip, self.port, self._network = f"10.0.0.{number}", 6783, network

    def accept(self, connection: int, remote: object) -> bool:
        return True

    def dialled(self, connection: int, target: object, local: object) -> None:
        for _ in range(10):
            self._network.send(connection, b"x" * 100)

    def dial_failed(self, target: object, reason: str) -> None:
        raise AssertionError(reason)

    def received(self, connection: int, data: bytes) -> None:
        self._network.send(connection, data)

    def writable(self, connection: int) -> None:
        """There is always room."""

    def closed(self, connection: int, reason: str) -> None:
        raise AssertionError(reason)


def _echoes() -> Clock:
    network = Network()
    hosts = [_Echo(network, number) for number in range(1, 101)]
    for host in hosts:
        network.add(host)
        network.dial(host, (hosts[0].ip, host.port))
    return network.clock


def main() -> None:
    """Measure one thing, or everything."""
    for what in sys.argv[1:]:
        print(json.dumps(measure_bare() if what == "bare" else measure(int(what))))
    if not sys.argv[1:]:
        print(json.dumps(run(), indent=1))


if __name__ == "__main__":
    main()
