"""What the kernel says of its own accord: the multicast groups of netlink, and the form of its messages."""

import asyncio
import errno
import socket
import struct
from collections.abc import Callable, Iterator

ROUTING, NETFILTER = 0, 12
"""Families of netlink: devices, addresses and bridges; nftables."""
LINKS, ADDRESSES, ROUTES, MEMBERSHIPS = 1, 5, 7, 26
"""Groups of ``ROUTING``: devices; addresses and routes of IPv4; who listens to which multicast group behind a
bridge."""
NFTABLES = 7
"""The group of ``NETFILTER``."""

_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_TYPE_BITS = 0x3FFF
_LARGEST = 1 << 18
_DATAGRAMS_PER_TURN = 64


class News:
    """Gives each datagram of a group to ``take``, in the running event loop, until it is closed.

    ``missed`` is called when the kernel had more to say than its queue holds: something was not told.
    """

    def __init__(
        self, family: int, group: int, take: Callable[[bytes], None], missed: Callable[[], None]
    ) -> None:
        self._take = take
        self._missed = missed
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, family
        )
        self._socket.bind((0, 0))
        self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._read)

    def close(self) -> None:
        """Hear nothing more. May be called twice, and when the loop has ended."""
        if self._socket.fileno() >= 0:
            if not self._loop.is_closed():
                self._loop.remove_reader(self._socket)
            self._socket.close()

    def _read(self) -> None:
        for _ in range(_DATAGRAMS_PER_TURN):
            if self._socket.fileno() < 0:
                return
            try:
                data = self._socket.recv(_LARGEST)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._missed()
            else:
                self._take(data)


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The type and the body of each message in a datagram."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, offset)
        yield kind, data[offset + _HEADER.size : offset + length]
        offset += max((length + 3) & ~3, _HEADER.size)


def attributes(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The type and the content of each attribute in (a part of) a message's body."""
    offset = 0
    while offset + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, offset)
        yield kind & _TYPE_BITS, body[offset + _ATTRIBUTE.size : offset + length]
        offset += max((length + 3) & ~3, _ATTRIBUTE.size)
