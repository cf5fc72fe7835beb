"""What waits on one connection: merged, bounded, and in order."""

from tulle.mesh.dialect import Control, Heartbeat, UnicastMessage
from tulle.mesh.peername import PeerName
from tulle.mesh.sendqueue import MAX_CONTROLS, MAX_UNICAST_BYTES, SendQueue, StatePart

A, B = PeerName(1), PeerName(2)


def test_order_of_leaving() -> None:
    queue = SendQueue()
    queue.add_broadcast("names", A, frozenset("b"))
    queue.add_gossip("names", frozenset("g"))
    queue.add_full("ipam")
    queue.add_message(Control(0, 1, b""))
    queue.add_raw(b"raw")
    assert queue.take_raw() == b"raw"
    assert queue.take() == Control(0, 1, b"")
    assert queue.take() == StatePart("ipam", None)
    assert queue.take() == StatePart("names", frozenset("g"))
    assert queue.take() == StatePart("names", frozenset("b"), A)
    assert queue.take() is None
    assert not queue


def test_waiting_keys_merge() -> None:
    queue = SendQueue()
    for number in range(1000):
        queue.add_gossip("names", frozenset((number % 10,)))
        queue.add_broadcast("names", A, frozenset((number % 7,)))
        queue.add_broadcast("names", B, frozenset((1,)))
    assert queue.take() == StatePart("names", frozenset(range(10)))
    assert queue.take() == StatePart("names", frozenset(range(7)), A)
    assert queue.take() == StatePart("names", frozenset((1,)), B)
    assert queue.take() is None


def test_a_complete_state_holds_the_gossip() -> None:
    queue = SendQueue()
    queue.add_gossip("names", frozenset("a"))
    queue.add_full("names")
    queue.add_full("names")
    queue.add_gossip("names", frozenset("b"))
    assert queue.take() == StatePart("names", None)
    assert queue.take() is None


def test_one_heartbeat_is_enough() -> None:
    queue = SendQueue()
    for _ in range(100):
        assert queue.add_message(Heartbeat())
    assert queue.take() == Heartbeat()
    assert queue.take() is None


def test_unicasts_beyond_the_limit_are_refused_until_there_is_room() -> None:
    queue = SendQueue()
    message = UnicastMessage("ipam", A, B, bytes(MAX_UNICAST_BYTES // 2))
    assert queue.add_message(message)
    assert not queue.add_message(message)
    assert queue.take() == message
    assert queue.add_message(message)


def test_empty_unicasts_are_bounded_too() -> None:
    queue = SendQueue()
    while queue.add_message(UnicastMessage("ipam", A, B, b"")):
        pass
    count = 0
    while queue.take():
        count += 1
    assert count < 100_000


def test_controls_are_bounded() -> None:
    queue = SendQueue()
    assert all(queue.add_message(Control(0, 0, b"")) for _ in range(MAX_CONTROLS))
    assert not queue.add_message(Control(0, 0, b""))
    queue.take()
    assert queue.add_message(Control(0, 0, b""))
