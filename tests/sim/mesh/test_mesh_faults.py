"""Cuts, restarts and clashes: what is connected agrees, and comes back by itself."""

from random import Random

import pytest

from sim.mesh.cluster import Cluster, ForeignSession, ip_of
from tulle.mesh.dialect.weave.session import WeaveSession
from tulle.mesh.events import Acquainted, LinkUp, ShortIdChanged
from tulle.mesh.peername import PeerName
from tulle.mesh.troubles import About
from tulle.mesh.views import LinkState, TargetState


def _line(count: int, **config: object) -> Cluster:
    cluster = Cluster()
    for number in range(1, count + 1):
        targets = [number - 1] if number > 1 else []
        cluster.start(number, *targets, discovery=False, **config)
    cluster.run_until(lambda: cluster.sees_all() and cluster.agrees(), limit=10)
    return cluster


def test_line_routes_by_way_of_neighbours() -> None:
    cluster = _line(5)
    routes = cluster.hosts[1].mesh.routes
    assert set(routes.unicast) == {2, 3, 4, 5}
    assert set(routes.unicast.values()) == {2}
    assert cluster.hosts[3].mesh.routes.broadcast(PeerName(1)) == (4,)
    assert cluster.hosts[3].mesh.routes.place(PeerName(1)).parent == 2


def test_a_cut_is_known_everywhere_within_two_seconds() -> None:
    cluster = _line(5)
    cluster.run(10)
    cluster.cut([3], [4], reset=True)
    cluster.run(1.9)
    assert set(cluster.hosts[1].mesh.peers()) == {1, 2, 3}
    assert set(cluster.hosts[5].mesh.peers()) == {4, 5}
    assert sorted(cluster.hosts[1].gone) == [4, 5]


def test_partition_and_heal() -> None:
    cluster = Cluster()
    for number in range(1, 9):
        cluster.start(number, *([1] * (number != 1)))
    cluster.run_until(cluster.is_full_mesh, limit=5)
    cluster.cut(range(1, 5), range(5, 9), reset=True)
    cluster.run(120)
    assert set(cluster.hosts[1].mesh.peers()) == {1, 2, 3, 4}
    assert set(cluster.hosts[8].mesh.peers()) == {5, 6, 7, 8}
    cluster.network.heal()
    cluster.run_until(lambda: cluster.sees_all() and cluster.agrees(), limit=360)
    cluster.run_until(cluster.is_full_mesh, limit=10)


def test_a_cut_that_swallows_everything_is_noticed_by_silence() -> None:
    cluster = Cluster()
    cluster.start(1)
    cluster.start(2, 1)
    cluster.run_until(cluster.is_full_mesh, limit=5)
    cluster.cut([1], [2])
    cluster.run(100)
    assert not cluster.hosts[1].neighbours
    cluster.network.heal()
    cluster.run_until(cluster.is_full_mesh, limit=30)


def test_restart_with_a_new_uid() -> None:
    cluster = Cluster()
    for number in range(1, 5):
        cluster.start(number, *([1] * (number != 1)))
    cluster.run_until(cluster.is_full_mesh, limit=5)
    cluster.run(20)
    cluster.stop(3)
    cluster.run(0.2)
    reborn = cluster.start(3, 1)
    cluster.run_until(cluster.is_full_mesh, limit=5)
    cluster.run_until(cluster.agrees, limit=5)
    assert {host.mesh.peers()[PeerName(3)].uid for host in cluster.hosts.values()} == {reborn.mesh.config.uid}


def test_a_host_without_targets_finds_the_others_again_after_a_long_absence() -> None:
    cluster = Cluster()
    for number in range(1, 5):
        cluster.start(number, *([1] * (number != 1)))
    cluster.run_until(cluster.is_full_mesh, limit=5)
    cluster.run(10)
    known = [event.peers for event in cluster.hosts[1].events if isinstance(event, Acquainted)][-1]
    cluster.stop(1)
    cluster.run(300)
    cluster.start(1, acquaintances=known)
    cluster.run_until(cluster.is_full_mesh, limit=2)


def test_power_loss_and_return_before_anybody_noticed() -> None:
    cluster = Cluster()
    for number in range(1, 4):
        cluster.start(number, *([1] * (number != 1)))
    cluster.run_until(cluster.is_full_mesh, limit=5)
    cluster.stop(3, silently=True)
    cluster.run(1)
    cluster.start(3, 1)
    cluster.run_until(cluster.is_full_mesh, limit=5)


def test_a_link_only_one_end_still_believes_in_is_replaced() -> None:
    """Whatever the connection UIDs say: nobody waits for the silence to last a minute."""
    for seed in range(6):
        cluster = Cluster(seed)
        cluster.start(1)
        cluster.start(2, 1)
        cluster.run_until(cluster.is_full_mesh, limit=5)
        stale = cluster.hosts[2].mesh.links()[0].link
        cluster.network.forget(stale)
        cluster.hosts[2].closed(stale, "connection reset")
        cluster.run_until(
            lambda hosts=cluster.hosts: (
                bool(hosts[1].established and hosts[2].established)
                and hosts[1].mesh.links()[0].conn_uid == hosts[2].mesh.links()[0].conn_uid
            ),
            limit=15,
        )


def test_short_id_collision_moves_the_higher_name() -> None:
    cluster = Cluster()
    cluster.start(1, short_id=7)
    cluster.start(2, 1, short_id=7)
    cluster.start(3, 1, short_id=7)
    cluster.run_until(lambda: cluster.is_full_mesh() and cluster.agrees(), limit=5)
    ids = {number: host.mesh.peers()[host.name].short_id for number, host in cluster.hosts.items()}
    assert ids[1] == 7
    assert len(set(ids.values())) == 3
    changed = [event for event in cluster.hosts[2].events if isinstance(event, ShortIdChanged)]
    assert changed[-1].short_id == ids[2]
    assert cluster.hosts[3].mesh.short_ids == {ids[number]: number for number in (1, 2, 3)}


def test_name_collision_is_never_retried_and_said() -> None:
    cluster = Cluster()
    cluster.start(1)
    twin = cluster.start(2, 1, name=PeerName(1))
    cluster.run(600)
    assert cluster.network.dials == 1
    (view,) = twin.mesh.target_views()
    assert view.never
    assert view.state is TargetState.FAILED
    assert "same name" in (view.reason or "")
    twin.connect(ip_of(1))
    cluster.run(1)
    assert cluster.network.dials == 2


def test_who_comes_second_with_a_name_is_kept_out_by_its_neighbours() -> None:
    cluster = Cluster()
    for number in range(1, 4):
        cluster.start(number, *([1] * (number != 1)))
    cluster.run_until(cluster.is_full_mesh, limit=5)
    uid = cluster.hosts[3].mesh.config.uid
    twin = cluster.start(4, 1, 2, name=PeerName(3))
    cluster.run(60)
    assert twin.mesh.terminations > 2
    assert not twin.neighbours
    for number in (1, 2):
        host = cluster.hosts[number]
        assert host.mesh.peers()[PeerName(3)].uid == uid
        assert any(
            "have one name" in text for text in host.mesh.troubles(About.NAMES, cluster.network.clock.now)
        )
        assert PeerName(3) in host.established
    assert all("have one name" in (view.reason or "") for view in twin.mesh.target_views())
    cluster.stop(3)
    cluster.run_until(lambda: len(twin.neighbours) == 2, limit=60)


def test_a_host_that_is_its_own_target_dials_itself_once() -> None:
    cluster = Cluster()
    for dials, password in enumerate((None, b"secret"), start=1):
        host = cluster.start(1, 1, password=password)
        cluster.run(100)
        assert cluster.network.dials == dials
        (view,) = host.mesh.target_views()
        assert view.never
        assert "this host itself" in (view.reason or "")


def test_who_is_beyond_the_limit_is_told_so() -> None:
    cluster = Cluster()
    cluster.start(1, conn_limit=1)
    cluster.start(2, 1, discovery=False)
    cluster.run(1)
    late = cluster.start(3, 1, discovery=False)
    cluster.run(1)
    (view,) = late.mesh.target_views()
    assert view.reason == "refused by the peer: the limit of connections is reached (--conn-limit 1)"


def test_two_hosts_with_one_name_do_not_flood_the_network() -> None:
    cluster = _line(3)
    twin = cluster.start(4, 3, name=PeerName(1), discovery=False)
    cluster.run(300)
    before = cluster.network.total_bytes
    cluster.run(300)
    assert cluster.network.total_bytes - before < 100_000
    assert twin.neighbours
    warned = [host.mesh.troubles(About.NAMES, cluster.network.clock.now) for host in (twin, cluster.hosts[1])]
    assert all("another host speaks in our name" in lines[0] for lines in warned), warned


def test_connecting_to_oneself_is_not_repeated() -> None:
    cluster = Cluster()
    host = cluster.start(1, 1)
    cluster.run(300)
    assert cluster.network.dials == 1
    assert host.mesh.target_views()[0].never


def test_wrong_password_is_said_and_retried_patiently() -> None:
    cluster = Cluster()
    cluster.start(1, password=b"one")
    host = cluster.start(2, 1, password=b"other")
    cluster.run(60)
    (view,) = host.mesh.target_views()
    assert "password" in (view.reason or "")
    assert cluster.network.dials < 15


def test_link_up_is_only_told_of_links_that_live() -> None:
    """The race of the original: state that carriers keep by peer belonged to a link that was about to die."""
    for seed in range(10):
        cluster = Cluster(seed, latency=0.01)
        cluster.start(1, 2)
        cluster.start(2, 1)
        cluster.run(3)
        for host in cluster.hosts.values():
            ups = [event for event in host.events if isinstance(event, LinkUp)]
            alive = {view.link for view in host.mesh.links() if view.state is LinkState.ESTABLISHED}
            assert alive == {ups[-1].link}


@pytest.mark.parametrize("foreigners", [False, True], ids=["alike", "of both kinds"])
@pytest.mark.parametrize("seed", range(12))
def test_random_networks_agree_after_random_faults(seed: int, foreigners: bool) -> None:
    rng = Random(seed)
    count = rng.randint(4, 12)
    cluster = Cluster(seed, latency=rng.choice((0.0005, 0.01, 0.05)))
    edges = {(rng.randint(1, number - 1), number) for number in range(2, count + 1)}
    edges |= {tuple(sorted(rng.sample(range(1, count + 1), 2))) for _ in range(rng.randint(0, count))}
    dials: dict[int, list[int]] = {number: [] for number in range(1, count + 1)}
    for edge in sorted(edges):
        dialler = rng.choice(edge)
        dials[dialler].append(sum(edge) - dialler)

    def start(number: int) -> None:
        session = ForeignSession if foreigners and number % 2 else WeaveSession
        cluster.start(number, *dials[number], discovery=False, session=session)

    for number in dials:
        start(number)
    cluster.run_until(lambda: cluster.sees_all() and cluster.agrees(), limit=10)
    for _ in range(5):
        one, other = rng.choice(sorted(edges))
        if rng.random() < 0.6:
            cluster.cut([one], [other], reset=True)
            cluster.run(rng.choice((0.005, 0.3, 1.5)))
            cluster.network.heal()
        else:
            cluster.stop(one)
            cluster.run(rng.choice((0.005, 0.5, 3)))
            start(one)
    cluster.run_until(lambda: cluster.sees_all() and cluster.agrees(), limit=60 if foreigners else 15)
