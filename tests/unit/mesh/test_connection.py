"""One connection's deadlines, heartbeats and view."""

from mesh.builders import FakeSession, at, make_link
from tulle.mesh.connection import HANDSHAKE_SECONDS, HEARTBEAT_SECONDS, RIVAL_SECONDS, SILENCE_SECONDS, Link
from tulle.mesh.dialect import Heartbeat
from tulle.mesh.events import LinkId
from tulle.mesh.views import LinkState


def test_the_first_bytes_wait_at_once() -> None:
    assert make_link(peer=None).queue.take_raw() == b"hello"


def test_a_handshake_has_ten_seconds_however_much_is_sent() -> None:
    link = make_link(peer=None)
    link.receive(b"x", at(9))
    assert not link.overdue(at(9.9))
    assert link.overdue(at(HANDSHAKE_SECONDS))


def test_a_link_lives_as_long_as_something_is_heard() -> None:
    link = make_link()
    link.rise(at(0))
    link.receive(b"x", at(50))
    assert not link.overdue(at(SILENCE_SECONDS + 49))
    assert link.overdue(at(SILENCE_SECONDS + 50))


def test_heartbeats() -> None:
    link = make_link()
    link.rise(at(0))
    assert link.wake == HEARTBEAT_SECONDS
    link.tick(at(HEARTBEAT_SECONDS - 1))
    assert link.queue.take() is None
    link.tick(at(HEARTBEAT_SECONDS))
    assert link.queue.take() == Heartbeat()
    assert link.wake == 2 * HEARTBEAT_SECONDS


def test_a_rival_waits_a_moment() -> None:
    link = make_link()
    link.stand_by(at(3))
    assert link.wake == 3 + RIVAL_SECONDS
    assert not link.is_up


def test_view() -> None:
    link = make_link(4, peer=2, conn_uid=77)
    link.rise(at(1))
    link.receive(b"123", at(2))
    link.count_sent(10)
    view = link.view()
    assert (view.link, view.peer, view.nickname, view.conn_uid) == (4, 2, "h2", 77)
    assert (view.state, view.bytes_in, view.bytes_out, view.last_heard) == (LinkState.PENDING, 3, 10, 2)
    link.establish(True)
    assert link.view().state is LinkState.ESTABLISHED
    link.establish(False)
    assert link.view().state is LinkState.PENDING
    before = Link(LinkId(1), ("10.0.0.9", 1), ("10.0.0.1", 2), True, FakeSession(), at(0)).view()
    assert (before.peer, before.nickname, before.state) == (None, "", LinkState.GREETING)
