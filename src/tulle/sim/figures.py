"""How a cluster fares over time, measured once a second."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tulle.sim.world import World

SAMPLED_HOSTS = 25
"""How many hosts are asked each time how many others they reach."""


@dataclass(slots=True)
class Figures:
    """One value per sample. ``reach`` is the share of running hosts that a host has a way to, on average."""

    seconds: list[float] = field(default_factory=list)
    daemons: list[float] = field(default_factory=list)
    reach: list[float] = field(default_factory=list)
    bytes_per_peer: list[float] = field(default_factory=list)
    containers: list[float] = field(default_factory=list)
    waiting: list[float] = field(default_factory=list)


TITLES = {
    "daemons": "daemons that run",
    "reach": "share of the others that a host reaches",
    "bytes_per_peer": "bytes sent per second and host",
    "containers": "containers with an address",
    "waiting": "requests that wait",
}


class Observer:
    """Fills ``figures`` while a world runs; ``heard`` is told the virtual time after each sample."""

    def __init__(self, heard: Callable[[float], None] = lambda mono: None, interval: float = 1.0) -> None:
        self.figures = Figures()
        self._heard, self._interval = heard, interval
        self._bytes = 0

    def watch(self, world: World) -> None:
        """Begin."""
        world.clock.call_after(self._interval, self._sample, world)

    def _sample(self, world: World) -> None:
        figures, running = self.figures, world.running()
        sent, self._bytes = world.network.total_bytes - self._bytes, world.network.total_bytes
        figures.seconds.append(world.clock.mono)
        figures.daemons.append(len(running))
        figures.bytes_per_peer.append(sent / self._interval / max(1, len(running)))
        figures.containers.append(sum(len(machine.containers) for machine in world.machines.values()))
        figures.waiting.append(sum(len(machine.waiting) for machine in running))
        figures.reach.append(_reach(world))
        self._heard(world.clock.mono)
        world.clock.call_after(self._interval, self._sample, world)


def _reach(world: World) -> float:
    running = world.running()
    if len(running) < 2:
        return 1.0
    some = running[:: max(1, len(running) // SAMPLED_HOSTS)]
    names = {machine.name for machine in running}
    found = [
        len(names & machine.daemon.node.mesh.routes.unicast.keys()) for machine in some if machine.daemon
    ]
    return sum(found) / (len(some) * (len(running) - 1))
