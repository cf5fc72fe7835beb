"""Channels over whole networks: states that become equal, broadcasts, messages over many hops, relays."""

from random import Random

import pytest

from sim.mesh.cluster import Cluster, ForeignSession
from sim.mesh.set_channel import SetChannel
from tulle.mesh.dialect.weave.session import WeaveSession


def _network(
    dials: dict[int, list[int]], seed: int = 0, **config: object
) -> tuple[Cluster, dict[int, SetChannel]]:
    cluster = Cluster(seed, latency=0.005)
    channels = {number: SetChannel() for number in dials}
    for number, targets in dials.items():
        cluster.start(number, *targets, channels=[channels[number]], **config)
    cluster.run_until(lambda: cluster.sees_all() and cluster.agrees(), limit=10)
    return cluster, channels


def _line(count: int) -> dict[int, list[int]]:
    return {number: [number - 1] if number > 1 else [] for number in range(1, count + 1)}


def _add(
    cluster: Cluster, channels: dict[int, SetChannel], number: int, word: str, broadcast: bool = True
) -> None:
    cluster.hosts[number].run(lambda: channels[number].add(word, broadcast))


def test_a_broadcast_reaches_everybody_once() -> None:
    cluster, channels = _network({number: [1] * (number != 1) for number in range(1, 9)})
    cluster.run(2)
    _add(cluster, channels, 5, "hello")
    cluster.run(1)
    assert {number: channel.arrivals["hello"] for number, channel in channels.items()} == {
        number: int(number != 5) for number in channels
    }


def test_a_broadcast_goes_over_many_hops() -> None:
    cluster, channels = _network(_line(6), discovery=False)
    cluster.run(2)
    _add(cluster, channels, 1, "hello")
    cluster.run(1)
    assert [channel.arrivals["hello"] for channel in channels.values()] == [0, 1, 1, 1, 1, 1]


def test_messages_for_one_peer_go_over_many_hops() -> None:
    cluster, channels = _network(_line(6), discovery=False)
    cluster.hosts[1].run(lambda: channels[1].write(6, "to the end"))
    cluster.hosts[6].run(lambda: channels[6].write(1, "and back"))
    cluster.run(1)
    assert channels[6].letters == [(1, "to the end")]
    assert channels[1].letters == [(6, "and back")]
    assert not any(channels[number].letters for number in range(2, 6))


def test_peers_without_a_channel_pass_it_on() -> None:
    cluster = Cluster()
    channels = {number: SetChannel() for number in (1, 4)}
    for number, targets in _line(4).items():
        cluster.start(
            number, *targets, channels=[channels[number]] if number in channels else [], discovery=False
        )
    cluster.run_until(lambda: cluster.sees_all() and cluster.agrees(), limit=10)
    _add(cluster, channels, 1, "broadcast")
    _add(cluster, channels, 4, "gossip", broadcast=False)
    cluster.hosts[1].run(lambda: channels[1].write(4, "letter"))
    cluster.run(1)
    assert channels[1].words == channels[4].words == {"broadcast", "gossip"}
    assert channels[4].letters == [(1, "letter")]


def test_newcomers_learn_everything_by_a_relay_that_has_no_part_in_it() -> None:
    """Complete states of others do not pass a relay; what they say now and then does."""
    cluster = Cluster()
    channels = {number: SetChannel() for number in (1, 3)}
    channels[1].words |= {"old", "older"}
    for number, targets in _line(3).items():
        cluster.start(
            number, *targets, channels=[channels[number]] if number in channels else [], discovery=False
        )
    cluster.run(60)
    assert channels[3].words == {"old", "older"}


def test_partitions_meet_again() -> None:
    cluster, channels = _network({number: [1] * (number != 1) for number in range(1, 7)})
    cluster.cut([1, 2, 3], [4, 5, 6], reset=True)
    cluster.run(5)
    for number in channels:
        _add(cluster, channels, number, f"from {number}")
    cluster.run(1)
    assert channels[1].words == {"from 1", "from 2", "from 3"}
    cluster.network.heal()
    cluster.run_until(cluster.sees_all, limit=60)
    cluster.run(1)
    everything = {f"from {number}" for number in channels}
    assert all(channel.words == everything for channel in channels.values())


def test_a_bad_word_ends_the_link_with_its_reason() -> None:
    cluster, channels = _network({1: [], 2: [1]})
    channels[2].encode_some = lambda dialect, keys, now: [b"\xff"]  # type: ignore[method-assign]
    _add(cluster, channels, 2, "x")
    cluster.run(0.1)
    reasons = [event.reason for event in cluster.hosts[1].events if hasattr(event, "reason")]
    assert "that is no word" in reasons
    channels[1].encode_some = channels[2].encode_some  # type: ignore[method-assign]
    cluster.run(10)
    _add(cluster, channels, 1, "y")
    cluster.run(0.1)
    (view,) = cluster.hosts[2].mesh.target_views()
    assert view.reason == "that is no word"


@pytest.mark.parametrize("seed", range(8))
def test_everything_said_in_a_busy_network_arrives(seed: int) -> None:
    rng = Random(seed)
    count = rng.randint(3, 9)
    cluster = Cluster(seed, latency=0.005)
    channels = {number: SetChannel() for number in range(1, count + 1)}
    for number in channels:
        session = ForeignSession if rng.random() < 0.3 else WeaveSession
        target = [rng.randint(1, number - 1)] if number > 1 else []
        cluster.start(
            number, *target, channels=[channels[number]], session=session, discovery=rng.random() < 0.5
        )
    for step in range(60):
        _add(cluster, channels, rng.randint(1, count), f"word {step}", broadcast=rng.random() < 0.7)
        cluster.run(rng.random() * 0.2)
    everything = set().union(*(channel.words for channel in channels.values()))
    cluster.run_until(lambda: all(channel.words == everything for channel in channels.values()), limit=90)
