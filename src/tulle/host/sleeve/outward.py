"""A path's way out: frames become units, units are sealed, and their datagrams are sent."""

import time
from collections.abc import Callable

from tulle.datapath.sleeve.orders import AimPath, Endpoint, NativePath, SendMessage
from tulle.host.sleeve.seals import TAG, Aead, Seal, SendingKeys, fastest, nonce
from tulle.host.sleeve.segments import Superframe
from tulle.host.sleeve.udp import Datagrams
from tulle.host.sleeve.wire import EPOCH_SHIFT, HEADER, LENGTH, Kind, headers
from tulle.host.sleeve.workshop import ALIGN, BUFFER, Layout, Workshop

LEAST_SIZE = 400
"""Bytes of UDP payload. Every IPv4 path passes as much, and a superframe fits into 255 such datagrams."""

_FRAME = int(Kind.FRAME)
_LENGTH = LENGTH.size

_MOST_EVEN = 48
"""Datagrams of a unit whose padding, less than five bytes for each, the header's one byte can always say."""


class Outward:
    """The sending half of a native path."""

    def __init__(
        self,
        path: NativePath,
        socket: Datagrams,
        shop: Workshop,
        clock: Callable[[], float] = time.monotonic,
        seal: Seal | None = None,
    ) -> None:
        self._index = path.send_index
        self._socket = socket
        self._shop = shop
        self._clock = clock
        self._keys: SendingKeys | None = None
        if path.keys is not None:
            self._keys = SendingKeys(path.keys.send, seal or fastest(), clock())
        self._tag = TAG if self._keys else 0
        self.sent = 0
        """Datagrams; also the number of the next one."""
        self._endpoint = Endpoint("0.0.0.0", 0)
        self._piece = 0
        self._group = 0
        self._waiting: list[bytes] = []
        self._room = 0

    def aim(self, order: AimPath) -> None:
        """Send frames there from now on, in datagrams of that size."""
        self.flush()
        self._endpoint = order.endpoint
        self._piece = (max(order.size, LEAST_SIZE) - HEADER.size) // ALIGN * ALIGN
        self._group = order.group

    def frame(self, frame: memoryview) -> None:
        """Send a frame of the TAP, headers included, and use its bytes up. Small ones wait for ``flush``.

        Large ones must stay as they are until the socket has sent them; see ``messages.Sending.post``.
        """
        size = len(frame) + _LENGTH
        if size + self._tag > self._piece:
            if self._waiting:
                self.flush()
            if self._group:
                self._large(frame)
            else:
                self._whole(frame)
            return
        if size > self._room:
            self.flush()
            self._room = self._piece - self._tag
        self._waiting.append(bytes(frame))
        self._room -= size

    def alone(self, frame: memoryview) -> None:
        """Send a small frame that comes while none wait. See ``paths.Path``."""
        number = self.sent
        self.sent = number + 1
        keys = self._keys
        if keys is None:
            self._socket.send((HEADER.pack(self._index, number, _FRAME, 0, 0, 0), frame), self._endpoint)
            return
        aead = keys.aead(number, self._clock())
        header = HEADER.pack(self._index, keys.epoch << EPOCH_SHIFT | number, _FRAME | keys.seal, 0, 0, 0)
        self._socket.send((header, aead.encrypt(nonce(header), frame, header)), self._endpoint)

    def flush(self) -> None:
        """Send what waits, together in one datagram."""
        waiting = self._waiting
        if not waiting:
            return
        if len(waiting) == 1:
            self._send_one(Kind.FRAME, waiting[0], self._endpoint)
        else:
            pack = LENGTH.pack
            together = b"".join([part for one in waiting for part in (pack(len(one)), one)])
            self._send_one(Kind.FRAMES, together, self._endpoint)
        self._waiting = []
        self._room = 0

    def message(self, order: SendMessage) -> None:
        """Send a message of the daemon's own. What the kernel refuses is lost, as it might be on the way."""
        body = LENGTH.pack(len(order.message)) + order.message
        body = body.ljust(order.size - HEADER.size - self._tag, b"\0")
        self._send_one(Kind.MESSAGE, body, order.endpoint)

    def _send_one(self, kind: Kind, body: bytes, endpoint: Endpoint) -> None:
        header, aead, once = self._open_unit(kind, 1, 0)
        if aead is not None:
            body = aead.encrypt(once, body, header)
        self._socket.send((header, body), endpoint)

    def _open_unit(self, kind: Kind, count: int, padding: int) -> tuple[bytes, Aead | None, bytes]:
        """The header of the next unit, of ``count`` datagrams, and what seals it with which nonce."""
        number = self.sent
        self.sent += count
        keys = self._keys
        if keys is None:
            return HEADER.pack(self._index, number, kind, 0, count - 1, padding), None, b""
        aead = keys.aead(number, self._clock())
        sequence = keys.epoch << EPOCH_SHIFT | number
        header = HEADER.pack(self._index, sequence, kind | keys.seal, 0, count - 1, padding)
        return header, aead, nonce(header)

    def _large(self, frame: memoryview) -> None:
        """Send a frame that takes several datagrams: in as many units as the group demands."""
        if len(frame) + self._tag > self._group * self._piece:
            found = Superframe.read(frame)
            if found is not None and found.payload + found.gso_size + self._tag <= _MOST_EVEN * self._piece:
                self._split(found, frame)
                return
        self._whole(frame)

    def _whole(self, frame: memoryview) -> None:
        shop, piece = self._shop, self._piece
        length = len(frame) + self._tag
        count = -(-length // piece)
        header, aead, once = self._open_unit(Kind.FRAME, count, 0)
        if aead is not None:
            place = shop.place()
            aead.encrypt_into(once, frame, header, place[:length])
            frame = place
        layout = shop.layout(frame, piece)
        layout.headers[: count * HEADER.size] = headers(header, count)
        self._send_pieces(layout, length, piece, count)

    def _split(self, found: Superframe, frame: memoryview) -> None:
        """Units of equal datagrams, so that the kernel takes those of several units in one call.

        The headers of each unit are written over the end of the one before it, which is sealed already.
        """
        shop, head, tag, size = self._shop, found.payload, self._tag, len(frame)
        group = min(self._group, _MOST_EVEN)
        step = max(1, (group * self._piece - tag - head) // found.gso_size) * found.gso_size
        piece = _even(head + step + tag, self._piece)
        together = -(-(head + step + tag) // piece)
        place, filled, datagrams = shop.place(), 0, 0
        for start in range(head, size, step):
            end = min(start + step, size)
            length = end - start + head + tag
            count = -(-length // piece)
            if filled + count * piece > BUFFER:
                self._send_pieces(shop.layout(place, piece), filled, piece, together)
                place, filled, datagrams = shop.place(), 0, 0
            padding = count * piece - length if end < size else 0
            frame[start - head : start] = found.header(start, end)
            header = self._seal(frame[start - head : end], count, padding, place[filled:])
            at = datagrams * HEADER.size
            shop.layout(place, piece).headers[at : at + count * HEADER.size] = headers(header, count)
            filled += length + padding
            datagrams += count
        self._send_pieces(shop.layout(place, piece), filled, piece, together)

    def _seal(self, unit: memoryview, count: int, padding: int, place: memoryview) -> bytes:
        """Seal a unit and what pads it into ``place``; answers its header."""
        header, aead, once = self._open_unit(Kind.FRAME, count, padding)
        length = len(unit) + self._tag
        if aead is not None:
            aead.encrypt_into(once, unit, header, place[:length])
        else:
            place[:length] = unit
        place[length : length + padding] = bytes(padding)
        return header

    def _send_pieces(self, layout: Layout, length: int, piece: int, together: int) -> None:
        """Send the first ``length`` bytes of a buffer with their headers. So many datagrams are one unit."""
        count = -(-length // piece)
        layout.shorten(2 * count - 1, length - (count - 1) * piece)
        self._socket.send_many(layout, count, piece + HEADER.size, together, self._endpoint)


def _even(length: int, most: int) -> int:
    """The length of pieces, at most ``most``, that leaves the least padding."""
    count = -(-length // most)
    return min(most, -(-length // (count * ALIGN)) * ALIGN)
