"""Clusters with both carriers, of which either may be blocked between any two hosts at any time."""

import pytest
from carrier_cluster import PORT, VXLAN_PORT, Cluster

MOVES_WITHIN = 3.0
RETURNS_WITHIN = 10.0


def grown(hosts: int, password: bytes | None = None, seed: int = 1) -> Cluster:
    """All have met, and use the best carrier there is."""
    cluster = Cluster(hosts, password, seed)
    cluster.connect_all()
    best = "fastdp" if password is None else "sleeve"
    cluster.run_until(lambda: all(host.carriers() == {best} for host in cluster.all), 5)
    cluster.run(5)
    assert cluster.all_talk()
    return cluster


def test_all_dial_all_at_once_and_every_sleeve_works_at_once() -> None:
    """Where the original loses the surviving connection's state to the one that is closed, for a minute."""
    cluster = Cluster(10, b"secret")
    cluster.connect_all()
    cluster.run_until(
        lambda: all(
            host.carriers() == {"sleeve"} and len(host.node.mesh.links()) == 9 for host in cluster.all
        ),
        3,
    )
    cluster.run(70)
    assert not [note for host in cluster.all for note in host.notes if "no frames get through" in note]
    assert cluster.all_talk()


def test_a_port_blocked_everywhere_and_opened_again() -> None:
    cluster = grown(5)
    before = [host.version for host in cluster.all]
    cluster.block(cluster.pairs(), VXLAN_PORT)
    cluster.run_until(cluster.all_talk, MOVES_WITHIN)
    assert all(host.carriers() == {"sleeve"} for host in cluster.all)
    cluster.blocked.clear()
    cluster.run_until(lambda: all(host.carriers() == {"fastdp"} for host in cluster.all), RETURNS_WITHIN)
    assert [host.version for host in cluster.all] == before


@pytest.mark.parametrize("seed", range(4))
def test_any_mixture_of_blocks_is_lived_with(seed: int) -> None:
    """Some pairs by the kernel, some by the sleeve, some over relays; and all as before when all is open."""
    cluster = grown(6, seed=seed)
    for _ in range(3):
        cluster.blocked.clear()
        for pair in cluster.pairs():
            what = cluster.rng.choice(((), (), (VXLAN_PORT,), (PORT,), (VXLAN_PORT, PORT)))
            if pair[0].number != 1:
                for port in what:
                    cluster.block([pair], port)
            elif what == (VXLAN_PORT,):
                cluster.block([pair], VXLAN_PORT)
        cluster.run_until(cluster.all_talk, 8)
        cluster.run(3)
        assert cluster.all_talk()
    cluster.blocked.clear()
    cluster.run_until(lambda: all(host.carriers() == {"fastdp"} for host in cluster.all), 70)
    cluster.run(5)
    assert cluster.all_talk()


def test_one_direction_blocked_counts_as_blocked() -> None:
    cluster = grown(3)
    one, two, _ = cluster.all
    cluster.blocked.add((one.number, two.number, VXLAN_PORT))
    cluster.run_until(cluster.all_talk, MOVES_WITHIN)
    cluster.blocked.add((two.number, one.number, PORT))
    cluster.run_until(cluster.all_talk, MOVES_WITHIN + 1)
    assert "fastdp" in one.carriers()


def test_a_port_that_comes_and_goes_is_left_alone() -> None:
    cluster = grown(2)
    one, two = cluster.all
    for _ in range(10):
        cluster.block([(one, two)], VXLAN_PORT)
        cluster.run(3)
        cluster.blocked.clear()
        cluster.run(6)
    assert one.node.carrier_changes["fastdp"] <= 5
    assert cluster.all_talk()
