"""Fifty containers started at once on each of three engines, until every host resolves every name.

All are asked of the engines' API at the same moment. A container that was there before asks, on each host,
the name server that Docker gave it, as the programs in it would. A start that is refused is tried again.
"""

import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

from bench.docker.ground import DOMAIN, OVERLAY, TULLE, Box, Ground
from lab.engines import Engine

EACH = 50
PATIENCE = 300.0
"""Seconds after which the names are given up."""
_ANSWER = 2.0
_STARTED_ALREADY = 304


def run(ground: Ground, each: int = EACH) -> tuple[dict[str, Any], list[Any]]:
    """Seconds until the last answer to a start, and until the last name is known, of both networks."""
    figures = {
        name: _gather(ground.engines, network, name, each)
        for name, network in (("overlay", OVERLAY), ("tulle", TULLE))
    }
    known = {name: figure["known_s"] for name, figure in figures.items()}
    ratio = known["tulle"] / known["overlay"]
    what = f"{3 * each} containers started at once, to all names known: {known['tulle']:.1f} s"
    return figures, [(f"{what} against Docker's overlay", f"{ratio:.2f}", "at most 1", ratio <= 1)]


def _gather(engines: list[Engine], network: str, tag: str, each: int) -> dict[str, float]:
    probes = [Box(engine, f"{tag}-probe-{engine.host.short}", network) for engine in engines]
    names = {engine: [f"{tag}-{engine.host.short}-{n}" for n in range(each)] for engine in engines}
    everything = [name for some in names.values() for name in some]
    known: list[float] = []
    began = time.monotonic()
    watchers = [
        threading.Thread(target=probe.inside, args=(_Watch(probe, everything, known, began),))
        for probe in probes
    ]
    for watcher in watchers:
        watcher.start()
    with ThreadPoolExecutor(3 * each) as pool:
        jobs = [
            pool.submit(_start, engine, name, network, began) for engine in engines for name in names[engine]
        ]
        refused = sum(job.result() for job in jobs)
    started = time.monotonic() - began
    for watcher in watchers:
        watcher.join()
    for engine in engines:
        engine.docker("rm", "--force", *names[engine], timeout=300)
    for probe in probes:
        probe.remove()
    if len(known) < len(probes):
        raise RuntimeError(f"on {network} not every host knew every name within {PATIENCE:.0f} s")
    return {"started_s": started, "known_s": max(known), "refused": refused}


def _start(engine: Engine, name: str, network: str, began: float) -> int:
    """Start one, as often as it takes; how many starts were refused."""
    body = {"Image": engine.image, "Cmd": ["sleep", "infinity"], "HostConfig": {"NetworkMode": network}}
    status, answer = engine.api("POST", f"/containers/create?name={name}", body)
    if status >= 300:
        raise RuntimeError(f"{name} cannot be made: {status} {answer}")
    refused = 0
    while time.monotonic() - began < PATIENCE:
        try:
            status, answer = engine.api("POST", f"/containers/{name}/start")
        except TimeoutError:  # it goes on with it; the next answer tells
            continue
        if status < 300 or status == _STARTED_ALREADY:
            return refused
        refused += 1
    raise RuntimeError(f"{name} cannot be started: {status} {answer}")


class _Watch:
    """Asks for names until all are known; then says how long it took."""

    def __init__(self, probe: Box, names: Iterable[str], known: list[float], began: float) -> None:
        self._server = probe.resolver()
        self._names = list(names)
        self._known = known
        self._began = began
        self._suffix = f".{DOMAIN}." if probe.network == TULLE else "."

    def __call__(self) -> None:
        while time.monotonic() - self._began < PATIENCE:
            while self._names and self._resolves(self._names[-1]):
                self._names.pop()
            if not self._names:
                self._known.append(time.monotonic() - self._began)
                return
            time.sleep(0.05)

    def _resolves(self, name: str) -> bool:
        query = dns.message.make_query(name + self._suffix, dns.rdatatype.A)
        try:
            return bool(dns.query.udp(query, self._server, timeout=_ANSWER).answer)
        except (dns.exception.Timeout, OSError):
            return False
