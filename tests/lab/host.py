"""A host of the lab: a namespace with a cable to the switch, and a real daemon in it when it is launched."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.container import Container
from lab.namespace import CommandFailed, Namespace
from lab.wait import wait_until

if TYPE_CHECKING:
    from lab.lab import Lab

READY = 90
"""Seconds that a daemon may take to answer on a busy machine; the bench measures the real figure."""


def tulle_program() -> list[str]:
    """The command that starts tulle: the installed program, or the source tree when it is not installed."""
    installed = Path(sys.executable).with_name("tulle")
    if installed.exists():
        return [str(installed)]
    return [sys.executable, "-c", "import sys; from tulle.cli.main import main; sys.exit(main())"]


class Host(Namespace):
    """A machine. ``address`` is where the others reach it, ``port`` its plug in the switch."""

    def __init__(self, lab: "Lab", short: str, number: int, address: IPv4Address, directory: Path) -> None:
        super().__init__(lab.prefix + short)
        self.lab = lab
        self.short = short
        self.number = number
        self.address = address
        self.directory = directory
        self.state = directory / "state"
        self.socket_path = directory / "tulle.sock"
        self.log = directory / "daemon.log"
        self.process: subprocess.Popen[str] | None = None
        self._arguments: tuple[str, ...] = ()

    @property
    def port(self) -> str:
        return f"p{self.number}"

    def container(self, short: str) -> Container:
        """A new container on this host, not attached to anything yet."""
        made = Container(f"{self.name}-{short}")
        self.lab.adopt(made)
        return made

    # --- commands -----------------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """The environment of a user on this host: the machine's, with this host's socket, state and Docker.

        The machine's own Docker is none of a host's business; most hosts have none where theirs would be.
        """
        others = ("TULLE_", "WEAVE_", "DOCKER_", "ORIG_DOCKER_")
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(others)},
            "TULLE_SOCKET": str(self.socket_path),
            "TULLE_STATE_DIR": str(self.state),
            "DOCKER_HOST": f"unix://{self.docker_socket}",
        }

    @property
    def docker_socket(self) -> Path:
        """Where this host's engine listens, if it has one: the same path inside and outside of the host."""
        return self.directory / "docker.sock"

    def tulle(self, *arguments: object, timeout: float = 60) -> str:
        """Run a tulle command as a user of this host would; what it printed. CommandFailed if it fails."""
        return self.run(
            *tulle_program(), *map(str, arguments), env=self.environment(), timeout=timeout
        ).stdout.strip()

    def refuses(self, *arguments: object, timeout: float = 60) -> CommandFailed:
        """Run a command that must fail, politely: what it said, and its exit status."""
        done = self.run(
            *tulle_program(), *map(str, arguments), env=self.environment(), timeout=timeout, check=False
        )
        failed = CommandFailed(done)
        assert done.returncode != 0, f"should have failed: {failed}"
        assert "Traceback" not in done.stderr + done.stdout, f"a traceback reached the user: {failed}"
        return failed

    def start_tulle(self, *arguments: object) -> "subprocess.Popen[str]":
        """Start a command that may block; what it prints can be read from the process."""
        command = [*tulle_program(), *map(str, arguments)]
        return self.start(*command, output=subprocess.PIPE, env=self.environment())

    # --- the daemon -----------------------------------------------------------------------------------------

    def launch(self, *arguments: object, wait: bool = True) -> None:
        """Start the daemon; arguments as for ``tulle launch``, host objects count as their addresses.

        It runs in the foreground of a process of ours, so that it can be killed by its pid. The nickname is
        the host's short name.
        """
        self.begin_launch(*arguments)
        if wait:
            self.wait_ready()

    def begin_launch(self, *arguments: object) -> None:
        words = [str(word.address) if isinstance(word, Host) else str(word) for word in arguments]
        self._arguments = tuple(words)
        command = [*tulle_program(), "launch", "--foreground", "--nickname", self.short, *words]
        with self.log.open("a") as output:
            self.process = self.start(*command, output=output, env=self.environment())

    def relaunch(self) -> None:
        """Start the daemon again as it was started last."""
        self.launch(*self._arguments)

    def wait_ready(self) -> None:
        wait_until(self._answers, READY, f"the daemon of {self.short} answers")

    def _answers(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise RuntimeError(f"the daemon of {self.short} ended by itself:\n{self.log.read_text()}")
        try:
            return bool(self.view("status"))
        except OSError:
            return False

    def end_of_daemon(self, timeout: float = READY) -> tuple[int, str]:
        """Wait for a daemon that must end by itself: its exit status and all it said."""
        assert self.process is not None
        status = self.process.wait(timeout)
        return status, self.log.read_text()

    def kill(self) -> None:
        """End the daemon as a power cut would: SIGKILL."""
        self._signal(signal.SIGKILL)
        self._wait()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """``tulle stop``, and wait until the daemon is gone."""
        self.tulle("stop")
        self._wait()

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None, f"{self.short} has no daemon"
        self.process.send_signal(number)

    def _wait(self) -> None:
        assert self.process is not None
        self.process.wait(timeout=READY)
        self.process = None

    def forget_state(self) -> None:
        """Lose the state directory, as a new machine would."""
        shutil.rmtree(self.state, ignore_errors=True)

    # --- what a user does -----------------------------------------------------------------------------------

    def attach(self, container: Container, *arguments: object) -> IPv4Interface:
        """``tulle attach``: the (first) address that the container got. Options and addresses come first."""
        printed = self.tulle("attach", *arguments, container.reference)
        return self.interface_of(container, IPv4Address(printed.split()[0].partition("/")[0]))

    @staticmethod
    def interface_of(container: Container, address: IPv4Address) -> IPv4Interface:
        """The address with its prefix, as it is on the container's interface."""
        found = [interface for interface in container.addresses() if interface.ip == address]
        assert found, f"{container.name} was told {address} but has {container.addresses()}"
        return found[0]

    def http(self, method: str, path: str) -> tuple[int, str]:
        """A request on the daemon's control socket: the status and the text of the answer."""
        connection = http.client.HTTPConnection("localhost", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(60)
        with contextlib.closing(connection):
            connection.sock.connect(str(self.socket_path))
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def view(self, name: str) -> str:
        """What a ``status`` view or ``ps`` says, asked on the socket: cheap enough to wait with."""
        status, text = self.http("GET", f"/{name}" if name in ("status", "ps") else f"/status/{name}")
        assert status == 200, text
        return text

    def knows(self, name: str) -> set[IPv4Address]:
        """The addresses of a name that this host knows; none when it does not know it (yet)."""
        status, text = self.http("GET", f"/dns/lookup?name={name}")
        return set(map(IPv4Address, json.loads(text)["addresses"])) if status == 200 else set()

    def json(self, *arguments: object) -> Any:
        """What a command prints with ``--json``."""
        return json.loads(self.tulle(*arguments, "--json"))

    def report(self) -> Any:
        """The daemon's whole state, as ``tulle report`` prints it, asked on the socket."""
        return json.loads(self.http("GET", "/report")[1])
