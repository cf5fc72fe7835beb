"""Network namespaces: doing a piece of work inside one, and telling one from another.

A thread belongs to a namespace. The threads of the daemon stay in the daemon's; work that has to be done
elsewhere runs in a thread of its own, which enters the namespace and ends with the work. Nothing here keeps
a descriptor of a namespace after a call, because that would keep a dead container's network alive.
"""

import asyncio
import ctypes
import os
import socket
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

_CLONE_NEWNET = 0x40000000
_SO_NETNS_COOKIE = 71


async def in_new_thread(work: Callable[[], Result]) -> Result:
    """Run ``work`` in a thread that ends with it, so that ``work`` may enter a namespace.

    Cancelling the caller does not stop the work: what it has begun in the kernel it finishes.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def deliver(result: Result | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]
        else:
            future.set_exception(error)

    def run() -> None:
        try:
            outcome: tuple[Result | None, BaseException | None] = (work(), None)
        except BaseException as error:
            outcome = (None, error)
        if not loop.is_closed():
            loop.call_soon_threadsafe(deliver, *outcome)

    threading.Thread(target=run, name="namespace", daemon=True).start()
    return await future


def enter(descriptor: int) -> None:
    """Move the calling thread into the network namespace that ``descriptor`` is open on. For good."""
    libc = _libc()
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def enter_new() -> None:
    """Move the calling thread into a network namespace of its own, which goes when the thread ends."""
    libc = _libc()
    if libc.unshare(_CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def identity_here() -> str:
    """A name for the namespace of the calling thread that no other will have, not even after a reboot.

    Inode numbers of namespaces are used again as soon as one dies; the kernel's cookie is not. Kernels
    before 5.14 have no cookie, and there the inode number has to do.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
        try:
            cookie = any_socket.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8)
        except OSError:
            return f"{_boot()}-i{os.stat('/proc/thread-self/ns/net').st_ino}"
    return f"{_boot()}-{int.from_bytes(cookie, 'little')}"


def same_namespace(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether two ``stat`` results are of the same namespace. Only of use while both exist."""
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


@cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().replace("-", "")[:8]


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
