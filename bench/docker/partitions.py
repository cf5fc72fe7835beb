"""What still works on each side of a partition: with the overlay of a swarm, and with tulle.

The three engines are the managers of the swarm. On every host of every side somebody makes a network, runs a
container on the network that was there before, asks for it by name from another container of that host, and
removes it; with both systems at the same time, by the same commands.
"""

import contextlib
import statistics
import subprocess
import threading
import time
from collections import defaultdict
from typing import Any

from bench.docker.ground import OVERLAY, TULLE, Ground
from lab.engines import Engine
from lab.wait import wait_until

PATIENCE = 40
"""Seconds after which an operation counts as failed; the engine itself gives up after 20."""

Sides = tuple[tuple[int, ...], ...]
SITUATIONS: tuple[tuple[str, Sides], ...] = (
    ("no partition", ((1, 2, 3),)),
    ("one manager cut off", ((1, 2), (3,))),
    ("every manager by itself", ((1,), (2,), (3,))),
    ("healed", ((1, 2, 3),)),
)
SYSTEMS = {"overlay": ("overlay", OVERLAY), "tulle": ("tulle", TULLE)}
OPERATIONS = ("network create", "run", "find by name", "rm")

Tried = dict[tuple[str, int, str], tuple[bool, float]]
"""By system, host and operation: whether it succeeded, and after how many seconds that was known."""


def run(ground: Ground) -> tuple[list[dict[str, Any]], list[Any]]:
    """For each situation, side, system and operation: how many succeeded, and how long they took."""
    engines = {engine.host.number: engine for engine in ground.engines}
    _prepare(engines)
    rows = []
    for number, (title, sides) in enumerate(SITUATIONS):
        ground.lab.partition(*[[engines[one].host for one in side] for side in sides])
        tried = _work(engines, number)
        rows += [
            _row(title, side, system, what, tried)
            for system in SYSTEMS
            for side in sides
            for what in OPERATIONS
        ]
        ground.lab.heal()
        with contextlib.suppress(AssertionError):  # if it never has, the next table says so
            wait_until(lambda: all(map(_has_leader, engines.values())), 180, "the swarm has a leader again")
    ours = [row for row in rows if row["system"] == "tulle"]
    share = sum(row["succeeded"] for row in ours) / sum(row["tried"] for row in ours)
    what = "Docker operations that succeed on every side of every partition, share"
    return rows, [(what, f"{share:.2f}", "at least 1", share >= 1)]


def _prepare(engines: dict[int, Engine]) -> None:
    """Somebody who asks, on each host and network."""
    for engine in engines.values():
        for system, (_, network) in SYSTEMS.items():
            engine.run(f"{system}-asker", options=["--network", network])


def _has_leader(engine: Engine) -> bool:
    try:
        return engine.docker("node", "ls", check=False, timeout=PATIENCE).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _work(engines: dict[int, Engine], turn: int) -> Tried:
    tried: Tried = {}
    threads = [
        threading.Thread(target=_one_host, args=(engine, number, system, turn, tried))
        for number, engine in engines.items()
        for system in SYSTEMS
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tried


def _one_host(engine: Engine, number: int, system: str, turn: int, tried: Tried) -> None:
    driver, network = SYSTEMS[system]
    name = f"p{turn}-{system}-{number}"
    how = {
        "overlay": ["--attachable"],
        "tulle": ["--ipam-driver", driver, "--subnet", f"10.44.{10 * turn + number}.0/24"],
    }
    commands = {
        "network create": ["network", "create", "--driver", driver, *how[system], f"{name}-net"],
        "run": ["run", "--detach", "--name", name, "--network", network, engine.image, "sleep", "infinity"],
        "find by name": ["exec", f"{system}-asker", "ping", "-c", "1", "-W", "2", name],
        "rm": ["rm", "--force", name],
    }
    for what, command in commands.items():
        began = time.monotonic()
        try:
            worked = engine.docker(*command, check=False, timeout=PATIENCE).returncode == 0
        except subprocess.TimeoutExpired:
            worked = False
        tried[system, number, what] = (worked, time.monotonic() - began)


def _row(title: str, side: tuple[int, ...], system: str, what: str, tried: Tried) -> dict[str, Any]:
    results: dict[bool, list[float]] = defaultdict(list)
    for number in side:
        worked, seconds = tried[system, number, what]
        results[worked].append(seconds)
    return {
        "situation": title,
        "side": list(side),
        "system": system,
        "operation": what,
        "tried": len(side),
        "succeeded": len(results[True]),
        "median_s": statistics.median(results[True]) if results[True] else None,
        "refused_after_s": max(results[False], default=None),
    }
