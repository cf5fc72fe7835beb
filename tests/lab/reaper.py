"""Clean up after a test run that died: a process of its own that outlives it.

It reads what was made, a line each (``engine NAME``, ``netns NAME``, ``mount PATH``, ``directory PATH``), and
removes all of it when its input ends, whether the run finished, was interrupted or was killed. Everything
named here was made by that run; what is already gone is passed over.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from lab.engines import remove_engine
from lab.namespace import Namespace


class Reaper:
    """The run's end of it: tells the process what exists, and at the end lets it remove everything."""

    def __init__(self) -> None:
        command = [sys.executable, "-W", "error", __file__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)

    def remember(self, kind: str, name: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{kind} {name}\n")
        self._process.stdin.flush()

    def finish(self) -> None:
        """Remove all that was remembered, and return when it is gone."""
        self._process.communicate(timeout=60)


def remove(kind: str, name: str) -> None:
    if kind == "engine":
        remove_engine(name)
    elif kind == "netns":
        Namespace(name).delete()
    elif kind == "mount":
        subprocess.run(["umount", "--lazy", name], capture_output=True, check=False)
    elif kind == "directory":
        shutil.rmtree(name, ignore_errors=True)


def main() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    made = [line.rstrip("\n").split(" ", 1) for line in sys.stdin]
    for kind in ("engine", "netns", "mount", "directory"):
        for found, name in made:
            if found == kind:
                remove(kind, name)


if __name__ == "__main__":
    os.chdir("/")
    main()
