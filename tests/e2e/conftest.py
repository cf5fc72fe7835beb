"""Networks that several tests of a module share, when none of them breaks anything."""

from collections.abc import Generator

import pytest

from lab import Host, Lab


@pytest.fixture(scope="module")
def pair() -> Generator[list[Host]]:
    """Two hosts whose daemons have met."""
    with Lab() as made:
        yield made.network(2)
