"""Fixtures of the tests of the host ring: a host that is a namespace, and containers beside it.

A test is a plain function; what is asynchronous in it runs in an event loop in a thread that lives in the
host's namespace, as the daemon's threads would.
"""

import asyncio
import itertools
import os
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from lab.container import Container
from lab.namespace import Namespace
from netns.support import MAC, Run
from tulle.host.bridge import Bridge, BridgeConfig, ensure_bridge
from tulle.host.veth import Wiring

Result = TypeVar("Result")
_numbers = itertools.count(1)


@pytest.fixture
def make_container() -> Iterator[Callable[[], Container]]:
    """Makes namespaces that stand for containers."""
    made: list[Container] = []

    def make() -> Container:
        made.append(Container(f"e2-{os.getpid()}-c{next(_numbers)}"))
        made[-1].create()
        return made[-1]

    yield make
    for container in made:
        container.delete()


@pytest.fixture
def container(make_container: Callable[[], Container]) -> Container:
    return make_container()


@pytest.fixture
def host() -> Iterator[Namespace]:
    """An empty host."""
    made = Namespace(f"e2-{os.getpid()}-h{next(_numbers)}")
    made.create()
    yield made
    made.delete()


@pytest.fixture
def run(host: Namespace) -> Run:
    """Runs a coroutine in the host."""

    def run_in_host(work: Coroutine[Any, Any, Result]) -> Result:
        return host.inside(lambda: asyncio.run(work))

    return run_in_host


@pytest.fixture
def bridge(run: Run) -> Bridge:
    """The host's bridge, set up with the defaults."""
    return run(ensure_bridge(BridgeConfig("tulle", MAC)))


@pytest.fixture
def wiring(bridge: Bridge) -> Wiring:
    """How the daemon would wire containers to that bridge."""
    return Wiring(bridge.name, resolver=BridgeConfig("tulle", MAC).resolver, resolver_mac=bridge.mac)
