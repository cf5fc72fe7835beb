"""Tables for whole networks: frames arrive, broadcasts exactly once, nothing circles; and ghosts."""

import itertools
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from datapath.network import Network, ip_of, reached
from tulle.datapath.forwarding import Forwarding, MeshPicture, build
from tulle.datapath.ghosts import LIFETIME
from tulle.datapath.spanning import Web
from tulle.datapath.tables import MAX_CHILDREN, Hop, ShortId, Tables, Tree, sleeve_hop
from tulle.instant import Instant
from tulle.mesh.peername import PeerName
from tulle.mesh.places import NOWHERE, Place

NO_WEB = Web({}, ())

FULL4 = list(itertools.combinations(range(1, 5), 2))


@st.composite
def connected(draw: st.DrawFn, largest: int = 9) -> list[tuple[int, int]]:
    """Links of a random connected network of two hosts or more."""
    count = draw(st.integers(2, largest))
    names = draw(st.permutations(range(1, count + 1)))
    links = {tuple(sorted((names[i], names[draw(st.integers(0, i - 1))]))) for i in range(1, count)}
    extra = st.tuples(st.integers(1, count), st.integers(1, count)).filter(lambda pair: pair[0] < pair[1])
    return sorted(links | set(draw(st.lists(extra, max_size=2 * count))))  # type: ignore[arg-type]


def test_two_hosts() -> None:
    network = Network([(1, 2)])
    there = Hop(ip_of(2), ip_of(1))
    assert network.nodes[1].tables == Tables(
        self_id=ShortId(1),
        direct={ShortId(2): there},
        routes={ShortId(2): there},
        trees={ShortId(1): Tree(None, ((ShortId(2), there),)), ShortId(2): Tree(ip_of(2))},
    )


def test_a_relay_in_the_middle() -> None:
    network = Network([(1, 2), (2, 3)])
    assert network.nodes[1].tables.routes[ShortId(3)] == Hop(ip_of(2), ip_of(1))
    middle = network.nodes[2].tables.trees[ShortId(1)]
    assert middle == Tree(ip_of(1), ((ShortId(3), Hop(ip_of(3), ip_of(2))),))


@given(connected(), st.data())
def test_everything_arrives_once_and_nothing_circles(
    links: list[tuple[int, int]], data: st.DataObject
) -> None:
    network = Network(links, data.draw(st.lists(st.sampled_from(links))))
    for source, target in itertools.permutations(network.nodes, 2):
        assert network.unicast(source, target)
    for source in network.nodes:
        taken = network.broadcast(source)
        assert dict(taken) == {number: 1 for number in network.nodes if number != source}


@given(connected(), st.data())
def test_one_dead_daemon_cuts_nobody_off_who_does_not_hang_on_it(
    links: list[tuple[int, int]], data: st.DataObject
) -> None:
    network = Network(links)
    dead = data.draw(st.sampled_from(sorted(network.nodes)))
    network.kill(dead)
    for source in sorted(set(network.nodes) - {dead}):
        group = reached(network.claims, source) if source != dead else set()
        expected = (group - {source, dead}) | ({dead} if _touches(network, group, dead) else set())
        taken = network.broadcast(source)
        assert all(count == 1 for count in taken.values())
        assert expected <= set(taken)
        for target in expected:
            assert network.unicast(source, target)
    heard = network.broadcast(dead)
    assert dict(heard) == {number: 1 for number in network.nodes if number != dead}


def _touches(network: Network, group: set[int], dead: int) -> bool:
    return any(frozenset((number, dead)) in network.links for number in group)


@given(connected(), st.data())
def test_many_dead_daemons_never_make_a_loop_or_a_double(
    links: list[tuple[int, int]], data: st.DataObject
) -> None:
    network = Network(links)
    for _ in range(3):
        dead = data.draw(st.lists(st.sampled_from(sorted(network.nodes)), max_size=3, unique=True))
        network.kill(*dead)
        for number in data.draw(st.lists(st.sampled_from(sorted(network.nodes)), max_size=2, unique=True)):
            if not network.nodes[number].alive:
                network.revive(number)
        if data.draw(st.booleans()):
            network.converge()
        for source in network.nodes:
            assert all(count == 1 for count in network.broadcast(source).values())
            for target in network.nodes:
                network.unicast(source, target)


@given(connected(), st.data())
def test_when_all_are_back_all_is_as_new(links: list[tuple[int, int]], data: st.DataObject) -> None:
    network = Network(links)
    dead = data.draw(st.lists(st.sampled_from(sorted(network.nodes)), unique=True))
    network.kill(*dead)
    for number in dead:
        network.revive(number)
    network.converge()
    fresh = Network(links)
    for number, node in network.nodes.items():
        assert node.tables == fresh.nodes[number].tables
        assert node.forwarding.ghosts() == ()


@given(connected(), st.data())
def test_a_new_daemon_changes_nothing_before_it_meets_somebody(
    links: list[tuple[int, int]], data: st.DataObject
) -> None:
    network = Network(links)
    number = data.draw(st.sampled_from(sorted(network.nodes)))
    before = network.nodes[number].tables
    network.revive(number)
    me = PeerName(number)
    alone = MeshPicture(me, {me: ShortId(number)}, {}, _Nobody(), hops={}, direct={})
    assert network.nodes[number].forwarding.update(alone, network.now) == before


class _Nobody:
    """The routes of a mesh that consists of ourselves."""

    unicast: dict[PeerName, PeerName] = {}  # noqa: RUF012

    def place(self, source: PeerName) -> Place:
        return NOWHERE


# The life of a ghost


def test_a_ghost_is_given_up_after_a_minute_without_an_answer() -> None:
    network = Network(FULL4)
    network.kill(4)
    forwarding = network.nodes[1].forwarding
    assert [ghost.name for ghost in forwarding.ghosts()] == [4]
    assert forwarding.watched() == {ShortId(4): False}
    forwarding.answered(ShortId(4), Instant(50, 0))
    assert forwarding.next_deadline() == 50 + LIFETIME
    assert not forwarding.expire(Instant(50 + LIFETIME - 1, 0))
    assert forwarding.expire(Instant(50 + LIFETIME, 0))
    tables = forwarding.update(network.picture(1), network.now)
    assert ShortId(4) not in {*tables.routes, *tables.trees, *tables.direct}
    assert forwarding.next_deadline() == float("inf")


def test_a_ghost_can_be_removed_by_hand() -> None:
    network = Network(FULL4)
    network.kill(4)
    forwarding = network.nodes[1].forwarding
    assert forwarding.forget(PeerName(4))
    assert not forwarding.forget(PeerName(4))
    assert ShortId(4) not in forwarding.update(network.picture(1), network.now).routes


def test_a_ghost_yields_its_short_id() -> None:
    network = Network(FULL4)
    network.kill(4)
    picture = network.picture(1)
    taken = {**picture.short_ids, PeerName(4): ShortId(9), PeerName(3): ShortId(4)}
    tables = network.nodes[1].forwarding.update(replace(picture, short_ids=taken), network.now)
    assert network.nodes[1].forwarding.ghosts() == ()
    assert tables.routes[ShortId(4)] == Hop(ip_of(3), ip_of(1))


def test_a_distant_ghost_is_asked_over_relays() -> None:
    network = Network([(1, 2), (2, 3)])
    network.kill(3)
    assert network.nodes[1].forwarding.watched() == {ShortId(3): True}
    assert network.nodes[2].forwarding.watched() == {ShortId(3): False}


def test_a_link_lost_shortly_before_its_peer_still_counts() -> None:
    """The order of events when a daemon dies: first our own link to it goes, then the others notice."""
    network = Network(FULL4)
    picture = network.picture(1)
    without = {name: hop for name, hop in picture.direct.items() if name != 4}
    forwarding = network.nodes[1].forwarding
    forwarding.update(replace(picture, direct=without, hops=without), network.now)
    network.kill(4)
    assert forwarding.watched() == {ShortId(4): False}
    assert dict(network.broadcast(1)) == {2: 1, 3: 1, 4: 1}


def test_an_adopted_peer_that_does_not_answer_is_given_up() -> None:
    hop = Hop(ip_of(2), ip_of(1))
    old = Tables(ShortId(1), {ShortId(2): hop}, {ShortId(2): hop}, {ShortId(2): Tree(ip_of(2))})
    forwarding = Forwarding(Instant(0, 0), old)
    assert forwarding.tables == old
    assert forwarding.expire(Instant(LIFETIME, 0))
    assert forwarding.ghosts() == ()


# Limits


def test_a_tree_holds_no_more_than_the_kernel_s() -> None:
    network = Network([(1, number) for number in range(2, MAX_CHILDREN + 20)])
    children = network.nodes[1].tables.trees[ShortId(1)].children
    assert len(children) == MAX_CHILDREN


def test_two_peers_at_one_address_get_one_copy() -> None:
    network = Network([(1, 2), (1, 3)])
    picture = network.picture(1)
    same = {name: Hop(ip_of(2), ip_of(1)) for name in picture.hops}
    tables = build(replace(picture, hops=same), (), NO_WEB)
    assert len(tables.trees[ShortId(1)].children) == 1


def test_two_peers_by_the_sleeve_get_a_copy_each() -> None:
    links = [(1, 2), (1, 3)]
    tables = Network(links, links).nodes[1].tables
    assert tables.trees[ShortId(1)] == Tree(
        None, ((ShortId(2), sleeve_hop(ShortId(2))), (ShortId(3), sleeve_hop(ShortId(3))))
    )
    assert tables.trees[ShortId(2)] == Tree(ShortId(2), ((ShortId(3), sleeve_hop(ShortId(3))),))


def test_a_shortcut_takes_what_is_for_its_peer_and_nothing_else() -> None:
    network = Network([(1, 2), (2, 3), (3, 4)])
    far, picture = sleeve_hop(ShortId(3)), network.picture(1)
    tables = build(replace(picture, shortcuts={PeerName(3): far}), (), NO_WEB)
    assert tables.routes[ShortId(3)] == far
    assert tables.routes[ShortId(4)] == network.hop(1, 2)
    assert tables.trees == network.nodes[1].tables.trees


def test_a_shortcut_leads_to_a_peer_that_the_mesh_has_lost_whatever_relays_come_back() -> None:
    """The relay that both ends knew was restarted, and has met one of them again."""
    network = Network([(1, 2), (2, 3)])
    far = sleeve_hop(ShortId(3))
    forwarding = network.nodes[1].forwarding
    network.kill(3)
    tables = forwarding.update(replace(network.picture(1), shortcuts={PeerName(3): far}), network.now)
    assert tables.routes[ShortId(3)] == far
    assert forwarding.update(network.picture(1), network.now).routes[ShortId(3)] == network.hop(1, 2)


def test_an_established_neighbour_needs_no_shortcut() -> None:
    network = Network([(1, 2), (2, 3)])
    picture = replace(network.picture(1), shortcuts={PeerName(2): sleeve_hop(ShortId(2))})
    assert build(picture, (), NO_WEB).routes == network.nodes[1].tables.routes


def test_peers_without_a_short_id_are_left_out() -> None:
    network = Network([(1, 2), (2, 3)])
    picture = network.picture(1)
    ids = {name: one for name, one in picture.short_ids.items() if name != 2}
    tables = build(replace(picture, short_ids=ids), (), NO_WEB)
    assert set(tables.routes) == {3}
    assert set(tables.trees) == {1, 3}
    assert tables.trees[ShortId(1)].children == ()
