"""The short form of the topology: exact, lazy where nothing is new, and no worse for hostile bytes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.builders import edge, summary
from mesh.stage import Stage
from tulle.errors import BadMessage
from tulle.mesh import descriptions
from tulle.mesh.descriptions import CHANNEL, Descriptions
from tulle.mesh.dialect import GossipMessage
from tulle.mesh.dialect.weave.topology import decode_topology, encode_topology
from tulle.mesh.peername import PeerName
from tulle.mesh.summary import ConnectionSummary, PeerSummary
from tulle.mesh.topology import placeholder

PORTS = st.integers(0, 65535)
ADDRESSES = st.one_of(
    st.builds("{}:{}".format, st.ip_addresses(v=4), PORTS),
    st.builds("[{}]:{}".format, st.ip_addresses(v=6), PORTS),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=255),
    st.sampled_from(["", "1.2.3.4:06783", "1.2.3.4:+1", "01.2.3.4:1", "1.2.3.4:70000", "1.2.3.4:1_0"]),
)
NAMES = st.builds(PeerName, st.integers(1, 2**48 - 1))
CONNECTIONS = st.builds(ConnectionSummary, NAMES, ADDRESSES, st.booleans(), st.booleans())


@st.composite
def peers(draw: st.DrawFn) -> PeerSummary:
    """Any description that the rules allow."""
    name = draw(NAMES)
    connections = draw(st.lists(CONNECTIONS, max_size=6, unique_by=lambda connection: connection.name))
    return PeerSummary(
        name,
        "".join(char for char in draw(st.text(max_size=20)) if char.isprintable()),
        draw(st.integers(0, 2**64 - 1)),
        draw(st.integers(0, 2**64 - 1)),
        draw(st.none() | st.integers(0, 4095)),
        tuple(connection for connection in connections if connection.name != name),
    )


ALL = st.lists(peers(), max_size=5, unique_by=lambda peer: peer.name)


@given(ALL)
def test_what_is_written_is_read(said: list[PeerSummary]) -> None:
    payload = Descriptions({}).encode(said)
    assert Descriptions({}).decode(payload) == said
    assert decode_topology(encode_topology(said)) == said


@given(ALL)
def test_what_was_read_is_passed_on_as_the_same_bytes(said: list[PeerSummary]) -> None:
    payload = Descriptions({}).encode(said)
    relay = Descriptions({})
    assert relay.encode(relay.decode(payload)) == payload


@given(st.binary(max_size=200), ALL, st.integers(0, 400), st.integers(0, 255))
def test_hostile_bytes_are_refused_or_read_as_something_lawful(
    junk: bytes, said: list[PeerSummary], at: int, byte: int
) -> None:
    good = bytearray(Descriptions({}).encode(said))
    if good:
        good[at % len(good)] = byte
    for payload in (junk, bytes(good), bytes(good[: at % (len(good) + 1)])):
        try:
            found = Descriptions({}).decode(payload)
        except BadMessage:
            continue
        assert decode_topology(encode_topology(found)) == found


def test_known_descriptions_are_not_read_again_and_older_ones_only_counted() -> None:
    ours, newer = summary(2, 1, 3, version=5), summary(3, 1, version=7)
    older = replace(newer, version=6, connections=(edge(9),))
    reader = Descriptions({ours.name: ours, newer.name: newer})
    again, late = reader.decode(Descriptions({}).encode([replace(ours, connections=(edge(8),)), older]))
    assert again is ours
    assert late == replace(older, nickname="", connections=())


def test_a_short_id_that_was_missing_is_news() -> None:
    ours = summary(2, 1, version=0)
    told = replace(ours, short_id=9)
    assert Descriptions({ours.name: ours}).decode(Descriptions({}).encode([told])) == [told]


def test_a_description_that_changed_is_written_anew() -> None:
    one = summary(2, 1)
    writer = Descriptions({})
    assert writer.encode([one]) == writer.encode([one])
    other = replace(one, connections=(edge(7),))
    assert Descriptions({}).decode(writer.encode([other])) == [other]
    writer.forget([one.name])
    assert Descriptions({}).decode(writer.encode([one])) == [one]


def test_what_a_stranger_makes_us_remember_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptions, "MAX_PEERS", 4)
    reader = Descriptions({})
    for name in range(1, 50):
        reader.decode(Descriptions({}).encode([summary(name)]))
    assert len(reader._records) <= 4
    with pytest.raises(BadMessage, match="more than 4"):
        reader.decode(Descriptions({}).encode([summary(name) for name in range(1, 6)]))


@pytest.mark.parametrize(
    ("peer", "text"),
    [
        (summary(2, 3, 3), "twice"),
        (summary(2, 2), "itself"),
        (replace(summary(2), short_id=4096), "12 bits"),
        (replace(summary(2), nickname="a\nb"), "nickname"),
        (replace(summary(2), nickname="x" * 256), "nickname"),
        (summary(2, edge(3, address="a\tb")), "address"),
    ],
)
def test_what_must_not_be_said(peer: PeerSummary, text: str) -> None:
    with pytest.raises(BadMessage, match=text):
        Descriptions({}).decode(Descriptions({}).encode([peer]))


def test_too_many_connections_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptions, "MAX_CONNECTIONS", 3)
    with pytest.raises(BadMessage, match="more than 3 connections"):
        Descriptions({}).decode(Descriptions({}).encode([summary(1, 2, 3), summary(2, 1, 3)]))


def test_one_peer_is_described_once() -> None:
    with pytest.raises(BadMessage, match="twice"):
        Descriptions({}).decode(Descriptions({}).encode([summary(2)]) * 2)


def test_only_those_who_offer_it_are_told_in_the_short_form() -> None:
    stage = Stage()
    ours, foreign = stage.meet(2), stage.meet(3, tells_all=False)
    stage.pass_time(1)
    channels = {
        link: {message.channel for message in stage.sent(link) if isinstance(message, GossipMessage)}
        for link in (ours, foreign)
    }
    assert channels == {ours: {CHANNEL}, foreign: {"topology"}}


def test_news_in_the_short_form_is_news() -> None:
    stage = Stage()
    link = stage.meet(2)
    payload = Descriptions({}).encode([summary(2, 1, 5, version=4), placeholder(PeerName(5))])
    stage.give(link, GossipMessage(CHANNEL, PeerName(2), payload))
    assert stage.mesh.peers()[PeerName(2)].version == 4
    assert PeerName(5) in stage.mesh.peers()
