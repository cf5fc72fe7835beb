"""The whole of one mesh: what it refuses, what it survives, what it shows."""

from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import given

from mesh.builders import at, config, summary
from mesh.stage import RecordingChannel, Stage
from tulle.errors import UserError
from tulle.mesh.dialect import Control
from tulle.mesh.dialect.weave.gob import BYTES, STRING, UINT
from tulle.mesh.dialect.weave.gob import encode as gob
from tulle.mesh.dialect.weave.session import WeaveSession
from tulle.mesh.events import CarrierControl, CloseLink, LinkId, LinkUp, Log, Writable
from tulle.mesh.greeting import features
from tulle.mesh.mesh import Mesh
from tulle.mesh.peername import PeerName

LINK = LinkId(1)


def _frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def _met(channel: str = "colours") -> tuple[Mesh, RecordingChannel]:
    """A mesh on the real wire, connected to peer 2."""
    mesh = Mesh(config(1), Random(0))
    colours = RecordingChannel(channel)
    mesh.add_channel(colours)
    assert mesh.accepted(LINK, ("10.0.0.2", 40000), ("10.0.0.1", 6783), at(0))
    other = WeaveSession(True, features(config(2), 2, 1, "10.0.0.1"), None, bytes(32))
    mesh.received(LINK, other.start(), at(0))
    assert any(isinstance(event, LinkUp) for event in mesh.collect())
    return mesh, colours


def _closed(mesh: Mesh) -> str | None:
    closes = [event.reason for event in mesh.collect() if isinstance(event, CloseLink)]
    return closes[0] if closes else None


@pytest.mark.parametrize(
    "body",
    [
        b"\x07",
        b"\x07\x00",
        b"\x07\x02\x00",
        b"\x07\xff\x00abc",
        b"\x04garbage",
        b"\x05" + gob((STRING, "topology"), (UINT, 2), (UINT, 1), (BYTES, b"x")),
        b"\x04" + gob((STRING, "topology"), (UINT, 2), (BYTES, b"\x01\x02\x03")),
        b"\x04" + gob((STRING, "topology"), (UINT, 2)),
        b"\x06" + gob((UINT, 2), (UINT, 2), (BYTES, b"")),
    ],
)
def test_messages_that_kill_others_only_close_the_link(body: bytes) -> None:
    mesh, _ = _met()
    mesh.received(LINK, _frame(body), at(1))
    assert _closed(mesh)
    assert not mesh.links()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x63unknown tag",
        b"\x00",
        b"\x04" + gob((STRING, "tastes"), (UINT, 2), (BYTES, b"x")),
        b"\x05" + gob((STRING, "colours"), (UINT, 2), (UINT, 1), (BYTES, b"")),
        b"\x05" + gob((STRING, "tastes"), (UINT, 2), (UINT, 1), (BYTES, b"")),
        b"\x07\x00\x05anything",
    ],
)
def test_messages_to_be_ignored_or_passed_on_do_no_harm(body: bytes) -> None:
    mesh, _ = _met()
    mesh.received(LINK, _frame(body), at(1))
    assert _closed(mesh) is None


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_no_bytes_do_more_than_close_the_link(pieces: list[bytes]) -> None:
    mesh, _ = _met()
    for number, piece in enumerate(pieces):
        mesh.received(LINK, piece, at(number))
        mesh.pull(LINK, at(number))
        mesh.tick(at(number))
        mesh.collect()


@given(st.integers(0, 8) | st.integers(0x65, 0x66), st.binary(max_size=120))
def test_no_message_does_more_than_close_the_link(tag: int, body: bytes) -> None:
    mesh, _ = _met()
    mesh.received(LINK, _frame(bytes((tag,)) + body), at(1))
    mesh.tick(at(2))
    mesh.collect()


def test_a_message_after_which_the_link_is_gone_is_the_last() -> None:
    mesh, colours = _met()
    good = _frame(b"\x05" + gob((STRING, "colours"), (UINT, 2), (UINT, 1), (BYTES, b"hello")))
    mesh.received(LINK, _frame(b"\x07\x09\x00") + good, at(1))
    assert not colours.unicasts


def test_a_flood_of_connections_is_refused() -> None:
    stage = Stage()
    assert sum(stage.accept() is not None for _ in range(40)) == 20
    stage.pass_time(0.5)
    assert sum(stage.accept() is not None for _ in range(40)) == 10


def test_handshakes_that_never_end_are_limited() -> None:
    stage = Stage()
    accepted = 0
    for _ in range(200):
        accepted += stage.accept() is not None
        stage.mono += 0.05
        stage.mesh.collect()
    assert accepted == 64


def test_control_messages_go_both_ways() -> None:
    stage = Stage(carriers=("fastdp", "sleeve"))
    link = stage.meet(2, carriers=("sleeve",))
    stage.mesh.send_control(link, 0, 7, b"hello", stage.now)
    assert Control(0, 7, b"hello") in stage.sent(link)
    stage.give(link, Control(0, 7, b"back"))
    assert CarrierControl(link, 0, 7, b"back") in stage.mesh.collect()
    with pytest.raises(ValueError, match="not agreed"):
        stage.mesh.send_control(link, 1, 7, b"", stage.now)


def test_control_for_a_carrier_that_was_not_agreed_on() -> None:
    stage = Stage()
    link = stage.meet(2)
    stage.give(link, Control(2, 0, b""))
    (close,) = [event for event in stage.mesh.collect() if isinstance(event, CloseLink)]
    assert "not agreed" in close.reason


def test_control_on_links_that_are_gone_is_ignored() -> None:
    stage = Stage()
    link = stage.accept()
    assert link is not None
    stage.mesh.send_control(link, 0, 0, b"", stage.now)
    stage.mesh.send_control(LinkId(99), 0, 0, b"", stage.now)
    stage.mesh.set_established(link, True, stage.now)
    stage.mesh.set_established(LinkId(99), True, stage.now)
    assert not stage.sent(link)


def test_a_peer_that_does_not_read_is_dropped() -> None:
    stage = Stage()
    link = stage.meet(2)
    for _ in range(2000):
        stage.mesh.send_control(link, 0, 0, b"", stage.now)
    assert CloseLink(link, "the peer does not read what we send") in stage.mesh.collect()


def test_pull_comes_in_pieces_until_nothing_is_left() -> None:
    stage = Stage()
    link = stage.meet(2)
    for _ in range(500):
        stage.mesh.send_control(link, 0, 0, bytes(1000), stage.now)
    pulls = 0
    while stage.mesh.pull(link, stage.now):
        pulls += 1
    assert pulls >= 1
    assert len(stage.sessions[link].sent) >= 500
    assert stage.mesh.pull(LinkId(99), stage.now) == b""


def test_writable_is_said_once_for_links_that_exist() -> None:
    stage = Stage()
    link, other = stage.meet(2), stage.meet(3)
    stage.mesh.closed(other, "reset", stage.now)
    writable = [event.link for event in stage.mesh.collect() if isinstance(event, Writable)]
    assert writable == [link]


def test_views() -> None:
    stage = Stage(short_id=5)
    link = stage.meet(2)
    stage.tell(link, 2, summary(2, 1, 3, version=1))
    mesh = stage.mesh
    assert mesh.self_name == 1
    assert mesh.config.nickname == "h1"
    assert mesh.known(PeerName(3))
    assert not mesh.known(PeerName(4))
    assert mesh.nickname(PeerName(2)) == "h2"
    assert mesh.nickname(PeerName(4)) == ""
    assert mesh.label(PeerName(2)) == "00:00:00:00:00:02(h2)"
    assert mesh.find_peer("h2") == 2
    assert mesh.natives() == {2}
    assert mesh.short_ids[5] == 1
    with pytest.raises(UserError):
        mesh.find_peer("h7")


def test_refusals_are_logged() -> None:
    stage = Stage()
    assert None in [stage.accept() for _ in range(40)]
    assert any(isinstance(event, Log) and "refused" in event.text for event in stage.mesh.collect())
