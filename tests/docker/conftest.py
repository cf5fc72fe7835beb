"""Tests with real Docker Engines. Where Docker is not installed they are skipped, with the reason."""

import itertools
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from keeping import held

from lab import Lab, wait_until
from lab.engines import Engine, engines, joined_engines, missing

_HERE = Path(__file__).parent
_numbers = itertools.count(1)


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


@pytest.fixture
def box(engine: Engine) -> Iterator[str]:
    """A name for a container that is removed afterwards."""
    name = f"box{next(_numbers)}"
    yield name
    engine.docker("rm", "--force", name, check=False)
    wait_until(lambda: not held(engine, ""), what=f"{name} left nothing behind")
