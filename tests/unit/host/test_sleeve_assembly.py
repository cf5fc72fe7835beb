"""Incomplete units are bounded, whatever comes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.host.sleeve.assembly import MAX_SIZE, MAX_UNITS, PATIENCE, Assembly

ONE, TWO = b"one", b"two"


def pieces(*texts: bytes) -> tuple[int, memoryview]:
    return len(texts), memoryview(b"".join(texts))


def test_a_unit_is_complete_when_all_came_in_whatever_order() -> None:
    assembly = Assembly()
    assert assembly.add(ONE, 2, 3, *pieces(b"c", b"d"), 0.0) is None
    assert assembly.add(TWO, 0, 1, *pieces(b"x"), 0.0) is None
    assert assembly.add(ONE, 0, 3, *pieces(b"a"), 0.0) is None
    assert assembly.add(ONE, 1, 3, *pieces(b"b"), 0.0) == b"abcd"
    assert len(assembly) == 1


def test_a_piece_comes_once() -> None:
    assembly = Assembly()
    assembly.add(ONE, 0, 2, *pieces(b"a"), 0.0)
    with pytest.raises(ValueError, match="not a part"):
        assembly.add(ONE, 0, 2, *pieces(b"A"), 0.0)
    assert assembly.add(ONE, 1, 2, *pieces(b"b", b"c"), 0.0) == b"abc"


def test_what_takes_too_long_is_given_up_and_counted() -> None:
    assembly = Assembly()
    assembly.add(ONE, 0, 2, *pieces(b"a", b"b"), 100.0)
    assembly.add(TWO, 0, 2, *pieces(b"a"), 100.5)
    assembly.age(100.0 + PATIENCE)
    assert assembly.abandoned == 0
    assembly.age(100.1 + PATIENCE)
    assert (len(assembly), assembly.abandoned) == (1, 2)


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=2), st.integers(0, 250), st.integers(1, 6))))
def test_memory_is_bounded_whatever_comes(arrivals: list[tuple[bytes, int, int]]) -> None:
    assembly = Assembly()
    for header, position, count in arrivals:
        try:
            assembly.add(header, position, 255, *pieces(*[bytes(60_000 // count)] * count), 0.0)
        except ValueError:
            continue
        finally:
            assert len(assembly) <= MAX_UNITS
            assert assembly.size <= MAX_UNITS * MAX_SIZE


def test_the_oldest_makes_room() -> None:
    assembly = Assembly()
    for number in range(MAX_UNITS + 1):
        assembly.add(bytes([number]), 0, 1, *pieces(b"a"), 0.0)
    assert assembly.add(bytes([1]), 1, 1, *pieces(b"b"), 0.0) == b"ab"
    assert assembly.add(bytes([0]), 1, 1, *pieces(b"b"), 0.0) is None
