"""How tests are shared out among processes: those that need the kernel to one, the others file by file."""

from xdist.scheduler import LoadScopeScheduling

KERNEL_TESTS = ("tests/netns/", "tests/e2e/")


class KernelTestsApart(LoadScopeScheduling):
    """Tests in namespaces share one kernel and would be in each other's way: one process runs them all.

    They are the largest group and so begin first; the other processes meanwhile take the other files.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "kernel" if nodeid.startswith(KERNEL_TESTS) else nodeid.partition("::")[0]
