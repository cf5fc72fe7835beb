"""The gate at which containers made through the proxy wait until they are attached.

Their first process, the wait helper, connects to a socket that is mounted into the container, whoever starts
the container and however often. It is attached then, and let go. The socket stays open until the helper has
become the container's own command, or cannot: so it is known here how a start went. Nothing is read from a
container but two bytes: why its command could not be started.
"""

import asyncio
import contextlib
import logging
import os
import platform
import re
import socket
import struct
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from tulle.api.sockets import accept_for_ever
from tulle.errors import StorageError, UserError
from tulle.host.tasks import Tasks

log = logging.getLogger(__name__)

Attach = Callable[[str], Coroutine[Any, Any, None]]
HELPER, GATE = "wait", "gate"

_IDENT = re.compile(rb"[0-9a-f]{64}")
_CREDENTIALS = struct.Struct("=iII")
_BACKLOG = 512
_GO, _QUIT = b"g", b"q"
_IN_PATH, _SEEN, _EXECUTABLE, _STARTED = b"psxe"
"""What could not be done with a command; wait.c has the same letters."""


class Outcome(NamedTuple):
    """How a start went. ``status`` is HTTP's: 0 when all is well. ``problem`` is for the user."""

    status: int = 0
    problem: str = ""


Waiting = asyncio.Future[Outcome]


class Gate:
    """The directory to mount, and those who wait in containers; ``attach`` gets the id of a container."""

    def __init__(self, directory: Path, attach: Attach) -> None:
        self.directory = directory
        self._attach = attach
        self._expected: dict[str, list[Waiting]] = {}
        self._attaching: dict[str, asyncio.Task[None]] = {}
        self._present: Counter[str] = Counter()
        self._tasks = Tasks()
        self._listener: socket.socket | None = None

    async def start(self) -> None:
        """Put the helper into place and open the gate. Raises OSError or UserError."""
        self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.directory.chmod(0o755)
        _install(self.directory)
        self._listener = _listen(self.directory / GATE)
        self._tasks.spawn(accept_for_ever(self._listener, self._welcome, "containers that start"))

    async def stop(self) -> None:
        """Close it. Who waits goes on waiting for the next daemon."""
        await self._tasks.stop()
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    @contextmanager
    def expect(self, ident: str) -> Iterator[Waiting]:
        """How the next start of a container goes. To be called before it is started."""
        waiting: Waiting = asyncio.get_running_loop().create_future()
        self._expected.setdefault(ident, []).append(waiting)
        try:
            yield waiting
        finally:
            waiting.cancel()
            self._expected[ident].remove(waiting)
            if not self._expected[ident]:
                del self._expected[ident]

    def sees(self, ident: str) -> bool:
        """Whether a container is at the gate, or has just passed and is not its own command yet."""
        return ident in self._present

    def waiting(self) -> bool:
        """Whether any container waits to be attached."""
        return bool(self._attaching)

    async def passed(self, ident: str) -> None:
        """Until the container has been attached, or was refused, if that is going on."""
        task = self._attaching.get(ident)
        if task is not None:
            await asyncio.wait({task})

    async def attach(self, ident: str) -> None:
        """Attach a container that could not come to the gate. Raises UserError or StorageError."""
        await asyncio.shield(self._attachment(ident))

    def _welcome(self, connection: socket.socket) -> None:
        self._tasks.spawn(self._serve(connection))

    async def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                await self._let_through(connection)
            except OSError as error:
                log.info("a container that waited has gone: %s", error.strerror or error)
            except Exception:
                log.exception("internal error while a container waited")

    async def _let_through(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        pid = _peer(connection)
        ident, command = _container_of(pid), _command_of(pid)
        if ident is None:
            log.warning("process %d waits at the gate of containers and is in none; it may pass", pid)
            await loop.sock_sendall(connection, _GO)
            return
        self._present[ident] += 1
        try:
            await self._pass(connection, ident, command)
        finally:
            self._present[ident] -= 1
            if not self._present[ident]:
                del self._present[ident]

    async def _pass(self, connection: socket.socket, ident: str, command: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            if not await self._attached(ident, connection):
                return
        except (UserError, StorageError) as error:
            log.error("%s is not started: %s", ident[:12], error)
            told = self._tell(ident, Outcome(500, str(error)))
            text = b"" if told else f"tulle: {error}\n".encode()
            await loop.sock_sendall(connection, _QUIT + text)
            return
        await loop.sock_sendall(connection, _GO)
        news = await loop.sock_recv(connection, 2)
        if len(news) < 2:
            self._tell(ident, Outcome())
            return
        started, problem = explained(news[0], news[1], command)
        told = self._tell(ident, Outcome() if started else Outcome(400, problem)) and not started
        text = b"" if told else (problem if started else f"tulle: {problem}").encode() + b"\n"
        await loop.sock_sendall(connection, _QUIT + text)

    async def _attached(self, ident: str, connection: socket.socket) -> bool:
        """Have the container attached; False when it ended meanwhile."""
        task = self._attachment(ident)
        gone = asyncio.ensure_future(asyncio.get_running_loop().sock_recv(connection, 1))
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
        if not task.done():
            task.cancel()
            return False
        task.result()
        return True

    def _attachment(self, ident: str) -> asyncio.Task[None]:
        """The attaching of a container, which is done once for all who want it now."""
        task = self._attaching.get(ident)
        if task is None:
            task = self._tasks.spawn(self._attach(ident))
            self._attaching[ident] = task
            task.add_done_callback(lambda _: self._attaching.pop(ident, None))
        return task

    def _tell(self, ident: str, outcome: Outcome) -> bool:
        """Whether there was anybody to tell."""
        waiting = [one for one in self._expected.get(ident, ()) if not one.done()]
        for one in waiting:
            one.set_result(outcome)
        return bool(waiting)


def explained(error: int, failure: int, command: str) -> tuple[bool, str]:
    """Whether the engine counts a command as started, and its own words for why it could not run.

    Only what fails before a container begins is a failure to start; the command line takes the exit status
    of ``docker run`` from these words.
    """
    reason = os.strerror(error).lower()
    if failure == _STARTED:
        return True, f"exec {command}: {reason}"
    said = {
        _IN_PATH: "executable file not found in $PATH",
        _SEEN: f"stat {command}: {reason}",
    }.get(failure, reason)
    return False, (
        "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container"
        f' process: exec: "{command}": {said}: unknown'
    )


def _install(directory: Path) -> None:
    """Put the helper for this kind of machine there, unless it is there; containers may be using it."""
    source = resources.files("tulle.docker.wait") / f"wait-{platform.machine()}"
    try:
        program = source.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"there is no wait helper for {platform.machine()}, so the Docker API proxy cannot be offered"
        ) from None
    path = directory / HELPER
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == program:
            return
    new = directory / f".{HELPER}"
    new.write_bytes(program)
    new.chmod(0o755)
    new.replace(path)


def _listen(path: Path) -> socket.socket:
    """Open to every user, since a container's may be any; the path may be of any length."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.setblocking(False)
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener.bind(f"/proc/self/fd/{directory}/{path.name}")
        path.chmod(0o666)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    finally:
        os.close(directory)
    return listener


def _peer(connection: socket.socket) -> int:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid: int = _CREDENTIALS.unpack(credentials)[0]
    return pid


def _container_of(pid: int) -> str | None:
    """The id of the container that a process is in: its control groups are called after it."""
    try:
        found = _IDENT.findall(Path(f"/proc/{pid}/cgroup").read_bytes())
    except OSError:
        return None
    return found[-1].decode() if found else None


def _command_of(pid: int) -> str:
    """What the helper of this process is to become."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    return words[1].decode(errors="replace") if len(words) > 1 else ""
