"""Our datagrams: a header of 20 bytes, then a piece of a unit.

A *unit* is what is sealed as a whole: a frame, several small frames, or a message. It is spread over
``last + 1`` datagrams, all of which have the same header but for their position::

    u64  index      the path, by the receiver's numbering; random, and only the two ends know it
    u64  sequence   16 bits epoch of the key, 48 bits number of the unit's first datagram on this path
    u8   kind       what it is (low four bits) and how it is sealed (high four bits)
    u8   position   of this datagram in its unit
    u8   last       position of the unit's last datagram
    u8   padding    zero bytes that follow the sealed unit, so that its datagrams are equally long

The header of position 0 is the additional data of the seal, and the sequence is its nonce. So a header that
was changed makes its unit incomplete or its seal wrong.
"""

import struct
from enum import IntEnum

HEADER = struct.Struct(">QQBBBB")
INDEX = struct.Struct(">Q")
MAX_DATAGRAMS = 256
"""In one unit; also what one GSO buffer can hold at most, and more."""

EPOCH_SHIFT = 48
NUMBERS = (1 << EPOCH_SHIFT) - 1
POSITION = 17
"""Where the position is in the header."""

POSITIONS = bytes(range(MAX_DATAGRAMS))
KIND, SEAL = 0x0F, 0xF0


class Kind(IntEnum):
    """What a unit holds: one frame of the TAP, several of them (each after its u16 length), or a message (its
    u16 length, the message, zeros)."""

    FRAME = 1
    FRAMES = 2
    MESSAGE = 3


LENGTH = struct.Struct(">H")


def headers(first: bytes, count: int) -> bytearray:
    """The headers of a unit one after the other; ``first`` is that of position 0."""
    made = bytearray(first * count)
    made[POSITION :: HEADER.size] = POSITIONS[:count]
    return made


def continues(some: memoryview, position: int) -> bool:
    """Whether headers, one after the other, are those of one unit, from ``position`` on.

    Compares all at once: a loop over them would cost more than opening the seal.
    """
    count = len(some) // HEADER.size
    wanted = bytearray(bytes(some[: HEADER.size]) * count)
    wanted[POSITION :: HEADER.size] = POSITIONS[position : position + count]
    return wanted == bytes(some)
