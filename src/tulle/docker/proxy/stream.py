"""Two-way byte streams whose directions end on their own, as Docker's clients need it.

asyncio's own streams close both directions of a TLS connection as soon as the other side ends one, and
``docker run -i`` over TLS would lose its output.
"""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable
from fcntl import fcntl
from typing import Protocol, TypeVar

Result = TypeVar("Result")

CHUNK = 1 << 16
"""Most bytes that are read at once."""

_BULK = 1 << 20
"""Bytes after which a stream is taken for a large one, and moved by the kernel."""

_PIPE_SIZE = 1 << 18
_SET_PIPE_SIZE = 1031
_HANDSHAKE = 20.0
"""Seconds that a TLS handshake may take."""


class Stream(Protocol):
    """Errors of the connection are OSError."""

    async def receive(self) -> bytes:
        """Some bytes; none when the other side has ended its direction."""

    async def send(self, data: bytes) -> None:
        """Hand all of ``data`` to the kernel."""

    async def end(self) -> None:
        """End our direction; the other side's goes on."""

    def close(self) -> None:
        """End both. Nobody may be waiting in another method."""


class PlainStream:
    """A socket, as it is."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.socket = connection
        self._loop = asyncio.get_running_loop()

    async def receive(self) -> bytes:
        """See Stream."""
        return await self._loop.sock_recv(self.socket, CHUNK)

    async def send(self, data: bytes) -> None:
        """See Stream."""
        await self._loop.sock_sendall(self.socket, data)

    async def end(self) -> None:
        """See Stream."""
        with contextlib.suppress(OSError):  # the other side is gone already
            self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """See Stream."""
        self.socket.close()


class TlsStream:
    """TLS over a plain stream. Sending and receiving may overlap."""

    def __init__(self, plain: PlainStream, context: ssl.SSLContext, name: str | None = None) -> None:
        """``name`` is what the server must be called; None: this side is the server."""
        self._plain = plain
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=name is None, server_hostname=name
        )
        self._sending = asyncio.Lock()

    async def handshake(self) -> None:
        """To be done before anything else. Raises OSError (of which SSLError and TimeoutError are two)."""
        async with asyncio.timeout(_HANDSHAKE):
            await self._until_done(self._tls.do_handshake)

    async def receive(self) -> bytes:
        """See Stream."""
        try:
            data = await self._until_done(lambda: self._tls.read(CHUNK))
        except ssl.SSLZeroReturnError:
            return b""
        more = [data]
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            while data and sum(map(len, more)) < CHUNK:
                data = self._tls.read(CHUNK)
                more.append(data)
        return b"".join(more)

    async def send(self, data: bytes) -> None:
        """See Stream."""
        for start in range(0, len(data), CHUNK):
            self._tls.write(data[start : start + CHUNK])
            await self._flush()

    async def end(self) -> None:
        """See Stream."""
        with contextlib.suppress(OSError):  # it asks to read the other side's end, which may be far off
            self._tls.unwrap()
        with contextlib.suppress(OSError):
            await self._flush()

    def close(self) -> None:
        """See Stream."""
        self._plain.close()

    async def _until_done(self, step: Callable[[], Result]) -> Result:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._flush()
                data = await self._plain.receive()
                if not data:
                    raise ConnectionResetError("the connection ended without saying so") from None
                self._incoming.write(data)
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        async with self._sending:
            if data := self._outgoing.read():
                await self._plain.send(data)


async def copy(source: Stream, target: Stream) -> None:
    """Everything from one to the other, and then the end."""
    plain = isinstance(source, PlainStream) and isinstance(target, PlainStream)
    moved = 0
    while data := await source.receive():
        await target.send(data)
        moved += len(data)
        if plain and moved > _BULK:
            await _splice(source, target)
            break
    await target.end()


async def _splice(source: Stream, target: Stream) -> None:
    """Let the kernel move the bytes through a pipe, without a copy into this process."""
    assert isinstance(source, PlainStream)
    assert isinstance(target, PlainStream)
    outlet, inlet = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # the user's pipes may take no more; the usual size will do
            fcntl(inlet, _SET_PIPE_SIZE, _PIPE_SIZE)
        read, write = source.socket, target.socket
        while size := await _moved(read.fileno(), inlet, _PIPE_SIZE, read, to_read=True):
            while size:
                size -= await _moved(outlet, write.fileno(), size, write, to_read=False)
    finally:
        os.close(outlet)
        os.close(inlet)


async def _moved(source: int, target: int, most: int, watched: socket.socket, *, to_read: bool) -> int:
    """How many bytes went; waits until ``watched`` is ready. Lets others run after each piece."""
    while True:
        try:
            size = os.splice(source, target, most, flags=os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE)
        except BlockingIOError:
            await _ready(watched, to_read=to_read)
        else:
            await asyncio.sleep(0)
            return size


async def _ready(watched: socket.socket, *, to_read: bool) -> None:
    loop = asyncio.get_running_loop()
    add, remove = (loop.add_reader, loop.remove_reader) if to_read else (loop.add_writer, loop.remove_writer)
    ready: asyncio.Future[None] = loop.create_future()
    add(watched, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        remove(watched)
