"""How the demo shows things: sections, typed commands with what they print, and claims that are checked."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab import Container, Host, Lab, wait_until
from lab.namespace import NETNS_DIRECTORY

PATHS = (Path(sys.executable).parent, Path(__file__).with_name("programs"))
"""Where the demo's commands are: tulle, and the programs that run in its containers."""

SYSTEM = "/usr/sbin:/usr/bin:/sbin:/bin"
"""Where Debian's programs are; they come before others of their names."""

WIDTH = 100
SHOWN_LINES = 14


class StepFailed(Exception):
    """A step did not do what it should; the text is for the person watching."""


class Stage:
    """Prints what happens, in colour on a terminal. Every method that fails raises StepFailed."""

    def __init__(self, directory: Path = Path("/")) -> None:
        """``directory``: where the users of hosts type their commands."""
        self._directory = directory
        self._colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._began = time.monotonic()
        self._section = 0
        self.claims = 0

    def section(self, title: str, explanation: str) -> None:
        self._section += 1
        elapsed = f"{time.monotonic() - self._began:.0f} s"
        rule = "─" * max(2, WIDTH - len(title) - len(elapsed) - 8)
        self._line()
        self._line(self._paint(f"── {self._section}. {title} {rule} {elapsed}", "1;34"))
        for line in textwrap.wrap(explanation, WIDTH - 3):
            self._line(f"   {line}")
        self._line()

    def type(self, where: Host | Container, command: str, shown: int = SHOWN_LINES) -> str:
        """Run a command as a user of that host or container would, and show it with what it prints."""
        self._line(f"{self._prompt(where)} {self._paint(command, '1')}")
        done = subprocess.run(
            self._shell(where, command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment(where),
            text=True,
            timeout=60,
            check=False,
        )
        lines = done.stdout.splitlines()
        for line in lines[:shown]:
            self._line(self._paint(f"    {line}", "2"))
        if len(lines) > shown:
            self._line(self._paint(f"    ... {len(lines) - shown} more lines", "2"))
        if done.returncode != 0:
            raise StepFailed(f"`{command}` on {_short(where)} ended with exit status {done.returncode}")
        return done.stdout.strip()

    def does(self, what: str) -> None:
        """Say what the demo itself does to the world, where no user would type a command."""
        self._line(self._paint(f"(the demo) {what}", "33"))

    def claim(self, text: str, holds: Callable[[], object], timeout: float = 20) -> None:
        """Check that something becomes true, and say so."""
        began = time.monotonic()
        try:
            wait_until(holds, timeout, text)
        except AssertionError as error:
            raise StepFailed(str(error)) from error
        took = time.monotonic() - began
        after = f" (after {took:.1f} s)" if took > 0.5 else ""
        self.claims += 1
        self._line(f"{self._paint('  ✓', '1;32')} {text}{after}")

    def failed(self, text: str) -> None:
        self._line(f"{self._paint('  ✗ FAILED:', '1;31')} {text}")

    def done(self, text: str) -> None:
        self._line()
        self._line(self._paint(text, "1;32"))

    def _line(self, text: str = "") -> None:
        print(text, flush=True)

    def _paint(self, text: str, colour: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._colours else text

    def _prompt(self, where: Host | Container) -> str:
        return self._paint(f"{_short(where)}#", "36" if isinstance(where, Host) else "35")

    def _shell(self, where: Host | Container, command: str) -> list[str]:
        if isinstance(where, Container):
            return ["ip", "netns", "exec", where.name, "sh", "-c", command]
        named = f'hostname {where.short} && cd "$2" && exec sh -c "$1"'
        return [*where._enter(), "unshare", "--uts", "sh", "-c", named, "sh", command, str(self._directory)]

    @staticmethod
    def _environment(where: Host | Container) -> Mapping[str, str]:
        path = ":".join((*map(str, PATHS), SYSTEM, os.environ.get("PATH", "")))
        known = where.environment() if isinstance(where, Host) else os.environ
        return {**known, "PATH": path, "COLUMNS": str(WIDTH), "NO_COLOR": "1"}


class Performance(ABC):
    """A show on some hosts. Its acts build on each other, and run in the order of ``acts``."""

    def __init__(self, lab: Lab, stage: Stage, hosts: Sequence[Host]) -> None:
        self.lab = lab
        self.stage = stage
        self.hosts = hosts

    @abstractmethod
    def acts(self) -> None:
        """All of it. Raises StepFailed."""

    def all_connected(self) -> bool:
        """Whether every host is connected to every other."""
        self.lab.wait_connected(self.hosts, timeout=1)
        return True


def perform(show: Callable[[Lab, Stage], Performance], stage: Stage, lacking: str) -> int:
    """Have a show performed, and all removed that it made: the exit status.

    ``lacking`` says what this machine has not got; empty if it has everything.
    """
    if lacking:
        stage.failed(f"the demo {lacking}")
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    lab = Lab(_free_prefix())
    try:
        show(lab, stage).acts()
        stage.done(f"All {stage.claims} claims held. Removing the hosts and containers.")
        return 0
    except StepFailed as error:
        stage.failed(str(error))
        print(lab.logs())
        return 1
    except KeyboardInterrupt:
        stage.failed("interrupted; removing the hosts and containers")
        return 130
    finally:
        lab.close()


def _free_prefix() -> str:
    """A short prefix for the namespaces, so that the commands read well; nobody else's."""
    taken = any(NETNS_DIRECTORY.glob("demo-*"))
    return f"demo{os.getpid()}-" if taken else "demo-"


def _short(where: Host | Container) -> str:
    return where.short if isinstance(where, Host) else where.name
