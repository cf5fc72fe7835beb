"""Noticing that a container is gone: the kernel tells when the host's end of its veth pair disappears."""

import asyncio
import socket
import struct
from collections.abc import Callable

from tulle.host.attachments import Attachment
from tulle.host.news import LINKS, ROUTING, News, messages

_LINK = struct.Struct("=BxHi")
_DELLINK = 17


class Monitor:
    """Watches attachments, and calls ``on_gone`` in the event loop for each that disappears.

    Not told by the kernel (its queue can overflow, and something may go before it is watched) are found by
    looking, when that can have happened and every ``interval`` seconds.
    """

    def __init__(self, on_gone: Callable[[Attachment], None], interval: float = 60) -> None:
        self._on_gone = on_gone
        self._interval = interval
        self._watched: dict[int, Attachment] = {}
        self._news: News | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Listen to the kernel. Attachments that are watched from now on are not missed."""
        self._news = News(ROUTING, LINKS, self._hear, self.check)
        self._look_again()

    def stop(self) -> None:
        """Stop listening; what is watched stays as it is."""
        if self._news is not None:
            self._news.close()
            self._news = None
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

    def _hear(self, data: bytes) -> None:
        for index in removed_links(data):
            self._report(index)


def removed_links(data: bytes) -> list[int]:
    """The indexes of the links that the messages in a netlink datagram say are gone.

    A bridge says the same of a port that merely leaves it, in messages of its own family: not these.
    """
    links = (
        _LINK.unpack_from(body)
        for kind, body in messages(data)
        if kind == _DELLINK and len(body) >= _LINK.size
    )
    return [index for family, _type, index in links if family == socket.AF_UNSPEC]


def still_there(attachment: Attachment) -> bool:
    """Whether the host's end of the pair exists. To be asked in the host's namespace."""
    try:
        return socket.if_indextoname(attachment.host_index) == attachment.host_name
    except OSError:
        return False
