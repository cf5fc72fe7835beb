"""Asks a running daemon over its control socket. Standard library only: every command starts with it."""

import contextlib
import http.client
import json
import os
import select
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from tulle.errors import UserError

PATIENCE = 30.0
"""Seconds that an answer may take, unless the request is one that waits."""

_CREDENTIALS = struct.Struct("3i")


class NotRunning(UserError):
    """Nobody answers on the control socket."""


class Refused(UserError):
    """The daemon answered with an error; the text is its own."""


class Answer(NamedTuple):
    """What the daemon said to a request that it accepted."""

    status: int
    text: str


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float | None) -> None:
        super().__init__("tulle", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Client:
    """Requests to the daemon behind one control socket. All methods raise UserError when it goes wrong."""

    def __init__(self, path: str, command: str = "tulle") -> None:
        self.path = path
        self._command = command

    def get(self, *steps: str, wait: bool = False, **query: str) -> str:
        """The text at a path."""
        return self.request("GET", steps, query, wait=wait).text

    def get_json(self, *steps: str, **query: str) -> Any:
        """The JSON document at a path."""
        return json.loads(self.request("GET", steps, query, accept="application/json").text)

    def post(
        self, *steps: str, body: Mapping[str, Any] | None = None, wait: bool = False, **query: str
    ) -> Any:
        """Send a JSON body; returns the JSON answer, None if there is none."""
        text = self.request("POST", steps, query, body, wait=wait).text
        return json.loads(text) if text else None

    def request(
        self,
        method: str,
        steps: Sequence[str],
        query: Mapping[str, str | Sequence[str]] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        wait: bool = False,
        accept: str = "*/*",
    ) -> Answer:
        """Any request. ``steps`` are the parts of the path, quoted here; ``wait``: it may take for ever."""
        target = "/" + "/".join(quote(step, safe=":", errors="surrogateescape") for step in steps)
        if query:
            target += "?" + urlencode(query, doseq=True, errors="surrogateescape")
        payload = None if body is None else json.dumps(body).encode()
        headers = {"Accept": accept, "Content-Type": "application/json"}
        connection = _Connection(self.path, None if wait else PATIENCE)
        with contextlib.closing(connection):
            try:
                connection.request(method, target, payload, headers)
                response = connection.getresponse()
                text = response.read().decode(errors="replace")
            except (OSError, http.client.HTTPException) as error:
                raise self._unreachable(error) from None
        if response.status >= 400:
            raise Refused(
                text.strip() or f"the daemon answered with status {response.status}", response.status
            )
        return Answer(response.status, text)

    def is_running(self) -> bool:
        """Whether a daemon answers."""
        return self._peer() is not None

    def pid(self) -> int | None:
        """The process behind the socket; None if nobody answers, 0 if it is out of our sight."""
        return self._peer()

    def wait_gone(self, pid: int | None, patience: float = PATIENCE) -> bool:
        """Wait until that process has ended; False if it has not after ``patience`` seconds."""
        if pid:
            try:
                handle = os.pidfd_open(pid)
            except ProcessLookupError:
                return True
            try:
                waiting = select.poll()
                waiting.register(handle, select.POLLIN)
                return bool(waiting.poll(patience * 1000))
            finally:
                os.close(handle)
        deadline = time.monotonic() + patience
        while self.is_running():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def _peer(self) -> int | None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(PATIENCE)
            try:
                probe.connect(self.path)
            except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
                return None
            except OSError as error:
                raise self._unreachable(error) from None
            pid: int = _CREDENTIALS.unpack(
                probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            )[0]
            return pid

    def _unreachable(self, error: Exception) -> UserError:
        if isinstance(error, (FileNotFoundError, ConnectionRefusedError, NotADirectoryError)):
            return NotRunning(
                f"the daemon is not running (nothing answers on {self.path}); "
                f"start it with `{self._command} launch`"
            )
        if isinstance(error, PermissionError):
            return UserError(f"you may not use {self.path}; run this command as root")
        if isinstance(error, TimeoutError):
            return UserError(f"the daemon has not answered within {PATIENCE:.0f} s; its log may say why")
        if isinstance(error, OSError) and error.strerror and not isinstance(error, ConnectionError):
            return UserError(f"the daemon cannot be asked over {self.path}: {error.strerror.lower()}")
        return UserError("the daemon ended or failed before it answered; its log may say why")
