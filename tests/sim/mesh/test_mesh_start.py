"""Many hosts started at once are one full mesh within seconds, and without drowning each other in gossip."""

import pytest

from sim.mesh.cluster import Cluster, ForeignSession
from tulle.mesh.dialect.weave.session import WeaveSession

MEGABYTE = 1_000_000


def _start(
    count: int, full_lists: bool, seed: int = 1, latency: float = 0.001, carrier: float = 0.0
) -> Cluster:
    cluster = Cluster(seed, latency)
    for number in range(1, count + 1):
        others = [other for other in range(1, count + 1) if other != number]
        targets = others if full_lists else [1] * (number != 1)
        cluster.start(number, *targets, establish=lambda peer: carrier)
    return cluster


@pytest.mark.parametrize("full_lists", [False, True], ids=["one seed peer", "full lists"])
@pytest.mark.parametrize(("latency", "carrier"), [(0.0002, 0.0), (0.02, 0.5), (0.1, 0.5)])
def test_twenty_hosts_at_once(full_lists: bool, latency: float, carrier: float) -> None:
    cluster = _start(20, full_lists, latency=latency, carrier=carrier)
    cluster.run_until(cluster.is_full_mesh, limit=5)
    cluster.run_until(cluster.agrees, limit=3)
    cluster.run(5)
    assert cluster.network.total_bytes < 3 * MEGABYTE


@pytest.mark.parametrize("seed", range(6))
def test_simultaneous_dials_leave_one_link(seed: int) -> None:
    cluster = _start(6, full_lists=True, seed=seed, latency=0.03)
    cluster.run_until(cluster.is_full_mesh, limit=5)
    cluster.run(1)
    for host in cluster.hosts.values():
        assert len(host.mesh.links()) == 5
        assert all(view.conn_uid == _twin(cluster, host.name, view.peer) for view in host.mesh.links())


def _twin(cluster: Cluster, name: int, peer: int | None) -> int:
    assert peer is not None
    return next(view.conn_uid for view in cluster.hosts[peer].mesh.links() if view.peer == name)


def test_discovered_peers_are_dialled_from_one_end_only() -> None:
    cluster = _start(12, full_lists=False)
    cluster.run_until(cluster.is_full_mesh, limit=5)
    assert cluster.network.dials == 12 * 11 // 2


def test_a_quiet_network_stays_quiet() -> None:
    cluster = _start(20, full_lists=False)
    cluster.run(60)
    before = cluster.network.total_bytes
    cluster.run(60)
    assert cluster.network.total_bytes - before < 3 * MEGABYTE
    assert cluster.is_full_mesh()


def test_forty_hosts() -> None:
    cluster = _start(40, full_lists=False)
    cluster.run_until(cluster.is_full_mesh, limit=5)
    cluster.run_until(cluster.agrees, limit=3)
    assert cluster.network.total_bytes < 20 * MEGABYTE


@pytest.mark.parametrize("ours", [0, 3, 5])
def test_peers_of_the_other_kind_join_in(ours: int) -> None:
    cluster = Cluster(seed=ours)
    for number in range(1, 9):
        session = WeaveSession if number <= ours else ForeignSession
        cluster.start(number, *([1] * (number != 1)), session=session)
    cluster.run_until(cluster.is_full_mesh, limit=5)
    cluster.run_until(cluster.agrees, limit=5)


def test_hosts_that_start_late_and_in_any_order() -> None:
    cluster = Cluster()
    cluster.start(3, 2)
    cluster.start(2, 1)
    cluster.run(2)
    cluster.start(1)
    cluster.run_until(cluster.is_full_mesh, limit=5)


def test_with_a_password() -> None:
    cluster = Cluster()
    for number in range(1, 5):
        cluster.start(number, *([1] * (number != 1)), password=b"secret")
    cluster.run_until(cluster.is_full_mesh, limit=5)
    assert all(view.encrypted for host in cluster.hosts.values() for view in host.mesh.links())


def test_connection_limit_leaves_a_connected_network() -> None:
    cluster = Cluster()
    for number in range(1, 7):
        targets = [number - 1] if number > 1 else []
        cluster.start(number, *targets, conn_limit=2, discovery=False)
    cluster.run_until(lambda: cluster.sees_all() and cluster.agrees(), limit=15)
    assert all(len(host.neighbours) <= 2 for host in cluster.hosts.values())


@pytest.mark.parametrize("seed", range(2))
def test_few_connections_and_one_host_that_all_are_told_of_leave_nobody_out(seed: int) -> None:
    cluster = Cluster(seed, 0.002)
    for number in range(1, 31):
        cluster.start(number, *[1] * (number != 1), conn_limit=4)
    cluster.run_until(
        lambda: all(len(host.mesh.routes.unicast_all) == 29 for host in cluster.hosts.values()), 60
    )
    cluster.run_until(cluster.agrees, limit=60)
    assert all(len(host.neighbours) <= 4 for host in cluster.hosts.values())
