"""The channel of multicast groups over whole networks: news travels at once, also through those who do not
know the channel."""

from ipaddress import IPv4Address

from sim.mesh.cluster import Cluster
from tulle.datapath.groups.channel import GroupChannel
from tulle.datapath.groups.record import Group, Interest, group_of
from tulle.mesh.peername import PeerName

GROUP = group_of(IPv4Address("239.1.2.3"))


class Line:
    """Hosts in a line; those not in ``knowing`` only relay, as Weave Net's peers do."""

    def __init__(self, count: int, knowing: set[int]) -> None:
        self.cluster = Cluster(latency=0.005)
        self.channels = {number: GroupChannel(PeerName(number)) for number in knowing}
        for number in range(1, count + 1):
            before = [number - 1] if number > 1 else []
            channels = [self.channels[number]] if number in knowing else []
            host = self.cluster.start(number, *before, channels=channels, discovery=False)
            if number in knowing:
                self.channels[number].known_peers(host.mesh.peers())
        self.cluster.run_until(lambda: self.cluster.sees_all() and self.cluster.agrees(), limit=10)

    def want(self, number: int, *groups: Group) -> None:
        host = self.cluster.hosts[number]
        host.run(lambda: self.channels[number].want(groups, "", self.cluster.network.clock.now))

    def known(self) -> set[str]:
        """The states of all who know the channel: one, if they agree."""
        return {str(sorted(channel.interests.items())) for channel in self.channels.values()}


def test_a_join_is_known_at_the_other_end_of_the_line_at_once() -> None:
    line = Line(6, {1, 2, 3, 4, 5, 6})
    line.want(1, GROUP)
    line.cluster.run(0.2)
    assert line.channels[6].interests[PeerName(1)] == Interest(1, frozenset({GROUP}))


def test_peers_that_do_not_know_the_channel_pass_it_on() -> None:
    line = Line(4, {1, 4})
    for number in (1, 4):
        line.want(number)
    line.cluster.run(1)
    line.want(1, GROUP)
    line.cluster.run(0.2)
    assert line.channels[4].interests[PeerName(1)].groups == {GROUP}
    line.want(1)
    line.cluster.run(1)
    assert line.channels[4].interests[PeerName(1)].groups == frozenset()
    assert len(line.known()) == 1


def test_what_was_joined_on_both_sides_of_a_partition_is_known_after_it() -> None:
    line = Line(4, {1, 2, 3, 4})
    for number in (1, 2, 3, 4):
        line.want(number)
    line.cluster.run(1)
    line.cluster.cut([1, 2], [3, 4], reset=True)
    line.cluster.run(1)
    line.want(1, GROUP)
    line.want(4, GROUP)
    line.cluster.run(1)
    line.cluster.network.heal()
    line.cluster.run_until(line.cluster.agrees, limit=60)
    line.cluster.run(1)
    assert len(line.known()) == 1
    assert line.channels[3].interests[PeerName(1)].groups == {GROUP}
    assert line.channels[2].interests[PeerName(4)].groups == {GROUP}
