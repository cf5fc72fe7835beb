"""Network namespaces: make, enter, delete; and sockets that live in one while the test stays outside."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TypeVar

T = TypeVar("T")

NETNS_DIRECTORY = Path("/run/netns")
NETNS_CONFIGURATION = Path("/etc/netns")
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class CommandFailed(AssertionError):
    """A command ended with another exit status than the test wanted; the text shows all it said."""

    def __init__(self, done: "subprocess.CompletedProcess[str]") -> None:
        self.returncode = done.returncode
        self.stdout = done.stdout
        self.stderr = done.stderr
        command = " ".join(map(str, done.args))
        super().__init__(f"{command}\nexit status {done.returncode}\n{done.stdout}{done.stderr}")


def run(argv: Sequence[str | Path], *, check: bool = True, text: str | None = None, timeout: float = 60,
        env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":  # fmt: skip
    """Run a command and capture what it prints; ``text`` is its standard input."""
    done = subprocess.run(
        [str(word) for word in argv],
        input=text,
        capture_output=True,
        text=True,
        timeout=timeout,
        env=env,
        check=False,
    )
    if check and done.returncode != 0:
        raise CommandFailed(done)
    return done


def ip_batch(lines: Sequence[str], namespace: str | None = None) -> None:
    """Several ``ip`` commands in one process, in a namespace when one is given; the first error stops it."""
    where = ["-n", namespace] if namespace else []
    run(["ip", *where, "-batch", "-"], text="\n".join(lines) + "\n")


class Namespace:
    """One network namespace that the test made, known to ``ip netns`` by its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._started: list[subprocess.Popen[str]] = []

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @property
    def path(self) -> Path:
        return NETNS_DIRECTORY / self.name

    def create(self) -> None:
        run(["ip", "netns", "add", self.name])
        self.ip("link set lo up")

    def delete(self) -> None:
        """Kill what runs inside, remove the namespace and its resolver configuration, if they are there."""
        if self.path.exists():
            for pid in self.pids():
                _kill(pid)
            run(["ip", "netns", "delete", self.name], check=False)
        shutil.rmtree(NETNS_CONFIGURATION / self.name, ignore_errors=True)

    def pids(self) -> list[int]:
        """The processes that run inside."""
        return [int(word) for word in run(["ip", "netns", "pids", self.name], check=False).stdout.split()]

    def ip(self, *lines: str) -> None:
        """``ip`` commands inside, without the leading ``ip``."""
        ip_batch(lines, self.name)

    def nft(self, script: str) -> None:
        """An nftables script inside, applied as one transaction."""
        run([*self._enter(), "nft", "-f", "-"], text=script)

    def _enter(self) -> list[str]:
        return ["nsenter", f"--net={self.path}"]

    def run(self, *argv: str | Path, check: bool = True, text: str | None = None, timeout: float = 60,
            env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":  # fmt: skip
        """Run a command inside; everything but the network is the machine's."""
        return run([*self._enter(), *argv], check=check, text=text, timeout=timeout, env=env)

    def start(self, *argv: str | Path, output: IO[str] | int = subprocess.DEVNULL,
              env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":  # fmt: skip
        """Start a command inside and go on; the process is the command itself, so its pid can be killed."""
        command = [*self._enter(), *map(str, argv)]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, text=True, env=env
        )
        self._started.append(process)
        return process

    def end(self) -> None:
        """Kill what was started here and is still running, and leave no process unwaited for."""
        for process in self._started:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def inside(self, work: Callable[[], T]) -> T:
        """The result of ``work()``, done by a thread that has entered the namespace."""
        results: list[T] = []
        errors: list[BaseException] = []

        def visit() -> None:
            try:
                with self.path.open() as namespace:
                    if _libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), f"cannot enter {self.path}")
                results.append(work())
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=visit)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    def socket(
        self, family: int = socket.AF_INET, kind: int = socket.SOCK_DGRAM, protocol: int = 0
    ) -> socket.socket:
        """A socket of that namespace; it stays there wherever it is used. Times out after 5 s."""
        made = self.inside(lambda: socket.socket(family, kind, protocol))
        made.settimeout(5)
        return made


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
