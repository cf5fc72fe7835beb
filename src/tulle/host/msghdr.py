"""What the C library's calls for messages are told by: memory in pieces, addresses, control data.

Kept from call to call, so that sending or receiving many pieces costs Python no more than one.
"""

import ctypes
import errno
import mmap
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any

WORD = ctypes.sizeof(ctypes.c_size_t)


class Vector(ctypes.Structure):
    """``struct iovec``."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


VECTOR = ctypes.sizeof(Vector)


class Header(ctypes.Structure):
    """``struct msghdr``."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class Message(ctypes.Structure):
    """``struct mmsghdr``."""

    _fields_ = (("header", Header), ("length", ctypes.c_uint))


CONTROL_HEAD = struct.Struct("@Nii")
"""``struct cmsghdr``."""

_LIBC = ctypes.CDLL(None, use_errno=True)
sendmmsg, _recvmmsg = _LIBC.sendmmsg, _LIBC.recvmmsg
sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
_recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)


def recvmmsg(descriptor: int, messages: int, count: int) -> int:
    """Receive what waits into up to ``count`` messages at this address; how many. Raises OSError."""
    received = _recvmmsg(descriptor, messages, count, socket.MSG_DONTWAIT, None)
    if received < 0:
        problem = ctypes.get_errno()
        if problem in (errno.EAGAIN, errno.EINTR):
            return 0
        raise OSError(problem, os.strerror(problem))
    return int(received)


class Memory:
    """Memory at a fixed address, with a view for Python."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)
        self.view = memoryview(self.data)
        self.address = address_of(self.data)


def room(size: int) -> memoryview:
    """Zeros, which take no memory until something is written there."""
    return memoryview(mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


def address_of(data: bytearray | memoryview) -> int:
    """Where it begins. Whoever uses the address must keep ``data``, and not resize it."""
    return ctypes.addressof(ctypes.c_char.from_buffer(data))


def at_word(field: Any) -> int:
    """Where a field is in a structure, in words."""
    return int(field.offset) // WORD


class Vectors:
    """Pieces of memory, in the order in which one call fills or sends them."""

    def __init__(self, pieces: Sequence[memoryview]) -> None:
        self.pieces = pieces
        self._memory = Memory(len(pieces) * VECTOR)
        self.address = self._memory.address
        self._short = 0
        self._words = self._memory.view.cast("L")
        for number, piece in enumerate(pieces):
            self._words[2 * number] = address_of(piece)
            self._words[2 * number + 1] = len(piece)

    def join(self, first: int, count: int) -> bytes:
        """So many pieces as they would be sent."""
        end = first + count - 1
        return b"".join((*self.pieces[first:end], self.pieces[end][: self._words[2 * end + 1]]))

    def shorten(self, number: int, length: int) -> None:
        """Of this piece take so many bytes, at most those it has, and all bytes of all others."""
        short = self._short
        self._words[2 * short + 1] = len(self.pieces[short])
        self._words[2 * number + 1] = length
        self._short = number
