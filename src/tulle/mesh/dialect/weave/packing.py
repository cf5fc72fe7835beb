"""Deflate (RFC 1951) between peers of our own kind: much of what one says it has said before, in part.

Each direction of a connection is one stream, so a description of a peer that was sent a moment ago in another
version costs little. Every message ends on a byte boundary (a sync flush, whose four constant bytes are left
out, as in RFC 7692), and is understood as soon as it is there.

Only what counts against a peer's appetite is packed, so that nobody has us unpack more than we would read.
With a password nothing is packed: the length of what is sealed would tell something of what is in it.
"""

import zlib

from tulle.errors import BadMessage
from tulle.mesh.dialect.weave.messages import BROADCAST, GOSSIP, UNICAST

FEATURE = "Deflate"
"""A feature of our own, which others ignore: packed messages are understood."""

PACKED = 0x67
"""The tag of a packed message; the original ignores tags that it does not know."""

SHORTEST, LONGEST = 128, 1 << 20
"""Bytes of messages that are packed: below it does not pay, and none may unpack to more."""

_PACKABLE = frozenset((GOSSIP, UNICAST, BROADCAST))
_TAIL = b"\x00\x00\xff\xff"
_LEVEL, _WINDOW, _MEMORY = 3, -13, 6
"""About 80 kB a connection: there may be two hundred."""


class Packer:
    """What one end sends."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW, _MEMORY)

    def pack(self, body: bytes) -> bytes:
        """The message as it is to be sent; it has to be sent then, or nothing after it is understood."""
        if not SHORTEST <= len(body) <= LONGEST or body[0] not in _PACKABLE:
            return body
        packed = self._stream.compress(body) + self._stream.flush(zlib.Z_SYNC_FLUSH)
        return bytes((PACKED,)) + packed.removesuffix(_TAIL)


class Unpacker:
    """What the other end sent."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_WINDOW)

    def unpack(self, body: bytes) -> bytes:
        """The message as it was before. Raises BadMessage; the connection is of no use then."""
        if body[:1] != bytes((PACKED,)):
            return body
        try:
            message = self._stream.decompress(body[1:] + _TAIL, LONGEST + 1)
        except zlib.error:
            raise BadMessage("a packed message is damaged") from None
        if len(message) > LONGEST or self._stream.unconsumed_tail or self._stream.eof:
            raise BadMessage("a packed message is longer than is allowed, or the last one")
        if not message or message[0] not in _PACKABLE:
            raise BadMessage("a message is packed that is no gossip")
        return message
