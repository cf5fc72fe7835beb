"""What peers want reaches all of them, whatever the order, and nobody is believed about another for long."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from datapath.groups.interests import interests, named
from tulle.datapath.groups.channel import PACE, GroupChannel
from tulle.datapath.groups.record import MAX_GROUPS, MAX_VERSION, Group, Interest
from tulle.datapath.groups.wire import encode
from tulle.instant import Instant
from tulle.mesh.channel import Broadcast
from tulle.mesh.peername import PeerName
from tulle.mesh.strangers import KEPT as STRANGERS_KEPT
from tulle.mesh.strangers import MOST as MAX_STRANGERS

ME, FRIEND, OTHER = PeerName(1), PeerName(2), PeerName(3)


def at(mono: float) -> Instant:
    return Instant(mono, 1e9 + mono)


def channel() -> GroupChannel:
    made = GroupChannel(ME)
    made.known_peers({ME, FRIEND, OTHER})
    return made


def tell(one: GroupChannel, told: dict[PeerName, Interest], mono: float = 0) -> frozenset[object]:
    return one.merge("weave", encode(told), FRIEND, False, at(mono)).fresh


@given(st.lists(st.tuples(st.sampled_from([FRIEND, OTHER]), interests), max_size=6))
def test_order_and_repetition_of_messages_do_not_matter(told: Sequence[tuple[PeerName, Interest]]) -> None:
    one, other = channel(), channel()
    for name, interest in told:
        tell(one, {name: interest})
    for name, interest in [*reversed(told), *told]:
        tell(other, {name: interest})
    assert one.interests == other.interests
    assert one.encode_all("weave", at(0)) == other.encode_all("weave", at(0))


def test_a_join_is_said_at_once_and_what_follows_soon_after() -> None:
    one = channel()
    one.want(named("239.1.1.1"), "", at(0))
    assert one.outbox == [Broadcast(frozenset({ME}))]
    one.want(named("239.1.1.1", "239.2.2.2"), "", at(0.05))
    one.want(named("239.2.2.2"), "", at(0.06))
    assert len(one.outbox) == 1
    assert one.next_deadline() == PACE
    one.tick(at(PACE))
    assert len(one.outbox) == 2
    assert one.interests[ME] == Interest(2, named("239.2.2.2"))


def test_nothing_new_is_not_said() -> None:
    one = channel()
    one.want(named("239.1.1.1"), "", at(0))
    one.want(named("239.1.1.1", "224.0.0.251", "ff02::fb"), "", at(9))
    assert len(one.outbox) == 1
    assert one.next_deadline() == float("inf")


def test_a_change_that_is_taken_back_is_not_said() -> None:
    one = channel()
    one.want(named("239.1.1.1"), "", at(0))
    one.want(named(), "", at(0.05))
    one.want(named("239.1.1.1"), "", at(0.06))
    one.tick(at(1))
    assert len(one.outbox) == 1


def test_too_many_groups_mean_everything_and_it_is_said() -> None:
    one = channel()
    crowd = {Group(b"\xff\x0e" + number.to_bytes(14, "big")) for number in range(MAX_GROUPS + 1)}
    one.want(crowd, "", at(0))
    assert one.interests[ME] == Interest(1, frozenset(), True)
    assert "more than 1000 multicast groups" in one.collect()[0]
    one.want(named("239.1.1.1"), "", at(9))
    assert one.interests[ME] == Interest(2, named("239.1.1.1"))
    assert "only the multicast of its own groups again" in one.collect()[0]


def test_news_is_passed_on_once() -> None:
    one = channel()
    news = {FRIEND: Interest(2, named("239.1.1.1"))}
    assert tell(one, news) == {FRIEND}
    assert tell(one, news) == frozenset()
    assert tell(one, {FRIEND: Interest(1, named("239.9.9.9"))}) == frozenset()
    assert one.encode_some("weave", frozenset({FRIEND, OTHER}), at(0)) == [encode(news)]
    assert one.encode_some("weave", frozenset({OTHER}), at(0)) == []


def test_a_new_life_goes_beyond_the_last_one() -> None:
    one = channel()
    one.want(named("239.1.1.1"), "", at(0))
    tell(one, {ME: Interest(7, named("239.9.9.9"))}, 5)
    assert one.interests[ME] == Interest(8, named("239.1.1.1"))
    assert len(one.outbox) == 2


def test_before_it_knows_its_own_wishes_it_says_nothing() -> None:
    one = channel()
    tell(one, {ME: Interest(7, named("239.9.9.9"))})
    one.tick(at(1))
    assert one.outbox == []
    one.want(named("239.9.9.9"), "", at(2))
    assert one.outbox == []
    one.want(named(), "", at(3))
    assert one.interests[ME] == Interest(8)


def test_the_highest_version_is_the_end_and_no_error() -> None:
    one = channel()
    one.want(named("239.1.1.1"), "", at(0))
    tell(one, {ME: Interest(MAX_VERSION, named("239.9.9.9"))}, 5)
    assert one.interests[ME].version == MAX_VERSION


def test_peers_that_are_gone_are_forgotten_but_never_this_one() -> None:
    one = channel()
    one.want(named("239.1.1.1"), "", at(0))
    tell(one, {FRIEND: Interest(1), OTHER: Interest(1)})
    before = one.generation
    one.peers_gone([FRIEND, ME])
    assert set(one.interests) == {ME, OTHER}
    assert one.generation > before


def test_strangers_are_passed_on_but_not_kept_for_long() -> None:
    one = channel()
    stranger, late = PeerName(77), PeerName(78)
    told = {stranger: Interest(1, named("239.1.1.1")), late: Interest(1)}
    assert tell(one, told) == {stranger, late}
    assert one.encode_all("weave", at(0)) == []
    one.known_peers({ME, late})
    one.tick(at(1))
    assert one.next_deadline() == STRANGERS_KEPT
    one.tick(at(STRANGERS_KEPT))
    assert set(one.interests) == {late}
    assert one.encode_all("weave", at(0)) == [encode({late: Interest(1)})]


def test_only_so_many_strangers_are_kept() -> None:
    one = channel()
    tell(one, {PeerName(1000 + number): Interest(1) for number in range(MAX_STRANGERS + 5)})
    assert len(one.interests) == MAX_STRANGERS
