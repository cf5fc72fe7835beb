"""Real Docker Engines on hosts of the lab.

    one, two = engines(lab, 2)          # two hosts with an engine each, both answering
    one.host.launch()                   # tulle's daemon, among the same mounts, with its DOCKER_HOST
    ident = one.run("web", "sleep", "1000", options=["--cap-add", "NET_ADMIN"])
    one.docker("exec", "web", "ip", "address")

Such a host has mounts and a host name of its own: ``/run/docker`` (where plugins put their sockets),
``/run/containerd``, ``/etc/docker`` and ``/var/lib/docker`` are private to it, so that engines do not see
each other. Everything else is the machine's, network namespaces in ``/run/netns`` included.

What the engines started ends with the lab, also after Ctrl-C and ``kill -9`` (see ``lab.reaper``).
"""

import contextlib
import functools
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import machine
from lab.engine_image import image_archive
from lab.host import Host
from lab.namespace import CommandFailed, run
from lab.wait import wait_until

if TYPE_CHECKING:
    from lab.lab import Lab

CLIENT = "/usr/bin/docker"
"""The client of Debian's docker.io; there may be others on the path."""

IMAGE = "busybox:lab"
"""Busybox with all its applets, among them sh, ping, nslookup, wget, httpd and nc; no default command."""

_PROGRAMS = ("dockerd", "containerd", "runc", CLIENT, "/usr/bin/busybox")
_PRIVATE = ("/run/docker", "/run/containerd", "/etc/docker", "/var/lib/docker")
_READY = 60
"""Seconds that an engine may take to answer, or to end, on a busy machine."""

_GONE = 20
"""Seconds that killed processes may take to disappear."""


@functools.cache
def missing() -> str:
    """Why there can be no engines on this machine, or an empty string when there can."""
    absent = [program for program in _PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"needs {', '.join(absent)}, which scripts/setup installs"
    return machine.missing()


def engines(lab: "Lab", count: int) -> "list[Engine]":
    """So many hosts with engines that answer and have the image; no tulle runs on them yet."""
    made = [Engine(lab) for _ in range(count)]
    for engine in made:
        engine.begin_start()
    for engine in made:
        engine.wait_ready()
    return made


def joined_engines(lab: "Lab", count: int, *arguments: object) -> "list[Engine]":
    """Engines whose hosts' daemons have joined one mesh; the arguments are for ``launch``."""
    made = engines(lab, count)
    hosts = [engine.host for engine in made]
    for host in hosts:
        host.begin_launch(*arguments, *([hosts[0]] if host is not hosts[0] else []))
    for host in hosts:
        host.wait_ready()
    lab.wait_connected(hosts)
    return made


class EngineHost(Host):
    """A host with mounts and a host name of its own, for whatever runs on it, tulle's daemon included."""

    def create(self) -> None:
        super().create()
        self.lab.remember_engine(self.name)
        lines = []
        for place in _PRIVATE:
            private = self.private(place)
            private.mkdir(parents=True)
            Path(place).mkdir(parents=True, exist_ok=True)
            lines.append(f"mount --bind {private} {place}")
        script = "\n".join(["set -e", *lines, f"hostname {self.short}", "echo made", "exec sleep infinity"])
        apart = ["unshare", "--mount", "--uts", "--propagation", "slave", "sh", "-c", script]
        self._keeper = self.start(*apart, output=subprocess.PIPE)
        assert self._keeper.stdout is not None
        said = self._keeper.stdout.readline()
        assert said == "made\n", f"the mounts of {self.name} could not be made: {said}"

    def _enter(self) -> list[str]:
        entered = super()._enter()
        keeper: subprocess.Popen[str] | None = getattr(self, "_keeper", None)
        if keeper is None:
            return entered
        return [*entered, f"--mount=/proc/{keeper.pid}/ns/mnt", f"--uts=/proc/{keeper.pid}/ns/uts"]

    def private(self, place: str) -> Path:
        """Where the host's own ``/run/docker`` and its like are, seen from outside of the host."""
        return self.directory / "mounts" / place.lstrip("/").replace("/", "-")

    def environment(self) -> dict[str, str]:
        """As any host's, and what Docker's programs need."""
        kept = super().environment()
        return {
            **kept,
            "DOCKER_CONFIG": str(self.directory / "docker-config"),
            "PATH": f"{kept.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin",
        }


class Engine:
    """A Docker Engine, and ``host`` on which it runs. ``options`` are dockerd's, used from the next start on.

    ``socket`` is its API. ``image`` is there as soon as ``wait_ready`` or ``start`` returned.
    """

    image = IMAGE

    def __init__(self, lab: "Lab", short: str | None = None) -> None:
        self.host: EngineHost = lab.host(short, kind=EngineHost)
        self.socket = self.host.docker_socket
        self.options: list[str] = []
        self.log = self.host.directory / "dockerd.log"
        self._process: subprocess.Popen[str] | None = None

    def __repr__(self) -> str:
        return f"Engine({self.host.short!r})"

    # --- its life -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start it, and return when it answers."""
        self.begin_start()
        self.wait_ready()

    def begin_start(self) -> None:
        """Start it; ``wait_ready`` must follow."""
        command = [
            "dockerd",
            f"--host=unix://{self.socket}",
            "--pidfile=/run/docker/docker.pid",
            "--exec-opt=native.cgroupdriver=cgroupfs",
            f"--cgroup-parent=/{self.host.name}",
            *self.options,
        ]
        with self.log.open("a") as output:
            self._process = self.host.start(*command, output=output, env=self.host.environment())

    def wait_ready(self) -> None:
        """Until it answers and has the image."""
        wait_until(self.answers, _READY, f"the engine of {self.host.short} answers")
        status, _ = self.api("GET", f"/images/{IMAGE}/json")
        if status == 404:
            with image_archive().open("rb") as archive:
                self.docker("import", "-", IMAGE, stdin=archive)

    def answers(self) -> bool:
        """Whether it answers; RuntimeError when it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"the engine of {self.host.short} ended:\n{self.log.read_text()[-4000:]}")
        try:
            return self.api("GET", "/_ping")[0] == 200
        except OSError:
            return False

    def stop(self) -> None:
        """End it in good order: SIGTERM. Containers end with it, unless it has --live-restore."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would: SIGKILL. Containers go on running; the next start ends them, or, with
        --live-restore, finds them again."""
        self._end(signal.SIGKILL)
        # Where process 1 is slow to wait for orphans, dockerd would take a dead containerd for a live one.
        self.host.private("/run/docker").joinpath("containerd/containerd.pid").unlink(missing_ok=True)

    def freeze(self) -> None:
        """Have it accept connections and answer nothing: SIGSTOP."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Undo ``freeze``."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, f"{self} does not run"
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        self._signal(number)
        assert self._process is not None
        self._process.wait(timeout=_READY)
        self._process = None

    # --- using it -------------------------------------------------------------------------------------------

    def docker(self, *arguments: object, check: bool = True, text: str | None = None,
               stdin: Any = None, timeout: float = 60) -> "subprocess.CompletedProcess[str]":  # fmt: skip
        """Run the real command line on the host. CommandFailed if it fails and ``check``."""
        command = [*self.host._enter(), CLIENT, *map(str, arguments)]
        given: dict[str, Any] = {"stdin": stdin} if text is None else {"input": text}
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.host.environment(),
            check=False,
            **given,
        )
        if check and done.returncode != 0:
            raise CommandFailed(done)
        return done

    def start_docker(self, *arguments: object) -> "subprocess.Popen[str]":
        """Start the command line and go on; what it prints can be read from the process."""
        command = [CLIENT, *map(str, arguments)]
        return self.host.start(*command, output=subprocess.PIPE, env=self.host.environment())

    def run(self, name: str, *command: object, options: Sequence[object] = ()) -> str:
        """``docker run --detach``: the id of a container that runs. Without a command it only sleeps.

        Whoever stops it need not wait, though its first process heeds no SIGTERM.
        """
        words = command or ("sleep", "infinity")
        how = ("--detach", "--name", name, "--stop-signal", "KILL", *options)
        return self.docker("run", *how, IMAGE, *words).stdout.strip()

    def inside(self, container: str, *command: object, check: bool = True) -> str:
        """``docker exec``: what a command in a container printed."""
        return self.docker("exec", container, *command, check=check).stdout.strip()

    def inspect(self, container: str) -> Any:
        """What the engine knows about a container."""
        status, answer = self.api("GET", f"/containers/{container}/json")
        assert status == 200, answer
        return answer

    def pid(self, container: str) -> int:
        """The process of a container, 0 when it does not run."""
        return int(self.inspect(container)["State"]["Pid"])

    def api(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """One request to its API, cheap enough to wait with: status, and JSON or text."""
        connection = http.client.HTTPConnection("localhost", timeout=60)
        with contextlib.closing(connection):
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(60)
            connection.sock.connect(str(self.socket))
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, {"Content-Type": "application/json"} if sent else {})
            answer = connection.getresponse()
            said = answer.read().decode()
            return answer.status, json.loads(said) if said[:1] in ("{", "[") else said


def remove_engine(name: str) -> None:
    """End everything that an engine on the host ``name`` has started, and remove its control groups."""
    root = Path("/sys/fs/cgroup")  # not searched any deeper: groups of others come and go meanwhile
    groups = [path for path in (root / name, *root.glob(f"*/{name}")) if path.is_dir()]
    for pid in _with_descendants(run(["ip", "netns", "pids", name], check=False).stdout.split()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for group in groups:
        _thaw(group)
    for group in groups:
        try:
            wait_until(lambda group=group: _remove_groups(group), _GONE, f"{group} is empty")
        except AssertionError as error:
            print(f"left behind: {error}", file=sys.stderr)


def _with_descendants(pids: Sequence[str]) -> list[int]:
    """These processes, and those that they and their children started: containers, seen from their shims."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [int(pid) for pid in pids]
    for pid in found:
        found += [child for child in children.get(pid, ()) if child not in found]
    return found


def _thaw(group: Path) -> None:
    """Let paused containers go on, since a frozen process does not even die."""
    for directory in _groups_within(group):
        with contextlib.suppress(OSError):
            (directory / "freezer.state").write_text("THAWED")


def _remove_groups(group: Path) -> bool:
    for directory in reversed(_groups_within(group)):
        with contextlib.suppress(OSError):
            directory.rmdir()
    return not group.exists()


def _groups_within(group: Path) -> list[Path]:
    """A group and those below it, each after the one that it is in; some may be gone meanwhile."""
    return [Path(directory) for directory, _, _ in os.walk(group)]
