"""How a daemon process comes to be.

It is always a fresh ``python -m tulle.daemon``, which reads its flags from standard input: what it runs with
does not depend on who started it, and no password is ever among its arguments or in its environment.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any, NoReturn

from tulle.api.client import Client, NotRunning, Refused
from tulle.errors import UserError

PATIENCE = 30.0
"""Seconds in which a daemon should be ready; it is left alone after that."""

_POLL = 0.02


def arguments(socket: str) -> list[str]:
    """The command line of a daemon; the socket is in it to tell one daemon from another in process lists."""
    return [sys.executable, "-P", "-m", "tulle.daemon", socket]


def start_daemon(flags: Mapping[str, Any], client: Client, log: str, secret: str) -> None:
    """Start it in the background and wait until it is ready.

    ``secret`` is an environment variable it must not inherit. Raises UserError with the daemon's own words
    when it ends instead.
    """
    with _open_log(log) as log_file:
        child = subprocess.Popen(
            arguments(client.path),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log_file,
            env=_environment(secret),
            start_new_session=True,
        )
    assert child.stdin is not None
    assert child.stdout is not None
    with child.stdin, child.stdout:
        child.stdin.write(json.dumps({"flags": dict(flags), "background": True}).encode())
        child.stdin.close()
        _wait_ready(child, client, log)


def become_daemon(flags: Mapping[str, Any], socket: str, secret: str) -> NoReturn:
    """Replace this process by the daemon, which logs to stderr."""
    handle = os.memfd_create("tulle-flags")
    os.write(handle, json.dumps({"flags": dict(flags), "background": False}).encode())
    os.lseek(handle, 0, os.SEEK_SET)
    os.dup2(handle, 0)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, arguments(socket), _environment(secret))


def _environment(secret: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != secret}


def _open_log(path: str) -> Any:
    directory = os.path.dirname(path)
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        return open(path, "ab", opener=lambda name, mode: os.open(name, mode, 0o600))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        hint = "; run this command as root" if isinstance(error, PermissionError) else ""
        raise UserError(f"cannot write to the state directory {directory}: {reason}{hint}") from None


def _wait_ready(child: "subprocess.Popen[bytes]", client: Client, log: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise UserError(_last_words(child, log))
        try:
            client.get("status")
        except NotRunning:
            pass
        except Refused as error:
            if error.status != 503:
                raise
        else:
            _leave(child)
            return
        time.sleep(_POLL)
    _leave(child)
    raise UserError(
        f"the daemon is still not ready after {PATIENCE:.0f} s; it goes on trying, and its log is {log}"
    )


def _leave(child: "subprocess.Popen[bytes]") -> None:
    """It outlives us: keep subprocess from complaining that nobody waited for it."""
    child.returncode = 0


def _last_words(child: "subprocess.Popen[bytes]", log: str) -> str:
    assert child.stdout is not None
    words = child.stdout.read().decode(errors="replace").strip()
    return words or f"the daemon ended with status {child.returncode}; its log is {log}"
