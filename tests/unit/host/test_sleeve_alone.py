"""The short way of a small frame that comes while no others do: the same datagrams, the same refusals."""

import pytest

from tulle.datapath.sleeve.orders import Keys
from tulle.host.sleeve.wire import HEADER, Kind
from unit.host.sleeve_wire import KEYS, End, Wire, send, sender, tap_frame

FRAME = tap_frame(bytes(range(84)))
BOTH = pytest.mark.parametrize("keys", [None, KEYS])


def opened(end: End, datagram: bytes) -> bytes | None:
    """What the receiver's short way makes of a datagram."""
    _, sequence, kind, _, _, padding = HEADER.unpack_from(datagram)
    unit = end.inward.open(memoryview(datagram), sequence, kind, padding)
    return None if unit is None else bytes(unit)


@BOTH
def test_both_ways_say_the_same(keys: Keys | None) -> None:
    short, long = Wire(), Wire()
    sender(short, keys).alone(memoryview(FRAME))
    send(sender(long, keys), FRAME)
    assert short.datagrams == long.datagrams
    assert HEADER.unpack_from(short.datagrams[0])[2] & 0x0F == Kind.FRAME
    end = End(keys)
    assert opened(end, short.datagrams[0]) == FRAME
    assert (end.count.received, end.count.expected, end.count.dropped) == (1, 1, 0)


@BOTH
def test_what_was_taken_one_way_is_not_taken_the_other_way(keys: Keys | None) -> None:
    wire, end = Wire(), End(keys)
    outward = sender(wire, keys)
    outward.alone(memoryview(FRAME))
    send(outward, FRAME)
    assert opened(end, wire.datagrams[0]) == FRAME
    end.take(wire.datagrams)
    assert end.frames == [FRAME]
    assert opened(end, wire.datagrams[1]) is None
    assert end.count.dropped == 2


def test_every_bit_counts_on_the_short_way() -> None:
    wire, end = Wire(), End()
    sender(wire).alone(memoryview(FRAME))
    for bit in range(64, 8 * len(wire.datagrams[0])):  # what comes before chose the path
        forged = bytearray(wire.datagrams[0])
        forged[bit // 8] ^= 1 << bit % 8
        assert opened(end, bytes(forged)) is None
    assert opened(end, wire.datagrams[0]) == FRAME
