"""The UDP socket of the mesh port: many datagrams in one system call, both ways.

The kernel takes a buffer and cuts it into datagrams of a given size (UDP_SEGMENT), and gives datagrams of one
size and sender as one buffer (UDP_GRO). Every datagram is sent with DF, and what the kernel believes of the
path's MTU is not asked: finding that is the business of ``datapath.sleeve``.
"""

import contextlib
import errno
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Protocol

from tulle.datapath.sleeve.orders import Endpoint
from tulle.errors import UserError
from tulle.host.msghdr import Vectors
from tulle.host.sleeve.messages import Post, Received, Receiving, Sending

_UDP_GRO = 104
_IP_MTU_DISCOVER, _NEVER, _PROBE = 10, 0, 3
_GRO_SPACE = socket.CMSG_SPACE(4)
_STRIDE = struct.Struct("=i")
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33

RECEIVE_BUFFER = 8 << 20
"""Bytes that may wait while the daemon is busy: 10 ms at 6 Gbit/s."""

SEND_BUFFER = 1 << 17
"""Bytes that may wait for the network interface; more would only be late, and messages with them. The kernel
takes twice as many, since it counts its own needs."""

PATIENCE = 0.005
"""Seconds that sending waits for a slow interface, and the daemon with it; frames wait in the TAP meanwhile.
If nothing goes out by then, datagrams are given up, and others too without waiting, until one goes out."""

MOST_SEGMENTS = 64
MOST_BYTES = 65507
"""The kernel's limits for one call."""

Buffer = bytes | bytearray | memoryview


class Datagrams(Protocol):
    """What takes a path's datagrams; see ``UdpSocket``."""

    def send(self, pieces: Sequence[Buffer], endpoint: Endpoint, df: bool = True) -> int:
        """One."""

    def send_many(self, pieces: Vectors, count: int, length: int, together: int, endpoint: Endpoint) -> None:
        """Many of one length."""


class UdpSocket:
    """An open socket. ``unsent`` counts datagrams that the kernel would not take."""

    def __init__(self, port: int, address: str = "") -> None:
        """Raises UserError if the port is taken."""
        self.unsent = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._source = Endpoint("0.0.0.0", 0)
        try:
            self._socket.bind((address, port))
            self._configure()
            self._sending, self._receiving = Sending(self.fileno(), self._refused), Receiving(self.fileno())
        except OSError as error:
            self._socket.close()
            text = f"UDP port {port} cannot be opened: {error.strerror}; choose another with --port"
            raise UserError(text, 409) from error

    def fileno(self) -> int:
        """For those who wait until something can be received."""
        return self._socket.fileno()

    @property
    def port(self) -> int:
        """The port it is bound to."""
        return int(self._socket.getsockname()[1])

    def receive_one(self, buffer: memoryview) -> tuple[int, int, Endpoint] | None:
        """Datagrams of one sender, as many as the kernel has put together; None if nothing waits.

        Answers what ``Received`` has, without making one each time.
        """
        try:
            size, control, _, source = self._socket.recvmsg_into([buffer], _GRO_SPACE, socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            if error.errno in _ECHOES_OF_SENDING:
                return None
            raise
        stride = _STRIDE.unpack(control[0][2][:4])[0] if control else size
        if source != self._source:
            self._source = Endpoint(*source)
        return size, stride, self._source

    def receive(self, rooms: Sequence[Vectors]) -> list[Received]:
        """What waits, as much as there is room for: each time datagrams of one sender that the kernel has put
        together."""
        try:
            return self._receiving.receive(rooms)
        except OSError as error:
            if error.errno in _ECHOES_OF_SENDING:
                return []
            raise

    def send(self, pieces: Sequence[Buffer], endpoint: Endpoint, df: bool = True) -> int:
        """Send one datagram, which the network may break up unless ``df``; 0, or why the kernel would not."""
        sending = self._sending
        if sending.waiting:
            sending.flush()
        try:
            if df:
                self._socket.sendto(b"".join(pieces), sending.flags, endpoint)
            else:
                with self._fragments():
                    self._socket.sendto(b"".join(pieces), sending.flags, endpoint)
        except OSError as error:
            self.unsent += 1
            problem = error.errno or errno.EIO
            sending.went(problem)
            return problem
        sending.flags = 0
        return 0

    def send_many(self, pieces: Vectors, count: int, length: int, together: int, endpoint: Endpoint) -> None:
        """Send ``count`` datagrams of ``length`` bytes, the last of which may be shorter: header and rest by
        turns; now, or at ``flush``, or with ``messages.COUNT`` others.

        ``together`` of them belong together, and go in one call if that is possible, since then they come in
        one as well. What the kernel would not take is lost, as on any wire.
        """
        if count <= MOST_SEGMENTS and count * length <= MOST_BYTES:
            self._sending.post(Post(endpoint, pieces, 0, 2 * count, length if count > 1 else 0))
            return
        most = min(MOST_SEGMENTS, MOST_BYTES // length)
        most = most // together * together or most
        for start in range(0, count, most):
            some = min(most, count - start)
            self._sending.post(Post(endpoint, pieces, 2 * start, 2 * some, length if some > 1 else 0))

    def send_alike(self, data: bytes, length: int, endpoint: Endpoint) -> None:
        """Send datagrams of ``length`` bytes that stand one after the other; the last may be shorter."""
        whole = memoryview(bytearray(data))
        pieces = Vectors([whole[at : at + length] for at in range(0, len(whole), length)])
        most = min(MOST_SEGMENTS, MOST_BYTES // length)
        for start in range(0, len(pieces.pieces), most):
            some = min(most, len(pieces.pieces) - start)
            self._sending.post(Post(endpoint, pieces, start, some, length if some > 1 else 0))
        self._sending.flush()

    def flush(self) -> None:
        """Send what waits for others."""
        self._sending.flush()

    def close(self) -> None:
        """Close it; nothing is received any more."""
        self._socket.close()

    @contextlib.contextmanager
    def _fragments(self) -> Iterator[None]:
        self._socket.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _NEVER)
        try:
            yield
        finally:
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PROBE)

    def _force(self, option: int, size: int) -> None:
        """Set a buffer's size beyond the limit for users; as one of those, keep the size there is."""
        with contextlib.suppress(PermissionError):
            self._socket.setsockopt(socket.SOL_SOCKET, option, size)

    def _refused(self, problem: int, post: Post) -> None:
        """If the interface cannot cut datagrams, do it for it. Any other refusal holds for each of them."""
        size = sum(map(len, post.pieces.pieces[post.first : post.first + post.number]))
        datagrams = -(-size // post.length) if post.length else 1
        if problem != errno.EIO or datagrams == 1:
            self.unsent += datagrams
            return
        each = post.number // datagrams
        for first in range(post.first, post.first + post.number, each):
            self.send((post.pieces.join(first, each),), post.endpoint)

    def _configure(self) -> None:
        own = self._socket
        own.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PROBE)
        own.setsockopt(socket.IPPROTO_UDP, _UDP_GRO, 1)
        seconds, rest = divmod(PATIENCE, 1)
        patience = struct.pack("@ll", int(seconds), int(rest * 1e6))
        own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        self._force(_SO_SNDBUFFORCE, SEND_BUFFER)
        self._force(_SO_RCVBUFFORCE, RECEIVE_BUFFER)


_ECHOES_OF_SENDING = {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EMSGSIZE}
"""What a socket may report on receiving, though it speaks of what was sent."""
