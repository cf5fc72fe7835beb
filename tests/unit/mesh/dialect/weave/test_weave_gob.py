"""gob: byte for byte what the original writes, every stream of its kind read, nothing else accepted."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from gob_schemas import (
    CONNECTIONS,
    FEATURES,
    GOSSIP,
    IPAM,
    NAMES,
    PEER,
    RANGE,
    UNICAST,
)
from hypothesis import given
from hypothesis import strategies as st

from recordings import all_bodies, vectors
from tulle.errors import BadMessage
from tulle.mesh.dialect.weave import gob
from tulle.mesh.dialect.weave.gob import decoder, definitions, encoder, reading

FIXED_KINDS: dict[str, tuple[gob.Type, ...]] = {
    "features-encode": (FEATURES,),
    "gossip-msg": GOSSIP,
    "unicast-msg": UNICAST,
    "range-encode": (RANGE,),
    "ipam-encode": (IPAM,),
    "ns-encode": (NAMES,),
}


def streams_of_the_original() -> Iterator[Any]:
    for operation, kinds in FIXED_KINDS.items():
        for vector in vectors(operation):
            yield pytest.param(bytes.fromhex(vector["res"]["hex"]), kinds, id=vector["name"])
    for vector in vectors("topology-encode"):
        kinds = (PEER, CONNECTIONS) * len(vector["req"]["Peers"])
        yield pytest.param(bytes.fromhex(vector["res"]["hex"]), kinds, id=vector["name"])


@pytest.mark.parametrize(("stream", "kinds"), list(streams_of_the_original()))
def test_the_streams_of_the_original_are_read_and_written_byte_for_byte(
    stream: bytes, kinds: tuple[gob.Type, ...]
) -> None:
    values = gob.decode(stream, *kinds)
    assert gob.encode(*zip(kinds, values, strict=True)) == stream


def test_values_come_out_as_they_were_given_to_the_original() -> None:
    (vector,) = (vector for vector in vectors("ipam-encode") if vector["name"] == "ipam-ring")
    (state,) = gob.decode(bytes.fromhex(vector["res"]["hex"]), IPAM)
    assert state["Now"] == 1700000000
    assert state["Nicknames"] == {0x020000000001: "h1"}
    assert state["Paxos"] is None
    assert state["Ring"]["Entries"][2] == {
        "Token": 0x0A2C0000,
        "Peer": 0x020000000003,
        "Version": 1,
        "Free": 0,
    }


def test_an_empty_map_is_told_from_an_absent_one() -> None:
    assert gob.decode(gob.encode((IPAM, {"Paxos": {}})), IPAM)[0]["Paxos"] == {}
    assert gob.decode(gob.encode((IPAM, {"Paxos": None})), IPAM)[0]["Paxos"] is None
    assert gob.decode(gob.encode((IPAM, {})), IPAM)[0]["Nicknames"] == {}


def test_a_struct_key_is_the_tuple_of_its_values() -> None:
    node = gob.Struct("", (("Name", gob.UINT), ("UID", gob.UINT)))
    votes = gob.Map(node, gob.BOOL)
    stream = gob.encode((votes, {(1, 2): True, (0, 0): False}))
    assert gob.decode(stream, votes) == [{(1, 2): True, (0, 0): False}]


# -- any schema, any value --------------------------------------------------------------------------------

BASIC: dict[gob.Type, st.SearchStrategy[Any]] = {
    gob.UINT: st.integers(0, 2**64 - 1),
    gob.INT: st.integers(-(2**63), 2**63 - 1),
    gob.BOOL: st.booleans(),
    gob.STRING: st.text(max_size=5),
    gob.BYTES: st.binary(max_size=5) | st.just(bytes(300)),
}
BASIC_KINDS = st.sampled_from(list(BASIC))
SIZES = st.integers(0, 3)


def any_struct(data: st.DataObject, depth: int) -> gob.Struct:
    names = "ABCD"[: 1 + data.draw(SIZES)]
    return gob.Struct(
        data.draw(st.sampled_from(["", "T"])), tuple((name, any_kind(data, depth)) for name in names)
    )


def any_kind(data: st.DataObject, depth: int = 2) -> gob.Type:
    match data.draw(st.integers(0, 6)) if depth else 0:
        case 4:
            return gob.Slice(any_kind(data, depth - 1))
        case 5:
            key = any_struct(data, 0) if data.draw(st.booleans()) else data.draw(BASIC_KINDS)
            return gob.Map(key, any_kind(data, depth - 1))
        case 6:
            return any_struct(data, depth - 1)
    return data.draw(BASIC_KINDS)


def any_value(data: st.DataObject, kind: gob.Type) -> Any:
    match kind:
        case gob.Struct():
            return {name: any_value(data, part) for name, part in kind.fields}
        case gob.Slice():
            return [any_value(data, kind.element) for _ in range(data.draw(SIZES))]
        case gob.Map():
            keys = [any_value(data, kind.key) for _ in range(data.draw(SIZES))]
            if isinstance(kind.key, gob.Struct):
                keys = [tuple(key.values()) for key in keys]
            return {key: any_value(data, kind.value) for key in keys}
    return data.draw(BASIC[kind])


@given(st.data())
def test_every_value_survives_the_round_trip(data: st.DataObject) -> None:
    kinds = [any_kind(data) for _ in range(1 + data.draw(SIZES))]
    values = [any_value(data, kind) for kind in kinds]
    stream = gob.encode(*zip(kinds, values, strict=True))
    assert gob.decode(stream, *kinds) == values


@given(st.data())
def test_a_reader_takes_the_fields_it_knows_and_skips_the_rest(data: st.DataObject) -> None:
    sent = any_struct(data, 2)
    value = any_value(data, sent)
    kept = data.draw(st.lists(st.sampled_from(sent.fields), unique_by=lambda field: field[0], min_size=1))
    ours = gob.Struct("", (*kept, ("Unheard", gob.INT)))
    (read,) = gob.decode(gob.encode((sent, value)), ours)
    assert read == {**{name: value[name] for name, _ in kept}, "Unheard": 0}


def damage(data: st.DataObject, stream: bytes) -> bytes:
    damaged = bytearray(stream)
    for _ in range(data.draw(SIZES)):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    return bytes(damaged[: data.draw(st.integers(0, len(damaged)) | st.just(len(damaged)))])


@given(st.data())
def test_a_damaged_stream_raises_bad_message_or_nothing(data: st.DataObject) -> None:
    kind = any_kind(data)
    reads_or_refuses(damage(data, gob.encode((kind, any_value(data, kind)))), kind)


@given(st.data(), st.sampled_from(all_bodies()))
def test_damaged_messages_of_the_original_raise_bad_message_or_nothing(
    data: st.DataObject, body: bytes
) -> None:
    damaged = damage(data, body)
    for kinds in (*FIXED_KINDS.values(), (PEER, CONNECTIONS)):
        reads_or_refuses(damaged[1:], *kinds)


@given(st.binary(max_size=300))
def test_random_bytes_raise_bad_message_or_nothing(data: bytes) -> None:
    for kinds in (*FIXED_KINDS.values(), (PEER, CONNECTIONS)):
        reads_or_refuses(data, *kinds)


def reads_or_refuses(data: bytes, *kinds: gob.Type) -> None:
    with suppress(BadMessage):
        gob.decode(data, *kinds)


# -- what a sender of another make may write --------------------------------------------------------------


def stream_of(*messages: bytes) -> bytes:
    out = bytearray()
    for message in messages:
        encoder.write_uint(out, len(message))
        out += message
    return bytes(out)


def definition(number: int, **described: Any) -> bytes:
    message = bytearray()
    encoder.write_int(message, -number)
    return bytes(message) + gob.body(definitions.WIRE, described)


def value(number: int, *parts: bytes) -> bytes:
    message = bytearray()
    encoder.write_int(message, number)
    return bytes(message) + b"".join(parts)


def struct_definition(number: int, *fields: tuple[str, int]) -> bytes:
    described = [{"Name": name, "Id": kind} for name, kind in fields]
    return definition(number, StructT={"CommonType": {"Id": number}, "Field": described})


ONE = gob.Struct("", (("Wanted", gob.UINT),))


@pytest.mark.parametrize(
    ("number", "definition_of_it", "encoded"),
    [
        (4, None, b"\xfe\xf0\x3f"),  # a float
        (7, None, b"\xfe\xf0\x3f\x01"),  # a complex number
        (70, definition(70, ArrayT={"CommonType": {"Id": 70}, "Elem": 3, "Len": 2}), b"\x02\x07\x08"),
        (70, definition(70, GobEncoderT={"CommonType": {"Id": 70}}), b"\x03abc"),
        (70, definition(70, BinaryMarshalerT={"CommonType": {"Id": 70}}), b"\x03abc"),
        (70, definition(70, MapT={"CommonType": {"Id": 70}, "Key": 6, "Elem": 1}), b"\x01\x01a\x01"),
        (70, struct_definition(70, ("Inner", 70)), b"\x01\x01\x00\x00\x00"),
    ],
)
def test_a_field_of_a_kind_that_we_never_use_is_skipped(
    number: int, definition_of_it: bytes | None, encoded: bytes
) -> None:
    outer = struct_definition(66, ("Strange", number), ("Wanted", 3))
    needed = [outer] if definition_of_it is None else [outer, definition_of_it]
    stream = stream_of(*needed, value(66, b"\x01", encoded, b"\x01\x05\x00"))
    assert gob.decode(stream, ONE) == [{"Wanted": 5}]


def test_type_numbers_may_be_any() -> None:
    stream = stream_of(struct_definition(9999, ("Other", 6), ("Wanted", 3)), value(9999, b"\x02\x05\x00"))
    assert gob.decode(stream, ONE) == [{"Wanted": 5}]


def test_values_may_be_taken_first_and_read_later() -> None:
    stream = gob.encode((ONE, {"Wanted": 1}), (ONE, {"Wanted": 2}), (ONE, {"Wanted": 2}))
    reader = gob.Decoder(stream)
    first, second, third = reader.take(), reader.take(), reader.take()
    assert not reader.more()
    assert second == third != first
    assert [item.read(ONE) for item in (first, second)] == [{"Wanted": 1}, {"Wanted": 2}]


# -- refusals ---------------------------------------------------------------------------------------------

NESTED = struct_definition(66, ("Deep", 66), ("Wanted", 3))

REFUSED = {
    "nothing at all": b"",
    "a definition and no value": stream_of(struct_definition(66, ("Wanted", 3))),
    "a message longer than the stream": b"\x20\xff\x82\x00",
    "a message longer than memory": b"\xf8" + b"\xff" * 8 + b"\x00",
    "a number of nine bytes": b"\xf7" + b"\xff" * 9,
    "an empty message": b"\x00",
    "a type that was never defined": stream_of(value(66, b"\x01\x05\x00")),
    "int where uint is wanted": stream_of(struct_definition(66, ("Wanted", 2)), value(66, b"\x01\x0a\x00")),
    "no field in common": stream_of(struct_definition(66, ("Else", 3)), value(66, b"\x01\x05\x00")),
    "not a struct": stream_of(value(3, b"\x00\x05")),
    "a field that is not in the definition": stream_of(
        struct_definition(66, ("Wanted", 3)), value(66, b"\x02\x05\x00")
    ),
    "bytes after the value": stream_of(struct_definition(66, ("Wanted", 3)), value(66, b"\x01\x05\x00\x00")),
    "a value that ends early": stream_of(struct_definition(66, ("Wanted", 3)), value(66, b"\x01")),
    "a type defined twice": stream_of(
        struct_definition(66, ("Wanted", 3)), struct_definition(66, ("Wanted", 3)), value(66, b"\x01\x05\x00")
    ),
    "a built-in type defined": stream_of(struct_definition(3, ("Wanted", 3)), value(66, b"\x01\x05\x00")),
    "a definition of nothing": stream_of(definition(66), value(66, b"\x01\x05\x00")),
    "a definition of two things": stream_of(
        definition(66, SliceT={"Elem": 3}, MapT={"Elem": 3, "Key": 3}), value(66, b"\x01\x05\x00")
    ),
    "a definition with bytes after it": stream_of(
        struct_definition(66, ("Wanted", 3)) + b"\x00", value(66, b"\x01\x05\x00")
    ),
    "an unknown field of an undefined type": stream_of(
        struct_definition(66, ("Else", 70), ("Wanted", 3)), value(66, b"\x01\x05\x00")
    ),
    "an interface": stream_of(struct_definition(66, ("Else", 8), ("Wanted", 3)), value(66, b"\x01\x00\x00")),
    "a skipped value nested without end": stream_of(NESTED, value(66, b"\x01" * 5000)),
    "too many definitions": stream_of(
        *(struct_definition(100 + n, ("Wanted", 3)) for n in range(decoder.MAX_DEFINITIONS + 1)),
        value(100, b"\x01\x05\x00"),
    ),
    "too large definitions": stream_of(struct_definition(66, ("W" * decoder.MAX_DEFINITION_BYTES, 3))),
    "two values where one was wanted": gob.encode((ONE, {}), (ONE, {})),
}


@pytest.mark.parametrize("stream", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_the_wanted_value_is_refused(stream: bytes) -> None:
    with pytest.raises(BadMessage):
        gob.decode(stream, ONE)


def test_a_list_longer_than_its_bytes_is_refused_before_it_is_read() -> None:
    kind = gob.Slice(gob.UINT)
    stream = bytearray(gob.encode((kind, [1, 2, 3])))
    stream[-4] = 127
    with pytest.raises(BadMessage):
        gob.decode(bytes(stream), kind)


def test_a_list_of_too_many_elements_is_refused() -> None:
    kind = gob.Slice(gob.BOOL)
    stream = gob.encode((kind, [True] * (reading.MAX_ELEMENTS + 1)))
    with pytest.raises(BadMessage, match="more than"):
        gob.decode(stream, kind)


def test_many_tiny_elements_are_refused_however_they_are_spread() -> None:
    lists = gob.Slice(gob.Slice(gob.UINT))
    spread = gob.encode((lists, [[1] * 100] * 100))
    with pytest.raises(BadMessage, match="than its size explains"):
        gob.decode(spread, lists)
    known = gob.Struct("S", (("A", gob.UINT),))
    more = gob.Struct("S", (("A", gob.UINT), ("Unknown", lists)))
    with pytest.raises(BadMessage, match="than its size explains"):
        gob.decode(gob.encode((more, {"A": 1, "Unknown": [[1] * 100] * 100})), known)
    assert len(gob.decode(gob.encode((lists, [[1 << 60] * 100] * 100)), lists)[0]) == 100


def test_text_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(BadMessage):
        gob.decode(gob.encode((gob.BYTES, b"\xff")).replace(b"\x0a", b"\x0c"), gob.STRING)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [(gob.UINT, -1), (gob.UINT, 2**64), (gob.INT, 2**63), (gob.INT, -(2**63) - 1), (gob.STRING, 5)],
)
def test_a_value_that_does_not_fit_its_schema_is_our_own_mistake(kind: gob.Type, wrong: Any) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError, AttributeError)):
        gob.encode((kind, wrong))


def test_a_schema_that_cannot_work_is_refused() -> None:
    with pytest.raises(TypeError):
        gob.Struct("", (("A", gob.INT), ("A", gob.INT)))
    with pytest.raises(TypeError):
        gob.Map(gob.Struct("", (("A", gob.Slice(gob.INT)),)), gob.INT)
