"""Public keys reach all peers, whatever the order; each peer has the last word on its own."""

from collections.abc import Sequence
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.datapath.sleeve.orders import SealBetween
from tulle.errors import BadMessage
from tulle.instant import Instant
from tulle.mesh.channel import Broadcast
from tulle.mesh.peername import PeerName
from tulle.mesh.strangers import KEPT as STRANGERS_KEPT
from tulle.mesh.strangers import MOST as MAX_STRANGERS
from tulle.mesh.summary import PeerSummary
from tulle.node.keys import PACE, PublicKeys

ME, FRIEND, OTHER = PeerName(1), PeerName(2), PeerName(3)
UID = 77


def at(mono: float) -> Instant:
    return Instant(mono, 1e9 + mono)


def life(name: PeerName, uid: int = UID) -> PeerSummary:
    return PeerSummary(name, "", uid, 1, None, ())


def keys(me: PeerName = ME, seed: int = 1, password: bytes = b"secret") -> PublicKeys:
    made = PublicKeys(me, UID, password, 1376, Random(seed))
    made.known_peers({name: life(name) for name in (ME, FRIEND, OTHER)})
    return made


def everything(one: PublicKeys) -> bytes:
    (payload,) = one.encode_all("weave", at(0))
    return payload


def tell(one: PublicKeys, payload: bytes, mono: float = 0) -> frozenset[object]:
    return one.merge("weave", payload, FRIEND, False, at(mono)).fresh


def order_of(one: PublicKeys) -> SealBetween:
    (order,) = one.collect()
    return order


def said(lives: Sequence[tuple[PeerName, int]]) -> list[bytes]:
    """What peers say in several lives; in each of them they have heard of their earlier ones."""
    payloads: list[bytes] = []
    for name, seed in lives:
        living = keys(name, seed)
        for payload in payloads:
            tell(living, payload)
        payloads.append(everything(living))
    return payloads


@given(st.lists(st.tuples(st.sampled_from([FRIEND, OTHER]), st.integers(2, 9)), max_size=5), st.randoms())
def test_order_and_repetition_of_messages_do_not_matter(
    lives: list[tuple[PeerName, int]], chance: Random
) -> None:
    payloads = said(lives)
    shuffled = [*payloads, *payloads]
    chance.shuffle(shuffled)
    one, other = keys(), keys()
    for payload in payloads:
        tell(one, payload)
    for payload in shuffled:
        tell(other, payload)
    assert everything(one) == everything(other)


def test_two_peers_have_something_in_common_that_a_third_and_another_password_do_not() -> None:
    pair = [keys(ME, 1), keys(FRIEND, 2)]
    for one, other in (pair, pair[::-1]):
        assert tell(one, everything(other))
    mine, theirs = map(order_of, pair)
    common = mine.common(FRIEND, mine.keys[FRIEND])
    assert common is not None
    assert common == theirs.common(ME, theirs.keys[ME])
    for stranger in (keys(OTHER, 3), keys(ME, 1, b"other")):
        assert order_of(stranger).common(FRIEND, mine.keys[FRIEND]) != common


def test_a_key_that_makes_no_secret_is_worth_nothing() -> None:
    assert order_of(keys()).common(FRIEND, bytes(32)) is None


def test_news_are_told_once_and_passed_on() -> None:
    one, payload = keys(), everything(keys(FRIEND, 2))
    assert set(order_of(one).keys) == set()
    assert tell(one, payload) == {FRIEND}
    assert one.knows(FRIEND)
    assert set(order_of(one).keys) == {FRIEND}
    assert tell(one, payload) == frozenset()
    assert one.collect() == []
    assert one.encode_some("weave", frozenset((FRIEND,)), at(0)) == [payload]
    assert one.encode_some("weave", frozenset((OTHER,)), at(0)) == []


def test_who_hears_something_else_of_itself_says_what_is_true() -> None:
    former, now_living, friend = keys(ME, 8), keys(ME, 9), keys(FRIEND, 2)
    tell(friend, everything(former))
    before = order_of(friend).keys[ME]
    assert tell(now_living, everything(friend)) == {FRIEND}
    now_living.tick(at(0))
    assert now_living.outbox == [Broadcast(frozenset((ME,)))]
    assert tell(friend, everything(now_living)) == {ME}
    assert order_of(friend).keys[ME] != before
    lie = everything(keys(ME, 10))[:7] + (99).to_bytes(8, "big") + bytes(40)
    tell(now_living, lie, 0)
    now_living.tick(at(PACE / 2))
    assert len(now_living.outbox) == 1, "not more often than so"
    assert now_living.next_deadline() == PACE
    now_living.tick(at(PACE))
    assert len(now_living.outbox) == 2


def test_peers_that_leave_are_forgotten_and_strangers_soon() -> None:
    one = keys()
    tell(one, everything(keys(FRIEND, 2)))
    one.peers_gone([FRIEND, ME])
    assert not one.knows(FRIEND)
    assert everything(one) == everything(keys())
    for number in range(MAX_STRANGERS + 5):
        tell(one, everything(keys(PeerName(100 + number), 2)))
    assert everything(one) == everything(keys()), "strangers are not passed on"
    first, last = PeerName(100), PeerName(100 + MAX_STRANGERS)
    one.known_peers({first: life(first), last: life(last)})
    assert one.knows(first)
    assert not one.knows(last), "there were too many by then"
    one.known_peers({})
    assert one.next_deadline() == STRANGERS_KEPT
    one.tick(at(STRANGERS_KEPT))
    one.known_peers({first: life(first)})
    assert not one.knows(first)


def test_a_peer_that_lives_again_is_sent_nothing_for_its_former_life() -> None:
    one = keys()
    tell(one, everything(keys(FRIEND, 2)))
    assert set(order_of(one).keys) == {FRIEND}
    one.known_peers({FRIEND: life(FRIEND, UID + 1)})
    one.topology_changed()
    assert not one.knows(FRIEND)
    assert order_of(one).keys == {}
    one.topology_changed()
    assert one.collect() == [], "nothing new"


def test_a_format_of_the_future_is_left_alone() -> None:
    assert tell(keys(), b"\x02whatever") == frozenset()


@pytest.mark.parametrize(
    "payload",
    [b"", b"\x01abc", b"\x01" + bytes(54), b"\x01" + bytes(5) + b"\x02" + b"\xff" * 8 + bytes(40)],
    ids=["empty", "cut", "nobody", "version"],
)
def test_nonsense_is_refused(payload: bytes) -> None:
    with pytest.raises(BadMessage):
        tell(keys(), payload)


@given(st.binary(max_size=200))
def test_whatever_is_said_is_understood_or_refused(payload: bytes) -> None:
    one = keys()
    for said in (payload, b"\x01" + payload):
        with suppress(BadMessage):
            tell(one, said)
    one.tick(at(1))
    order_of(one)
