"""A daemon with nothing to do: how soon it is ready, how much memory it takes, how much of a core.

Run as root: ``python bench/idle.py``. Three real daemons in a mesh; the figures are of the first.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from lab.lab import Lab

SETTLE, WATCH, LAUNCHES = 10.0, 60.0, 5


def run() -> dict[str, float]:
    """Seconds of ``launch`` (best of some), resident MB, and CPU in percent of a core."""
    with Lab() as lab:
        hosts = lab.make_hosts(3)
        ready = []
        for _ in range(LAUNCHES):
            began = time.monotonic()
            hosts[0].tulle("launch")
            ready.append(time.monotonic() - began)
            hosts[0].tulle("stop")
        for host in hosts:
            host.launch(*(() if host is hosts[0] else (hosts[0],)))
        lab.wait_connected(hosts)
        process = int(hosts[0].report()["Pid"])
        time.sleep(SETTLE)
        before = _cpu_seconds(process)
        time.sleep(WATCH)
        used = _cpu_seconds(process) - before
        return {
            "ready_s": min(ready),
            "ready_worst_s": max(ready),
            "resident_mb": _resident_bytes(process) / 1e6,
            "cpu_percent": 100 * used / WATCH,
        }


def _cpu_seconds(process: int) -> float:
    """To the nanosecond, which ``/proc/PID/stat`` is not."""
    tasks = Path(f"/proc/{process}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def _resident_bytes(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Print one table."""
    for name, value in run().items():
        print(f"{name:>14}  {value:,.2f}")


if __name__ == "__main__":
    main()
