"""The plugin's socket on loan from the responder, which is started if there is none."""

import array
import asyncio
import contextlib
import socket
import subprocess
import sys
from pathlib import Path

from tulle.errors import UserError

END = b"end"
"""What the responder is told when nothing is left to answer for; it has the same word."""

_RESPONDER = Path(__file__).with_name("responder.py")
_PATIENCE = 10.0
"""Seconds that a new responder may take to be there on a busy machine."""


class Lease:
    """The listening socket, for as long as this process lives or until it is given back."""

    def __init__(self, listener: socket.socket, lender: socket.socket) -> None:
        self.listener = listener
        self._lender = lender

    def give_back(self, end: bool) -> None:
        """The responder answers from now on; or, with ``end``, nobody does, and the socket goes."""
        with contextlib.suppress(OSError):
            if end:
                self._lender.send(END)
        self._lender.close()
        self.listener.close()


async def borrow(path: Path, lease: Path) -> Lease:
    """Have the socket at ``path``. Raises UserError if another daemon has it, or it cannot be had."""
    lender = await _reach(lease)
    if lender is None:
        await asyncio.to_thread(_start, path, lease)
        lender = await _reach(lease)
    if lender is None:
        raise UserError(f"Docker's plugin socket {path} cannot be had here", 503)
    listener = await asyncio.to_thread(_received, lender)
    if listener is None:
        lender.close()
        raise UserError(f"another daemon serves Docker's plugin socket {path}; one engine has one tulle", 409)
    return Lease(listener, lender)


async def _reach(lease: Path) -> socket.socket | None:
    lender = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    lender.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(lender, str(lease))
    except OSError:
        lender.close()
        return None
    return lender


def _received(lender: socket.socket) -> socket.socket | None:
    """What the lender sends; None if it has lent it to somebody else."""
    lender.settimeout(_PATIENCE)
    size = array.array("i").itemsize
    try:
        said, files, _, _ = socket.recv_fds(lender, 16, size)
    except OSError:
        return None
    if not said or not files:
        return None
    listener = socket.socket(fileno=files[0])
    listener.setblocking(False)
    return listener


def _start(path: Path, lease: Path) -> None:
    """Have a process that outlives the daemon; it is in the background when this returns."""
    command = [sys.executable, "-ISE", str(_RESPONDER), str(path), str(lease)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"Docker's plugin socket {path} cannot be had: {error}", 503) from error
    if done.returncode:
        reason = done.stderr.strip().rpartition("\n")[2]
        raise UserError(f"Docker's plugin socket {path} cannot be had: {reason}", 503)
