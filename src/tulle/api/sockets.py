"""Listening sockets, made by hand for what the libraries do not do.

A unix socket must never be open to others, not even between bind and chmod, and must not displace a daemon
that is alive; a TCP socket needs IPPROTO_TCP spelt out, or asyncio leaves Nagle's algorithm on.
"""

import asyncio
import errno
import logging
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from tulle.api.listen import ListenAddress, TcpAddress
from tulle.errors import UserError

BACKLOG = 128
PAUSE = 1.0
"""Seconds before a connection is accepted again after one could not be, as with too many open files."""

log = logging.getLogger(__name__)


def listen(address: ListenAddress) -> socket.socket:
    """A listening socket. Raises UserError when the address cannot be had."""
    if isinstance(address, TcpAddress):
        return _listen_tcp(address)
    return listen_unix(address.path)


def _listen_tcp(address: TcpAddress) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(address.host), address.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _cannot_listen(str(address), error) from None
    return listener


def listen_unix(path: str) -> socket.socket:
    """A socket that only our user can connect to. A file left behind by a dead daemon is replaced."""
    if is_answering(path):
        raise UserError(
            f"another daemon is already listening on {path}; stop it or use another --socket", 409
        )
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path)
        before = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _cannot_listen(path, error) from None
    return listener


def is_answering(path: str) -> bool:
    """Whether somebody accepts connections on this unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            return False
        except BlockingIOError:
            return True
        except OSError as error:
            return error.errno == errno.EAGAIN or isinstance(error, TimeoutError)
        return True


async def accept_for_ever(
    listener: socket.socket, welcome: Callable[[socket.socket], None], whom: str
) -> None:
    """Give every connection to ``welcome``. While the system has no more, ``whom`` it is for has to wait."""
    loop = asyncio.get_running_loop()
    listener.setblocking(False)
    while True:
        try:
            connection, _ = await loop.sock_accept(listener)
        except OSError as error:
            log.error("%s have to wait: %s", whom, error)
            await asyncio.sleep(PAUSE)
        else:
            welcome(connection)


def remove_socket(path: str, listener_inode: int) -> None:
    """Remove the socket file, unless another daemon has made its own in the meantime."""
    try:
        if os.lstat(path).st_ino == listener_inode:
            os.unlink(path)
    except FileNotFoundError:
        return


def _remove_stale(path: str) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "there is a file that is not a socket")
    os.unlink(path)


def _cannot_listen(where: str, error: OSError) -> UserError:
    reason = (error.strerror or str(error)).lower()
    hint = "; another program has it" if error.errno == errno.EADDRINUSE else ""
    return UserError(f"cannot listen on {where}: {reason}{hint}", 409 if hint else 400)
