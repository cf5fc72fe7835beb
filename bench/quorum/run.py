"""Five hosts, three of them members of the store; everybody works before, during and after each partition."""

import functools
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.quorum.agent import TulleClient
from bench.quorum.store import Member, StoreClient, Unavailable
from lab.host import Host
from lab.lab import Lab

MEMBERS = 3
HOSTS = 5
ROUNDS = 3
OPERATIONS = ("allocate", "register", "resolve", "release")

Sides = tuple[tuple[int, ...], ...]
SITUATIONS: tuple[tuple[str, Sides], ...] = (
    ("no partition", ((1, 2, 3, 4, 5),)),
    ("two members and one host | one member and one host", ((1, 2, 4), (3, 5))),
    ("the three members | two hosts without one", ((1, 2, 3), (4, 5))),
    ("every member by itself", ((1, 4), (2, 5), (3,))),
    ("healed", ((1, 2, 3, 4, 5),)),
)


@dataclass
class Score:
    """How one operation went on one side: seconds of those that succeeded, and how many did not."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0

    def summary(self) -> dict[str, float | int | None]:
        """For the page; milliseconds."""
        done = self.seconds
        return {
            "tried": len(done) + self.failed,
            "succeeded": len(done),
            "median_ms": 1000 * statistics.median(done) if done else None,
            "worst_ms": 1000 * max(done) if done else None,
        }


def run() -> dict[str, Any]:
    """For each situation, side, system and operation: how many succeeded, and how long they took."""
    with Lab() as lab:
        hosts = lab.network(HOSTS, "--ipalloc-init", f"consensus={HOSTS}")
        with _members(hosts[:MEMBERS]):
            store: dict[int, Any] = {host.number: StoreClient(host, hosts[:MEMBERS]) for host in hosts}
            hosts[0].inside(store[1].wait_ready)
            tulle: dict[int, Any] = {host.number: TulleClient(host) for host in hosts}
            rows = []
            for number, (title, sides) in enumerate(SITUATIONS):
                lab.partition(*[[hosts[one - 1] for one in side] for side in sides])
                for system, clients in (("store", store), ("tulle", tulle)):
                    rows += _work(title, sides, system, clients, hosts, f"s{number}-{system}")
                lab.heal()
                time.sleep(3)
            return {"rows": rows}


@contextmanager
def _members(hosts: list[Host]) -> Iterator[None]:
    members = [Member(host, hosts) for host in hosts]
    try:
        yield
    finally:
        for member in members:
            member.end()


def _work(title: str, sides: Sides, system: str, clients: dict[int, Any], hosts: list[Host],
          tag: str) -> list[dict[str, Any]]:  # fmt: skip
    scores = {(side, what): Score() for side in sides for what in OPERATIONS}
    threads = [
        threading.Thread(
            target=hosts[number - 1].inside, args=(_worker(clients[number], number, side, scores, tag),)
        )
        for side in sides
        for number in side
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [
        {"situation": title, "side": list(side), "system": system, "operation": what, **score.summary()}
        for (side, what), score in scores.items()
    ]


def _worker(client: Any, number: int, side: tuple[int, ...], scores: dict[Any, Score],
            tag: str) -> Callable[[], None]:  # fmt: skip
    """One host's work: a container comes, gets a name, is asked for by it, and goes."""

    def measure(what: str, act: Callable[[], Any]) -> Any:
        began = time.monotonic()
        try:
            result = act()
        except Unavailable:
            scores[side, what].failed += 1
            return None
        scores[side, what].seconds.append(time.monotonic() - began)
        return result

    def work() -> None:
        for turn in range(ROUNDS):
            ident = f"{tag}-{number}-{turn}"
            address = measure("allocate", functools.partial(client.allocate, ident))
            known = address or f"192.0.2.{number}"
            measure("register", functools.partial(client.register, ident, ident, known))
            found = measure("resolve", functools.partial(client.resolve, ident))
            if found is not None and found != known:
                raise AssertionError(f"{ident} resolved to {found}, not {known}")
            measure("release", functools.partial(client.release, ident))

    return work
