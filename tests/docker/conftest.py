"""Tests with real Docker Engines. Where Docker is not installed they are skipped, with the reason."""

from collections.abc import Generator
from pathlib import Path

import pytest

from lab import Lab
from lab.engines import Engine, engines, missing

_HERE = Path(__file__).parent


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.path.is_relative_to(_HERE) and (reason := missing()):
        pytest.skip(reason)


@pytest.fixture(scope="module")
def engine() -> Generator[Engine]:
    """An engine that the tests of a module share; no tulle runs on its host to begin with."""
    with Lab() as made:
        yield engines(made, 1)[0]


@pytest.fixture(scope="module")
def joined() -> Generator[list[Engine]]:
    """Two engines whose hosts' daemons have met, shared by the tests of a module."""
    with Lab() as made:
        yield joined_engines(made, 2)


def joined_engines(lab: Lab, count: int, *arguments: object) -> list[Engine]:
    """Engines whose hosts' daemons have joined one mesh; the arguments are for ``launch``."""
    made = engines(lab, count)
    hosts = [engine.host for engine in made]
    for host in hosts:
        host.begin_launch(*arguments, *([hosts[0]] if host is not hosts[0] else []))
    for host in hosts:
        host.wait_ready()
    lab.wait_connected(hosts)
    return made
