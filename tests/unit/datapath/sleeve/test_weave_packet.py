"""Datagrams of the original's sleeve: those that its own functions made, and those that were recorded."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings import RUNS, Datagram, datagrams, recordings, vectors
from tulle.datapath.sleeve.weave_packet import (
    DF,
    MAX_FRAMES,
    PacketReader,
    PacketWriter,
    WeaveFrame,
    bundles,
    datagram_size,
    decode_frames,
    encode_frame,
    overlay_mtu,
    sender_of,
)
from tulle.errors import BadMessage
from tulle.mesh.peername import PeerName

A, B = PeerName(0x020000000001), PeerName(0x020000000002)
KEY = bytes(range(32))

names = st.integers(0, 2**48 - 1).map(PeerName)
frames = st.lists(st.builds(WeaveFrame, names, names, st.binary(max_size=80)), max_size=5)


def encoded(many: list[WeaveFrame]) -> bytes:
    return b"".join(encode_frame(frame) for frame in many)


@pytest.mark.parametrize("vector", vectors("sleeve-encode"), ids=lambda vector: vector["name"])
def test_datagrams_of_the_original(vector: dict[str, Any]) -> None:
    request = vector["req"]
    key = bytes.fromhex(request["Key"]) if "Key" in request else None
    dialler, df = request.get("Outbound", False), request.get("DF", False)
    me = PeerName(int(request["Name"], 16))
    writer, reader = PacketWriter(me, key, dialler), PacketReader(key, not dialler)
    for packet, result in zip(request["Packets"], vector["res"]["packets"], strict=True):
        contents = [
            WeaveFrame(PeerName(int(src, 16)), PeerName(int(dst, 16)), bytes.fromhex(data))
            for src, dst, data in packet
        ]
        datagram = writer.write(encoded(contents), df)
        assert datagram.hex() == result
        assert sender_of(datagram) == me
        assert decode_frames(reader.read(datagram)) == (contents, 0)


def session_of(run: str, source: str, target: str) -> tuple[bytes | None, bool]:
    """The key of the connection between two hosts of a run, and whether the source dialled it."""
    for recording in recordings(run):
        ends = recording.client.split(":")[0], recording.server.split(":")[0]
        if {source, target} == set(ends):
            return recording.session_key or None, source == ends[0]
    raise AssertionError(f"{source} and {target} were not connected")


def by_direction(run: str) -> dict[tuple[str, str], list[Datagram]]:
    found: dict[tuple[str, str], list[Datagram]] = {}
    for item in datagrams(run):
        found.setdefault((item.source, item.target), []).append(item)
    return found


@pytest.mark.parametrize("run", RUNS)
def test_every_recorded_datagram_is_read_and_written_again_alike(run: str) -> None:
    directions = by_direction(run)
    assert len(directions) == 6
    for (source, target), items in directions.items():
        key, dialler = session_of(run, source, target)
        reader = PacketReader(key, not dialler)
        for item in items:
            contents, rest = decode_frames(reader.read(item.data))
            assert rest == 0
            assert contents
            writer = PacketWriter(sender_of(item.data), key, dialler)
            if key is not None:
                number = int.from_bytes(item.data[6:14], "big")
                assert bool(number & DF) == item.df
                writer.next[item.df] = number & ~DF
            assert writer.write(encoded(contents), item.df) == item.data


def test_sizes_are_those_that_the_original_reports() -> None:
    assert overlay_mtu(1500 - 28, sealed=False) == 1438
    assert overlay_mtu(1500 - 28, sealed=True) == 1414
    assert datagram_size(1414, sealed=True) == 1472


@given(frames, st.booleans(), st.booleans(), st.none() | st.just(KEY))
def test_round_trip(many: list[WeaveFrame], df: bool, dialler: bool, key: bytes | None) -> None:
    writer, reader = PacketWriter(A, key, dialler), PacketReader(key, not dialler)
    assert decode_frames(reader.read(writer.write(encoded(many), df))) == (many, 0)


@given(frames, st.binary(max_size=13))
def test_what_stands_after_the_last_whole_frame_is_counted(many: list[WeaveFrame], rest: bytes) -> None:
    assert decode_frames(encoded(many) + rest) == (many, len(rest))


@given(frames.filter(bool), st.data())
def test_a_frame_that_is_cut_off_is_left_out(many: list[WeaveFrame], data: st.DataObject) -> None:
    whole = encoded(many)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    found, rest = decode_frames(cut)
    assert found == many[: len(found)]
    assert len(encoded(found)) + rest == len(cut)


@given(st.lists(st.binary(min_size=14, max_size=200), max_size=40), st.integers(14, 400))
def test_bundles_keep_order_and_room(pieces: list[bytes], room: int) -> None:
    packed = list(bundles(pieces, room))
    assert b"".join(packed) == b"".join(pieces)
    assert all(len(bundle) <= room or bundle in pieces for bundle in packed)


def test_a_bundle_has_a_hundred_frames_at_most() -> None:
    assert [len(bundle) for bundle in bundles([b"x"] * 250, 10_000)] == [MAX_FRAMES, MAX_FRAMES, 50]


def test_bundles_are_filled() -> None:
    assert [len(bundle) for bundle in bundles([bytes(40)] * 5, 100)] == [80, 80, 40]


class TestSealed:
    def setup_method(self) -> None:
        self.writer, self.reader = PacketWriter(A, KEY, dialler=True), PacketReader(KEY, dialler=False)

    def test_a_datagram_that_comes_again_is_refused(self) -> None:
        first = self.writer.write(b"x", df=True)
        assert self.reader.read(first) == b"x"
        with pytest.raises(BadMessage, match="again"):
            self.reader.read(first)

    def test_the_classes_count_apart(self) -> None:
        for df in (True, False):
            assert self.reader.read(self.writer.write(b"x", df)) == b"x"
        assert self.reader.expected == 2

    def test_order_does_not_matter(self) -> None:
        sent = [self.writer.write(bytes((number,)), df=True) for number in range(9)]
        assert [self.reader.read(one)[0] for one in reversed(sent)] == list(range(8, -1, -1))

    def test_our_own_datagram_thrown_back_is_refused(self) -> None:
        mine = PacketWriter(B, KEY, dialler=False)
        with pytest.raises(BadMessage, match="opened"):
            self.reader.read(mine.write(b"x", df=True))

    @given(st.integers(14, 38), st.integers(0, 7))
    def test_a_flipped_bit_is_refused_and_the_true_datagram_still_taken(self, at: int, bit: int) -> None:
        writer, reader = PacketWriter(A, KEY, dialler=True), PacketReader(KEY, dialler=False)
        true = writer.write(b"a message", df=True)
        false = bytearray(true)
        false[at] ^= 1 << bit
        with pytest.raises(BadMessage):
            reader.read(bytes(false))
        assert reader.read(true) == b"a message"

    @given(st.binary(max_size=100))
    def test_forged_datagrams_are_refused(self, data: bytes) -> None:
        with pytest.raises(BadMessage):
            PacketReader(KEY, dialler=False).read(data)


@pytest.mark.parametrize("size", range(6))
def test_a_datagram_without_a_name(size: int) -> None:
    with pytest.raises(BadMessage):
        sender_of(bytes(size))
