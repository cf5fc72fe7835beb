"""The topology payload equals that of the original, and only sensible peers come out of it."""

from typing import Any

import pytest
from gob_schemas import CONNECTIONS, PEER
from hypothesis import given
from hypothesis import strategies as st

from recordings import all_bodies, vectors
from tulle.errors import BadMessage
from tulle.mesh.dialect import BroadcastMessage, GossipMessage
from tulle.mesh.dialect.weave import gob, topology
from tulle.mesh.dialect.weave.messages import decode_message
from tulle.mesh.dialect.weave.topology import MAX_PEERS, decode_topology, encode_topology
from tulle.mesh.peername import PeerName, parse_name
from tulle.mesh.summary import ConnectionSummary, PeerSummary


def peer_of(said: dict[str, Any]) -> PeerSummary:
    return PeerSummary(
        name=parse_name(said["Name"]),
        nickname=said["NickName"],
        uid=int(said["UID"]),
        version=said["Version"],
        short_id=said["ShortID"] if said["HasShortID"] else None,
        connections=tuple(
            ConnectionSummary(
                parse_name(connection["Name"]),
                connection["Addr"],
                connection["Outbound"],
                connection["Established"],
            )
            for connection in said["Conns"]
        ),
    )


@pytest.mark.parametrize("vector", vectors("topology-encode"), ids=lambda vector: vector["name"])
def test_the_topology_is_written_and_read_as_by_the_original(vector: dict[str, Any]) -> None:
    peers = [peer_of(said) for said in vector["req"]["Peers"]]
    payload = bytes.fromhex(vector["res"]["hex"])
    assert encode_topology(peers) == payload
    assert decode_topology(payload) == peers


def test_every_recorded_topology_is_understood_and_keeps_its_meaning() -> None:
    payloads = [
        message.payload
        for message in map(decode_message, all_bodies())
        if isinstance(message, GossipMessage | BroadcastMessage) and message.channel == "topology"
    ]
    assert len(payloads) == 63
    for payload in payloads:
        peers = decode_topology(payload)
        assert peers
        assert decode_topology(encode_topology(peers)) == peers


def test_no_peers_are_no_bytes() -> None:
    assert encode_topology([]) == b""
    assert decode_topology(b"") == []


NAMES = st.integers(1, 2**48 - 1).map(PeerName)
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
UINTS = st.integers(0, 2**64 - 1)
CONNECTION = st.builds(ConnectionSummary, NAMES, TEXT, st.booleans(), st.booleans())
PEERS = st.lists(
    st.builds(
        PeerSummary,
        NAMES,
        TEXT,
        UINTS,
        UINTS,
        st.none() | st.integers(0, 4095),
        st.lists(CONNECTION, unique_by=lambda connection: connection.name, max_size=4).map(tuple),
    ).filter(lambda peer: all(connection.name != peer.name for connection in peer.connections)),
    unique_by=lambda peer: peer.name,
    max_size=4,
)


@given(PEERS)
def test_every_topology_survives_the_round_trip(peers: list[PeerSummary]) -> None:
    assert decode_topology(encode_topology(peers)) == peers


def test_a_peer_with_very_many_connections_is_read_like_any_other() -> None:
    connections = tuple(ConnectionSummary(PeerName(n), f"10.0.0.1:{n}", True, True) for n in range(2, 4000))
    peer = PeerSummary(PeerName(1), "hub", 1, 1, None, connections)
    assert decode_topology(encode_topology([peer])) == [peer]


NAME = bytes((2, 0, 0, 0, 0, 1))
OTHER = bytes((2, 0, 0, 0, 0, 2))


@pytest.mark.parametrize(
    ("summary", "connections"),
    [
        ({"NameByte": b""}, []),
        ({"NameByte": b"\x01" * 5}, []),
        ({"NameByte": b"\x01" * 7}, []),
        ({"NameByte": bytes(6)}, []),
        ({"NameByte": NAME, "ShortID": 4096, "HasShortID": True}, []),
        ({"NameByte": NAME, "NickName": "x" * 256}, []),
        ({"NameByte": NAME, "NickName": "\x1b[2J"}, []),
        ({"NameByte": NAME}, [{"NameByte": b"\x01"}]),
        ({"NameByte": NAME}, [{"NameByte": OTHER}, {"NameByte": OTHER}]),
        ({"NameByte": NAME}, [{"NameByte": NAME}]),
        ({"NameByte": NAME}, [{"NameByte": OTHER, "RemoteTCPAddr": "1" * 256}]),
        ({"NameByte": NAME}, [{"NameByte": OTHER, "RemoteTCPAddr": "10.0.0.1\n"}]),
        ({"NameByte": NAME}, [{"NameByte": OTHER, "RemoteTCPAddr": "１０.0.0.1"}]),
    ],
)
def test_a_peer_that_cannot_be_is_refused(summary: Any, connections: Any) -> None:
    with pytest.raises(BadMessage):
        decode_topology(gob.encode((PEER, summary), (CONNECTIONS, connections)))


def test_a_peer_listed_twice_or_without_connections_is_refused() -> None:
    peer = ((PEER, {"NameByte": NAME}), (CONNECTIONS, []))
    with pytest.raises(BadMessage):
        decode_topology(gob.encode(*peer, *peer))
    with pytest.raises(BadMessage):
        decode_topology(gob.encode(peer[0]))


def test_more_connections_than_the_original_could_send_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topology, "MAX_CONNECTIONS", 40)
    link = [ConnectionSummary(PeerName(900 + n), "10.0.0.1:6783", True, True) for n in range(20)]
    peers = [PeerSummary(PeerName(n), "", 0, 0, None, tuple(link)) for n in range(1, 4)]
    assert len(decode_topology(encode_topology(peers[1:]))) == 2
    with pytest.raises(BadMessage, match="more than 40 connections"):
        decode_topology(encode_topology(peers))


def test_more_peers_than_any_mesh_has_are_refused() -> None:
    peers = [PeerSummary(PeerName(n), "", 0, 0, None, ()) for n in range(1, MAX_PEERS + 2)]
    assert len(decode_topology(encode_topology(peers[1:]))) == MAX_PEERS
    with pytest.raises(BadMessage, match="more than"):
        decode_topology(encode_topology(peers))
