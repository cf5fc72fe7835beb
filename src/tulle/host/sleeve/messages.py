"""Datagrams that lie in many pieces of memory: several of them, or superframes of them, in one system call.

The socket module looks at every piece anew in every call; here all stands ready for the C library but what
changes. And doing one thing for several superframes, then the next, leaves each step's instructions and data
in the processor's cache, which one superframe's copies flush.
"""

import ctypes
import errno
import socket
import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tulle.datapath.sleeve.orders import Endpoint
from tulle.host.msghdr import (
    CONTROL_HEAD,
    VECTOR,
    WORD,
    Header,
    Memory,
    Message,
    Vectors,
    at_word,
    recvmmsg,
    sendmmsg,
)

COUNT = 16
"""Superframes at once."""


_UDP_SEGMENT = 103
_SEGMENT, _STRIDE = struct.Struct("=H"), struct.Struct("=i")
_ADDRESS = struct.Struct("=H2s4s8x")
_SIZE = ctypes.sizeof(Message)
_STEP = _SIZE // WORD
_VECTORS, _VECTOR_COUNT = at_word(Header.vectors), at_word(Header.vector_count)
_CONTROL_LENGTH, _LENGTH = at_word(Header.control_length), at_word(Message.length)
_LENGTH_MASK = 0xFFFFFFFF


class _Slots:
    """What the calls are told: all that stays the same, and ``words`` for the rest."""

    def __init__(self, control: int) -> None:
        self.control_size = socket.CMSG_SPACE(control)
        self.names = Memory(COUNT * _ADDRESS.size)
        self.controls = Memory(COUNT * self.control_size)
        self._memory = Memory(COUNT * _SIZE)
        self.address = self._memory.address
        self.words = self._memory.view.cast("L")
        for number, slot in enumerate((Message * COUNT).from_buffer(self._memory.data)):
            slot.header.name = self.names.address + number * _ADDRESS.size
            slot.header.name_length = _ADDRESS.size
            slot.header.control = self.controls.address + number * self.control_size

    def point(self, number: int, vectors: int, count: int, control: int) -> None:
        """What is read or written with this slot, and how many bytes of control data go with it."""
        at = number * _STEP
        self.words[at + _VECTORS], self.words[at + _VECTOR_COUNT] = vectors, count
        self.words[at + _CONTROL_LENGTH] = control


class Post(NamedTuple):
    """So many of these pieces, in datagrams of this length (0: in one)."""

    endpoint: Endpoint
    pieces: Vectors
    first: int
    number: int
    length: int


class Sending:
    """By one socket, ``COUNT`` messages at a time. ``failed`` is told which ones were not sent, and why."""

    def __init__(self, descriptor: int, failed: Callable[[int, Post], None]) -> None:
        self._descriptor = descriptor
        self._failed = failed
        self._slots = _Slots(_SEGMENT.size)
        length = socket.CMSG_LEN(_SEGMENT.size)
        for number in range(COUNT):
            at = number * self._slots.control_size
            CONTROL_HEAD.pack_into(self._slots.controls.data, at, length, socket.IPPROTO_UDP, _UDP_SEGMENT)
        self._set: list[tuple[Endpoint, int] | None] = [None] * COUNT
        """Where each slot's message goes, and how long its datagrams are."""
        self.waiting: list[Post] = []
        self.flags = 0
        """For every call: once the network interface has kept one waiting, the next ones do not wait."""

    def post(self, post: Post) -> None:
        """Send this, now, with others, or at ``flush``.

        Its bytes must stay as they are until ``COUNT`` more were posted, or ``flush`` was called.
        """
        endpoint, pieces, first, count, length = post
        slots, number = self._slots, len(self.waiting)
        if self._set[number] != (endpoint, length):
            self._address(number, endpoint, length)
        slots.point(number, pieces.address + first * VECTOR, count, slots.control_size if length else 0)
        self.waiting.append(post)
        if number + 1 == COUNT:
            self.flush()

    def flush(self) -> None:
        """Send what was posted."""
        waiting = self.waiting
        if not waiting:
            return
        self.waiting = []
        done = 0
        while done < len(waiting):
            at, count = self._slots.address + done * _SIZE, len(waiting) - done
            sent = sendmmsg(self._descriptor, at, count, self.flags)
            problem = ctypes.get_errno() if sent <= 0 else 0
            self.went(problem)
            if problem:
                self._failed(problem, waiting[done])
            done += sent if sent > 0 else 1

    def _address(self, number: int, endpoint: Endpoint, length: int) -> None:
        slots = self._slots
        port, ip = endpoint.port.to_bytes(2, "big"), socket.inet_aton(endpoint.ip)
        _ADDRESS.pack_into(slots.names.data, number * _ADDRESS.size, socket.AF_INET, port, ip)
        _SEGMENT.pack_into(slots.controls.data, number * slots.control_size + CONTROL_HEAD.size, length)
        self._set[number] = endpoint, length

    def went(self, problem: int) -> None:
        """This is how a call of this socket ended."""
        self.flags = socket.MSG_DONTWAIT if problem == errno.EAGAIN else 0


class Received(NamedTuple):
    """``size`` bytes of datagrams that lie ``stride`` bytes apart; the last may be shorter."""

    size: int
    stride: int
    source: Endpoint


class Receiving:
    """By one socket, from up to ``COUNT`` senders at a time."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._slots = _Slots(_STRIDE.size)
        self._name = b""
        self._source = Endpoint("0.0.0.0", 0)

    def receive(self, rooms: Sequence[Vectors]) -> list[Received]:
        """Fill these with what waits, each with datagrams of one sender. May raise OSError."""
        slots = self._slots
        for number, room in enumerate(rooms):
            slots.point(number, room.address, len(room.pieces), slots.control_size)
        count = recvmmsg(self._descriptor, slots.address, len(rooms))
        return [self._received(number) for number in range(count)]

    def _received(self, number: int) -> Received:
        slots, at = self._slots, number * _STEP
        size = stride = slots.words[at + _LENGTH] & _LENGTH_MASK
        if slots.words[at + _CONTROL_LENGTH]:
            (stride,) = _STRIDE.unpack_from(
                slots.controls.data, number * slots.control_size + CONTROL_HEAD.size
            )
        name = bytes(slots.names.view[number * _ADDRESS.size : (number + 1) * _ADDRESS.size])
        if name != self._name:
            self._name = name
            _, port, ip = _ADDRESS.unpack(name)
            self._source = Endpoint(socket.inet_ntoa(ip), int.from_bytes(port, "big"))
        return Received(size, stride, self._source)
