"""What one peer of a simulated cluster needs: everything that it was told is told again to it alone.

In a process of its own, whose memory and processor time are those of this one peer, Python included.
"""

import pickle
import sys
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from bench.resident import resident_bytes
from tulle.mesh.peername import PeerName
from tulle.names.nameserver import Nameserver
from tulle.sim.daemon import Daemon
from tulle.sim.settings import DOMAIN, Settings, name_of
from tulle.sim.world import World

TOLD = ("accept", "dialled", "dial_failed", "received", "closed")
NAMES = 10_000
NAMES_OF_ONE = 40

Told = tuple[float, str, tuple[Any, ...]]


def settings(count: int, links: int) -> Settings:
    """Of the cluster, as in ``bench.scale``."""
    return Settings(hosts=count, universe=IPv4Network("10.32.0.0/12"), links=links, discovery=False)


class Recording:
    """Notes everything that a daemon is told by the network."""

    def __init__(self, world: World, number: int) -> None:
        self._told: list[Told] = []
        self._world, self._number = world, number
        daemon = world.machines[number].daemon
        assert daemon is not None
        for method in TOLD:
            setattr(daemon, method, self._noting(method, getattr(daemon, method)))

    def _noting(self, method: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def note(*arguments: Any) -> Any:
            self._told.append((self._world.clock.mono, method, arguments))
            return call(*arguments)

        return note

    def save(self, path: Path) -> None:
        """Write it down for ``replay``."""
        cluster = self._world.settings
        told = (cluster.hosts, cluster.links, self._number, self._world.clock.mono, self._told)
        path.write_bytes(pickle.dumps(told))


def replay(path: Path, idle_from: float, idle_until: float) -> dict[str, float]:
    """Tell one peer all of it, then 10,000 names."""
    count, links, number, until, told = pickle.loads(path.read_bytes())
    before = resident_bytes()
    world = World(settings(count, links), "scale")
    network = world.network
    for silent in ("dial", "send", "close"):
        setattr(network, silent, lambda *arguments: None)
    network.room = lambda connection: True  # type: ignore[method-assign]
    world.start(number)
    daemon = world.machines[number].daemon
    assert daemon is not None
    for mono, method, arguments in told:
        world.clock.call_at(mono, getattr(daemon, method), *arguments)
    spent = [_spent(world, moment) for moment in (idle_from, idle_until, until)]
    assert len(daemon.node.mesh.peers()) == count
    began = time.process_time()
    _name_all(daemon, count)
    world.clock.run_until(world.clock.mono + 1)
    return {
        "start_cpu_s": spent[0],
        "idle_cpu_share": spent[1] / (idle_until - idle_from),
        "names": len(daemon.names.entries()),
        "names_cpu_s": time.process_time() - began,
        "grown_bytes": resident_bytes() - before,
        "memory_bytes": resident_bytes(),
    }


def _spent(world: World, moment: float) -> float:
    began = time.process_time()
    world.clock.run_until(moment)
    return time.process_time() - began


def _name_all(daemon: Daemon, count: int) -> None:
    """Names of containers on all hosts, as gossip brings them."""
    sender = next(iter(daemon.node.mesh.natives()))
    hosts = [name_of(number) for number in range(1, count + 1) if name_of(number) != daemon.name]
    for first in range(0, NAMES, NAMES_OF_ONE):
        payloads = _names_of(hosts[first // NAMES_OF_ONE % len(hosts)], first, daemon)
        for payload in payloads:
            daemon.do(lambda p=payload: daemon.names.merge("weave", p, sender, True, daemon.now))  # type: ignore[misc,arg-type]


def _names_of(host: PeerName, first: int, daemon: Daemon) -> list[bytes]:
    server = Nameserver(host, DOMAIN)
    for number in range(first, first + NAMES_OF_ONE):
        address = IPv4Address(int(IPv4Address("10.32.0.0")) + number)
        server.add(f"container-{number:052x}", f"name-{number}", address, daemon.now)
    return server.encode_all("weave", daemon.now)


if __name__ == "__main__":
    import json

    print(json.dumps(replay(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))))
