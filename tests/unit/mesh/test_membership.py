"""What follows from changes of the topology."""

from random import Random

from mesh.builders import at, edge, summary
from tulle.mesh.events import Log, MeshEvent, PeersGone, ShortIdChanged, TopologyChanged
from tulle.mesh.membership import Membership
from tulle.mesh.shortids import SHORT_IDS
from tulle.mesh.topology import Topology


def _membership(**me: object) -> tuple[Topology, Membership, list[MeshEvent]]:
    topology = Topology(summary(5, **me))  # type: ignore[arg-type]
    events: list[MeshEvent] = []
    return topology, Membership(topology, Random(0), events.append), events


def test_the_first_change_is_told_at_once_and_more_together() -> None:
    _, membership, events = _membership()
    for moment in (0.0, 0.01, 0.02, 0.05):
        membership.changed(at(moment))
    assert events == [TopologyChanged()]
    assert membership.next_deadline() == 0.1
    membership.tick(at(0.1))
    membership.tick(at(0.3))
    assert events == [TopologyChanged(), TopologyChanged()]


def test_unreachable_peers_go_after_a_second() -> None:
    topology, membership, events = _membership()
    topology.connect(edge(2))
    topology.merge([summary(3, 4)])
    membership.changed(at(0))
    assert membership.tick(at(0.9)) == ()
    assert membership.tick(at(1.0)) == (3, 4)
    assert PeersGone((3, 4)) in events
    assert events[-1] == TopologyChanged()
    assert membership.tick(at(9.0)) == ()


def test_our_short_id_gives_way_to_a_lower_name() -> None:
    topology, membership, events = _membership(short_id=9)
    topology.merge([summary(8, short_id=9)])
    assert not membership.changed(at(0))
    topology.merge([summary(3, short_id=9)])
    assert membership.changed(at(0))
    assert topology.me.short_id != 9
    assert ShortIdChanged(topology.me.short_id or 0) in events
    assert any(isinstance(event, Log) for event in events)
    assert not membership.changed(at(0))


def test_without_a_free_short_id_nothing_changes_until_there_is_one() -> None:
    topology, membership, _ = _membership(short_id=9)
    everybody = [summary(10_000 + number, short_id=number) for number in range(SHORT_IDS - 2)]
    topology.merge([summary(3, short_id=9), *everybody])
    for number in range(SHORT_IDS):
        topology.short_ids.claim(topology.me.name, number)
    assert not membership.keep_short_id()
    assert topology.me.short_id == 9
    topology.short_ids.release(topology.me.name, 4095)
    assert membership.keep_short_id()
    assert topology.me.short_id == 4095
