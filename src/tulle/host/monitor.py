"""Noticing that a container is gone: the kernel tells when the host's end of its veth pair disappears."""

import asyncio
import errno
import socket
import struct
from collections.abc import Callable

from tulle.host.attachments import Attachment

_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHi")
_DELLINK = 17
_LINK_GROUP = 1
_MESSAGES_PER_TURN = 64


class Monitor:
    """Watches attachments, and calls ``on_gone`` in the event loop for each that disappears.

    Not told by the kernel (its queue can overflow, and something may go before it is watched) are found by
    looking, when that can have happened and every ``interval`` seconds.
    """

    def __init__(self, on_gone: Callable[[Attachment], None], interval: float = 60) -> None:
        self._on_gone = on_gone
        self._interval = interval
        self._watched: dict[int, Attachment] = {}
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Listen to the kernel. Attachments that are watched from now on are not missed."""
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0
        )
        self._socket.bind((0, _LINK_GROUP))
        asyncio.get_running_loop().add_reader(self._socket, self._read)
        self._look_again()

    def stop(self) -> None:
        """Stop listening; what is watched stays as it is."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def watch(self, attachment: Attachment) -> None:
        """Watch an attachment from now on. One that has gone already is reported at once."""
        self._watched[attachment.host_index] = attachment
        if not still_there(attachment):
            asyncio.get_running_loop().call_soon(self._report, attachment.host_index)

    def forget(self, host_index: int) -> None:
        """Watch the attachment no more: it will go because we take it away."""
        self._watched.pop(host_index, None)

    def watched(self) -> list[Attachment]:
        """What is watched, in the order in which that began."""
        return list(self._watched.values())

    def check(self) -> None:
        """Look for everything that is watched, and report what is gone."""
        for index, attachment in list(self._watched.items()):
            if not still_there(attachment):
                self._report(index)

    def _look_again(self) -> None:
        self.check()
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._look_again)

    def _report(self, index: int) -> None:
        attachment = self._watched.pop(index, None)
        if attachment is not None:
            self._on_gone(attachment)

    def _read(self) -> None:
        assert self._socket is not None
        for _ in range(_MESSAGES_PER_TURN):
            try:
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.check()
                continue
            for index in removed_links(data):
                self._report(index)


def removed_links(data: bytes) -> list[int]:
    """The indexes of the links that the messages in a netlink datagram say are gone.

    A bridge says the same of a port that merely leaves it, in messages of its own family: not these.
    """
    indexes = []
    offset = 0
    while offset + _HEADER.size + _LINK.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, offset)
        family, _type, index = _LINK.unpack_from(data, offset + _HEADER.size)
        if kind == _DELLINK and family == socket.AF_UNSPEC:
            indexes.append(index)
        offset += max((length + 3) & ~3, _HEADER.size)
    return indexes


def still_there(attachment: Attachment) -> bool:
    """Whether the host's end of the pair exists. To be asked in the host's namespace."""
    try:
        return socket.if_indextoname(attachment.host_index) == attachment.host_name
    except OSError:
        return False
