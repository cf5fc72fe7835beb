import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath.groups.interests import interests, named
from tulle.datapath.groups.record import MAX_GROUPS, MAX_VERSION, Group, Interest
from tulle.datapath.groups.wire import FORMAT, decode, encode
from tulle.errors import BadMessage
from tulle.mesh.peername import PeerName

names = st.integers(1, (1 << 48) - 1).map(PeerName)


@given(st.dictionaries(names, interests, max_size=4))
def test_there_and_back(told: dict[PeerName, Interest]) -> None:
    assert decode(encode(told)) == told


def test_the_bytes() -> None:
    told = {PeerName(0x0A): Interest(3, named("239.1.2.3", "ff05::1"), True)}
    assert encode(told).hex() == (
        "01 00000000000a 0000000000000003 01 0001 0001 ef010203 ff050000000000000000000000000001"
    ).replace(" ", "")


def test_the_largest_there_can_be() -> None:
    crowd = frozenset(Group(b"\xff\x0e" + number.to_bytes(14, "big")) for number in range(MAX_GROUPS))
    told = {PeerName(1): Interest(MAX_VERSION, crowd)}
    assert decode(encode(told)) == told


def test_a_format_of_the_future_says_nothing_to_us() -> None:
    assert decode(bytes([FORMAT + 1, 2, 3])) is None


@given(st.binary(max_size=80))
def test_arbitrary_bytes_are_understood_or_refused(tail: bytes) -> None:
    try:
        decode(bytes([FORMAT]) + tail)
    except BadMessage:
        return


@pytest.mark.parametrize(
    "record",
    [
        "",
        "01 00000000000a 00",
        "01 00000000000a 0000000000000003 00 0001 0000",
        "01 00000000000a 0000000000000003 00 0001 0000 0a000001",
        "01 00000000000a ffffffffffffffff 00 0000 0000",
        "01 000000000000 0000000000000003 00 0000 0000",
        "01 00000000000a 0000000000000003 00 ffff ffff",
    ],
)
def test_nonsense_is_refused(record: str) -> None:
    with pytest.raises(BadMessage):
        decode(bytes.fromhex(record))
