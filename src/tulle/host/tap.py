"""The TAP: the daemon's own door into the data path.

It is not a port of the bridge. What the daemon writes there, the kernel programs send to a peer, and what
they find to be for the daemon comes out of it: control frames, and data frames that go to a neighbour by the
sleeve. It vanishes with the daemon; nothing else does.

Every frame has a header of ten bytes before it (``virtio_net_hdr``), by which the kernel says and is told
what is left to do with checksums and with frames that are bigger than a packet. It is empty for control
frames.
"""

import contextlib
import fcntl
import os
import socket
import struct
import time
from collections.abc import Callable, Sequence

from tulle.datapath.tapframe import DATA
from tulle.errors import UserError
from tulle.host.direct import add_reader
from tulle.host.msghdr import room

_TUNSETIFF = 0x400454CA
_TUNSETOFFLOAD = 0x400454D0
_IFF_TAP = 0x0002
_IFF_NO_PI = 0x1000
_IFF_VNET_HDR = 0x4000
_CSUM, _TSO4, _TSO6, _TSO_ECN, _USO4, _USO6 = 0x01, 0x02, 0x04, 0x08, 0x20, 0x40
_OFFLOADS = _CSUM | _TSO4 | _TSO6 | _TSO_ECN
_REQUEST = struct.Struct("16sH22x")
_HEAD = 10
_NO_OFFLOAD = bytes(_HEAD)
_LARGEST = 70_000
"""Bytes of the biggest frame: 64 KB of packet, and headers."""
_SMALL = 256
"""Bytes; frames of a transfer are bigger, except those that acknowledge others."""
AT_ONCE = 16
"""Frames in one look."""
_READS_PER_TURN = 64
_OCTETS_PER_TURN = 1 << 20
"""A turn ends after so much, a millisecond or two: the daemon has other things to do as well."""

PAUSE = 0.0001
"""Seconds. What comes after such a pause goes on its way before anybody looks for more: somebody may wait for
it, and rarely is there more."""

TakeData = Callable[[list[memoryview]], None]
"""Takes the data frames of one look: header of offloads, tap header, Ethernet frame, at the beginning of a
buffer. The bytes are good, and may be overwritten, during the call."""


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
        self._end_reading: Callable[[], None] | None = None
        self._diverted: dict[int, Callable[[bytes], None]] = {}
        self._take: Callable[[bytes], None] | None = None
        self._take_data: TakeData | None = None
        self._buffers = [room(_LARGEST) for _ in range(AT_ONCE)]
        self._looked = 0.0
        self._bulk = False
        """Whether big frames come, which are taken together."""
        try:
            flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR
            fcntl.ioctl(self._fd, _TUNSETIFF, _REQUEST.pack(name.encode(), flags))
            self._use_offloads()
            self.ifindex = socket.if_nametoindex(name)
        except OSError as error:
            os.close(self._fd)
            raise UserError(
                f"cannot open the interface {name}: {error.strerror}; is another daemon running here?", 503
            ) from error

    def fileno(self) -> int:
        """The descriptor, for who reads and writes many data frames at once; -1 when closed."""
        return self._fd

    def write(self, frame: bytes) -> bool:
        """Hand a control frame to the kernel; False if it would not take it."""
        return self.write_data(_NO_OFFLOAD + frame)

    def write_data(self, frame: bytes | memoryview) -> bool:
        """Hand a data frame to the kernel, headers first; False if it would not take it."""
        try:
            os.write(self._fd, frame)
        except OSError:
            return False
        return True

    def write_all(self, frames: Sequence[bytes | memoryview]) -> list[bytes | memoryview]:
        """Hand data frames to the kernel, headers first; answers those that it would not take."""
        fd, write, refused = self._fd, os.write, []
        for frame in frames:
            try:
                write(fd, frame)
            except OSError:
                refused.append(frame)
        return refused

    def read(self) -> bytes | None:
        """The next waiting control frame, or None. Data frames before it are taken by who takes them."""
        while frames := self._look(1):
            for control in self._sort(frames):
                return control
        return None

    def divert(self, kind: int, take: Callable[[bytes], None]) -> None:
        """Give control frames that begin with this byte to somebody else."""
        self._diverted[kind] = take

    def on_data(self, take: TakeData | None) -> None:
        """Give data frames to this one; without anybody they are lost."""
        self._take_data = take

    def on_frame(self, take: Callable[[bytes], None]) -> None:
        """Call ``take`` for each control frame from now on, in the running event loop."""
        self._take = take
        self._end_reading = add_reader(self._fd, self._serve)

    def take_answer(self) -> bool:
        """Give away the frame that waits, if there is one and big ones do not come. True: a control frame."""
        return not self._bulk and self._take is not None and self._take_one()

    def hurry(self) -> None:
        """Much is going on: what comes next is not alone."""
        self._looked = time.monotonic()

    def _take_one(self) -> bool:
        frames = self._look(1)
        if not frames:
            return False
        frame = frames[0]
        self._bulk = len(frame) > _SMALL
        if len(frame) > _HEAD and frame[_HEAD] == DATA:
            if self._take_data is not None:
                self._take_data(frames)
            return False
        self._give(bytes(frame[_HEAD:]), self._take)
        return True

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

    def _use_offloads(self) -> None:
        """Take and give big frames whole. Kernels before 6.2 cut big UDP frames before they come here."""
        try:
            fcntl.ioctl(self._fd, _TUNSETOFFLOAD, _OFFLOADS | _USO4 | _USO6)
        except OSError:
            fcntl.ioctl(self._fd, _TUNSETOFFLOAD, _OFFLOADS)

    def _stop_reading(self) -> None:
        if self._end_reading is not None:
            with contextlib.suppress(RuntimeError):
                self._end_reading()
            self._end_reading = None

    def _look(self, most: int) -> list[memoryview]:
        """Frames that wait, at most so many.

        All are read before anything is done with the first: to do one thing with several frames, then the
        next, leaves the instructions and data of each in the processor's cache.
        """
        found: list[memoryview] = []
        fd, read, add = self._fd, os.readv, found.append
        try:
            for buffer in self._buffers[:most]:
                add(buffer[: read(fd, (buffer,))])
        except BlockingIOError:
            pass
        except OSError:
            self._stop_reading()  # somebody removed the interface: nothing will ever come
        return found

    def _sort(self, frames: list[memoryview]) -> list[bytes]:
        """Give data frames away; answers the control frames, without what stands before them."""
        data, control = [], []
        for frame in frames:
            if len(frame) > _HEAD and frame[_HEAD] == DATA:
                data.append(frame)
            else:
                control.append(bytes(frame[_HEAD:]))
        if data and self._take_data is not None:
            self._take_data(data)
        return control

    def _serve(self) -> bool:
        """Take what waits; after a pause, a single frame of it. True if that was, or had, a control frame."""
        now = time.monotonic()
        if self._bulk or now - self._looked < PAUSE:
            return self._drain(self._take)
        self._looked = now
        return self._take_one()

    def _drain(self, take: Callable[[bytes], None] | None) -> bool:
        """Take all that waits, but not for ever. True if a control frame was among it."""
        octets = count = 0
        controlled = False
        while count < _READS_PER_TURN and octets < _OCTETS_PER_TURN:
            frames = self._look(AT_ONCE)
            for control in self._sort(frames):
                controlled = True
                self._give(control, take)
            count += len(frames)
            octets += sum(map(len, frames))
            if len(frames) < AT_ONCE:
                break
        self._bulk = octets > count * _SMALL
        self._looked = time.monotonic()
        return controlled

    def _give(self, control: bytes, take: Callable[[bytes], None] | None) -> None:
        found = self._diverted.get(control[0] if control else -1, take)
        if found is not None:
            found(control)
