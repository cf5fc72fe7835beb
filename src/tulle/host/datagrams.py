"""Many datagrams in one system call, and their replies in another.

The standard library receives and sends one at a time and makes a Python object of every address; for
short questions and answers that costs a quarter of the whole. ``recvmmsg`` and ``sendmmsg`` of the C
library fill and empty arrays instead, and a reply goes to the address in the very bytes that the kernel
wrote.

A reply must leave with the address that the question came to as its source, for clients refuse it from
any other. A socket bound to one address does that by itself. For one bound to all addresses the kernel
tells with each datagram where it came to (``IP_PKTINFO``), and is told the same with the reply.
"""

import ctypes
import socket
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from tulle.host.msghdr import (
    CONTROL_HEAD,
    WORD,
    Header,
    Memory,
    Message,
    Vector,
    recvmmsg,
    sendmmsg,
)

COUNT = 16
"""Datagrams at once: enough to share the cost of the calls, few enough that the first does not wait long."""

LENGTH = 4096
"""The longest datagram; of longer ones the rest is lost."""

_IP_PKTINFO = 8
_NAME = 28
_CONTROL = socket.CMSG_SPACE(20)


_STRIDE = ctypes.sizeof(Message)


class Client(NamedTuple):
    """Where a datagram came from, and its control data: enough to reply later."""

    name: bytes
    control: bytes


class _Messages:
    """Message headers, each with one vector onto its piece of ``data``, and views of their fields."""

    def __init__(self) -> None:
        self.data = Memory(COUNT * LENGTH)
        vectors = Memory(COUNT * ctypes.sizeof(Vector))
        headers = Memory(COUNT * _STRIDE)
        self.address = headers.address
        self.array = (Message * COUNT).from_buffer(headers.data)
        for index, vector in enumerate((Vector * COUNT).from_buffer(vectors.data)):
            vector.base = self.data.address + index * LENGTH
            vector.length = LENGTH
            header = self.array[index].header
            header.vectors = vectors.address + index * ctypes.sizeof(Vector)
            header.vector_count = 1
        self.lengths = headers.view.cast("I")
        self.words = headers.view.cast("L")
        self.vectors = vectors.view.cast("L")


# Where in those views the fields of message i are: i * step + at.
_LENGTH_STEP, _LENGTH_AT = _STRIDE // 4, Message.length.offset // 4
_STEP, _NAME_AT, _CONTROL_AT = _STRIDE // WORD, Header.name.offset // WORD, Header.control.offset // WORD


class Datagrams:
    """A bound UDP socket, which it takes over, served in batches."""

    def __init__(self, bound: socket.socket) -> None:
        bound.setblocking(False)
        self._socket = bound
        self._everywhere = bound.getsockname()[0] in ("0.0.0.0", "::")
        self._names = Memory(COUNT * _NAME)
        self._controls = Memory(COUNT * _CONTROL)
        self._inward = _Messages()
        self._outward = _Messages()
        self.unsent = 0
        self._lay_out(bound.family == socket.AF_INET6)

    def fileno(self) -> int:
        """The descriptor, to wait on."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def serve(self, answer: Callable[[bytes], Any], otherwise: Callable[[bytes, Any, Client], None]) -> int:
        """Receive what is there, up to ``COUNT``, and send the answers; how many were received.

        What ``answer`` returns for a datagram is sent to where that came from. If it is not bytes it goes to
        ``otherwise`` instead, with the datagram. Raises OSError if receiving fails.
        """
        count = self._receive()
        queries, lengths = self._inward.data.view, self._inward.lengths
        replies, vectors, words = self._outward.data.view, self._outward.vectors, self._outward.words
        ready = 0
        for index in range(count):
            at = index * LENGTH
            query = queries[at : at + lengths[index * _LENGTH_STEP + _LENGTH_AT]].tobytes()
            reply = answer(query)
            if not isinstance(reply, bytes):
                otherwise(query, reply, self._client(index))
                continue
            at = ready * LENGTH
            replies[at : at + len(reply)] = reply
            vectors[ready * 2 + 1] = len(reply)
            words[ready * _STEP + _NAME_AT] = self._names.address + index * _NAME
            if self._everywhere:
                words[ready * _STEP + _CONTROL_AT] = self._controls.address + index * _CONTROL
            ready += 1
        self._send(ready)
        return count

    def send(self, data: bytes, client: Client) -> None:
        """Reply later. A reply that cannot be sent is lost and counted, as the network might lose it."""
        try:
            self._socket.sendmsg([data], _control_items(client.control), 0, _address(client.name))
        except OSError:
            self.unsent += 1

    def _lay_out(self, ipv6: bool) -> None:
        """Point all headers to their addresses and, if needed, to their control data."""
        for index in range(COUNT):
            inward, outward = self._inward.array[index].header, self._outward.array[index].header
            inward.name = self._names.address + index * _NAME
            inward.name_length = outward.name_length = 28 if ipv6 else 16
            if self._everywhere:
                inward.control = self._controls.address + index * _CONTROL
                inward.control_length = outward.control_length = socket.CMSG_SPACE(20 if ipv6 else 12)
        self._interface_at = CONTROL_HEAD.size + (16 if ipv6 else 0)
        if self._everywhere and ipv6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        elif self._everywhere:
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)

    def _receive(self) -> int:
        count = recvmmsg(self.fileno(), self._inward.address, COUNT)
        if self._everywhere:
            for index in range(count):  # which interface a reply leaves by is for the routing table to say
                at = index * _CONTROL + self._interface_at
                self._controls.view[at : at + 4] = bytes(4)
        return count

    def _send(self, count: int) -> None:
        """Send the first ``count`` replies. One that cannot be sent must not hold up those after it."""
        done = 0
        while done < count:
            at = self._outward.address + done * _STRIDE
            sent = sendmmsg(self.fileno(), at, count - done, socket.MSG_DONTWAIT)
            if sent <= 0:
                self.unsent += 1
                sent = 1
            done += sent

    def _client(self, index: int) -> Client:
        name = self._names.view[index * _NAME : (index + 1) * _NAME].tobytes()
        control = self._controls.view[index * _CONTROL : (index + 1) * _CONTROL].tobytes()
        return Client(name, control if self._everywhere else b"")


def _address(name: bytes) -> tuple[Any, ...]:
    """A socket address of the C library as the socket module has it."""
    family, port = int.from_bytes(name[:2], sys.byteorder), int.from_bytes(name[2:4], "big")
    if family == socket.AF_INET:
        return socket.inet_ntoa(name[4:8]), port
    flow, scope = int.from_bytes(name[4:8], "big"), int.from_bytes(name[24:28], sys.byteorder)
    return socket.inet_ntop(family, name[8:24]), port, flow, scope


def _control_items(control: bytes) -> list[tuple[int, int, bytes]]:
    """Control data as the socket module has it: at most one item."""
    if not control:
        return []
    length, level, kind = CONTROL_HEAD.unpack_from(control)
    return [(level, kind, control[CONTROL_HEAD.size : length])]
