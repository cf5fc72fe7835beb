"""The TAP: the daemon's own door into the data path.

It is not a port of the bridge. What the daemon writes there, the kernel programs send to a peer, and what
they find to be for the daemon comes out of it. It vanishes with the daemon; nothing else does.
"""

import asyncio
import contextlib
import fcntl
import os
import socket
import struct
from collections.abc import Callable

from tulle.errors import UserError

_TUNSETIFF = 0x400454CA
_IFF_TAP = 0x0002
_IFF_NO_PI = 0x1000
_REQUEST = struct.Struct("16sH22x")
_MAX_FRAME = 65536
_READS_PER_TURN = 64


class Tap:
    """An open TAP. Closing it removes the interface."""

    def __init__(self, name: str) -> None:
        self.name = name
        try:
            self._fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise UserError(
                f"cannot open /dev/net/tun: {error.strerror}; load the kernel module with `modprobe tun`", 503
            ) from error
        self._loop: asyncio.AbstractEventLoop | None = None
        self._diverted: dict[int, Callable[[bytes], None]] = {}
        self._take: Callable[[bytes], None] | None = None
        try:
            fcntl.ioctl(self._fd, _TUNSETIFF, _REQUEST.pack(name.encode(), _IFF_TAP | _IFF_NO_PI))
            self.ifindex = socket.if_nametoindex(name)
        except OSError as error:
            os.close(self._fd)
            raise UserError(
                f"cannot open the interface {name}: {error.strerror}; is another daemon running here?", 503
            ) from error

    def write(self, frame: bytes) -> bool:
        """Hand a frame to the kernel; False if it would not take it."""
        try:
            os.write(self._fd, frame)
        except OSError:
            return False
        return True

    def read(self) -> bytes | None:
        """The next waiting frame, or None."""
        try:
            return os.read(self._fd, _MAX_FRAME)
        except BlockingIOError:
            return None
        except OSError:
            self._stop_reading()  # somebody removed the interface: nothing will ever come
            return None

    def divert(self, kind: int, take: Callable[[bytes], None]) -> None:
        """Give frames that begin with this byte to somebody else."""
        self._diverted[kind] = take

    def on_frame(self, take: Callable[[bytes], None]) -> None:
        """Call ``take`` for each frame from now on, in the running event loop."""
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._drain, take)

    def drain(self, take: Callable[[bytes], None]) -> None:
        """Take what is waiting now: before judging who has not answered, hear who has."""
        self._drain(take)

    def drain_again(self) -> None:
        """The same for whoever is called for each frame already, if there is somebody."""
        if self._take is not None:
            self._drain(self._take)

    def close(self) -> None:
        """Stop reading and remove the interface."""
        if self._fd < 0:
            return
        self._stop_reading()
        os.close(self._fd)
        self._fd = -1

    def _stop_reading(self) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.remove_reader(self._fd)
            self._loop = None

    def _drain(self, take: Callable[[bytes], None]) -> None:
        for _ in range(_READS_PER_TURN):
            frame = self.read()
            if frame is None:
                return
            self._diverted.get(frame[0] if frame else -1, take)(frame)
