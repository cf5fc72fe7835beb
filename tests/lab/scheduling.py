"""How tests are shared out among processes: those that need the kernel by directory, the others by file."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

KERNEL_TESTS = ("tests/docker/", "tests/e2e/", "tests/netns/")


class KernelTestsApart(LoadScopeScheduling):
    """Tests in namespaces share one kernel and its processors: of each kind one runs at a time.

    The directories begin in the order of the alphabet, which happens to put those that take long first.
    """

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        kinds = (kind for kind in KERNEL_TESTS if nodeid.startswith(kind))
        return next(kinds, nodeid.partition("::")[0])
