"""Memory of this process."""

import os
from pathlib import Path


def resident_bytes() -> int:
    """What it holds of the machine's memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
