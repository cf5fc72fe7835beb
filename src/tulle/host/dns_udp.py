"""The UDP side of the DNS server: a socket emptied in batches, without a task or an object per query."""

import asyncio
import functools
import logging
import socket
from collections.abc import Callable
from typing import Any

from tulle.host.datagrams import COUNT, Client, Datagrams
from tulle.names.resolver import Resolver, Verdict

log = logging.getLogger(__name__)

Send = Callable[[bytes], None]
"""Sends the reply to one query."""

_BATCHES = 4
_RECEIVE_BUFFER = 1 << 20
"""Bytes of waiting queries: what comes in while the event loop is busy with something else."""

_SO_RCVBUFFORCE = 33


class UdpPort:
    """A bound socket and its loop. ``later`` takes the queries that are forwarded."""

    def __init__(
        self, bound: socket.socket, resolver: Resolver, later: Callable[[bytes, Send], None]
    ) -> None:
        _enlarge_buffer(bound)
        self._datagrams = Datagrams(bound)
        self._resolver = resolver
        self._later = later
        self.queries = 0

    @property
    def unsent(self) -> int:
        """Replies that the kernel refused to send."""
        return self._datagrams.unsent

    def start(self) -> None:
        """Begin to answer."""
        asyncio.get_running_loop().add_reader(self._datagrams.fileno(), self._turn)

    def close(self) -> None:
        """Stop answering and give the port back."""
        asyncio.get_running_loop().remove_reader(self._datagrams.fileno())
        self._datagrams.close()

    def _turn(self) -> None:
        """Answer what is there, for less than a thousandth of a second; then the event loop has its turn."""
        try:
            for _ in range(_BATCHES):
                served = self._datagrams.serve(self._resolver.answer_udp, self._otherwise)
                self.queries += served
                if served < COUNT:
                    return
        except OSError as problem:
            log.debug("receiving DNS queries: %s", problem)

    def _otherwise(self, query: bytes, verdict: Any, client: Client) -> None:
        if verdict is Verdict.FORWARD:
            self._later(query, functools.partial(self._datagrams.send, client=client))


def _enlarge_buffer(bound: socket.socket) -> None:
    try:
        bound.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
    except PermissionError:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
