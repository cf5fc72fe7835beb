"""Chance against the allocators: any order of requests, losses, partitions, crashes and restarts.

What must always hold: no address is in use twice and no address has two owners, seen from anywhere. What must
hold once everything is connected again: one ring, no lost addresses, no link ever dropped.
"""

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from ipam_cluster import Cluster

from tulle.ipam.config import Consensus, Observer, Seed
from tulle.mesh.peername import PeerName

# More of chance than the suite has time for: TULLE_CHAOS=3000 pytest tests/sim/ipam/test_ipam_chaos.py
EXAMPLES = int(os.environ.get("TULLE_CHAOS", "50"))
HOSTS = st.integers(1, 3)
IDENTS = st.sampled_from(["a", "b", "c", "d", "e", "f"])
BOOTSTRAPS = {
    "consensus": lambda _number: Consensus(3),
    "seeds": lambda _number: Seed((PeerName(1), PeerName(2))),
    "observer": lambda number: Observer() if number == 3 else Consensus(2),
}


class Chaos(RuleBasedStateMachine):
    """Nobody lies and no disk is lost: uniqueness must be perfect."""

    @initialize(bootstrap=st.sampled_from(sorted(BOOTSTRAPS)), seed=st.integers(0, 1000))
    def begin(self, bootstrap: str, seed: int) -> None:
        self.cluster = Cluster(3, "10.0.0.0/28", BOOTSTRAPS[bootstrap], seed)

    @rule(host=HOSTS, ident=IDENTS)
    def allocate(self, host: int, ident: str) -> None:
        if self.cluster[host].up:
            self.cluster.allocate(host, ident)

    @rule(host=HOSTS, ident=IDENTS, offset=st.integers(0, 15))
    def claim(self, host: int, ident: str, offset: int) -> None:
        if self.cluster[host].up:
            self.cluster.claim(host, ident, f"10.0.0.{offset}/28")

    @rule(host=HOSTS, ident=IDENTS)
    def release(self, host: int, ident: str) -> None:
        if self.cluster[host].up:
            self.cluster[host].ipam.release(ident, None, self.cluster.now)
            self.cluster.settle(host)

    @precondition(lambda self: self.cluster.queue)
    @rule(data=st.data(), times=st.integers(1, 10))
    def deliver(self, data: st.DataObject, times: int) -> None:
        for _ in range(min(times, len(self.cluster.queue))):
            if self.cluster.queue:
                self.cluster.deliver(data.draw(st.integers(0, len(self.cluster.queue) - 1)))

    @precondition(lambda self: self.cluster.queue)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        self.cluster.lose(data.draw(st.integers(0, len(self.cluster.queue) - 1)))

    @rule(seconds=st.sampled_from([0.5, 2.0, 6.0, 31.0]))
    def wait(self, seconds: float) -> None:
        self.cluster.advance(seconds)

    @rule(cut=HOSTS)
    def partition(self, cut: int) -> None:
        self.cluster.partition({1, 2, 3} - {cut}, {cut})

    @rule()
    def heal(self) -> None:
        self.cluster.heal()

    @rule(host=HOSTS)
    def crash_or_start(self, host: int) -> None:
        if self.cluster[host].up:
            self.cluster.stop(host)
        else:
            self.cluster.start(host)

    @rule()
    def gossip(self) -> None:
        self.cluster.gossip_round()

    @rule(host=HOSTS)
    def disk_full_or_free(self, host: int) -> None:
        self.cluster[host].disk_full = not self.cluster[host].disk_full

    @invariant()
    def addresses_are_unique(self) -> None:
        assert self.cluster.duplicates() == {}

    @invariant()
    def owners_are_unique(self) -> None:
        assert self.cluster.double_owned() == []

    @invariant()
    def answers_are_held(self) -> None:
        for host in self.cluster.hosts.values():
            assert not host.up or set(host.ipam.outbox) == set()

    def teardown(self) -> None:
        if not hasattr(self, "cluster"):
            return
        for host in self.cluster.hosts.values():
            host.disk_full = False
        self.cluster.recover()
        assert self.cluster.dropped_links == []
        assert self.cluster.duplicates() == {}
        assert self.cluster.agreed()
        for name, ipam in self.cluster.running():
            ipam.ring.check()
            assert not ipam.status().strays
            for held in ipam.held().values():
                assert all(ipam.ring.owner(int(interface)) == name for interface in held)


TestChaos = Chaos.TestCase
TestChaos.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=60,
    suppress_health_check=list(HealthCheck),
    deadline=None,
)


class Disaster(RuleBasedStateMachine):
    """Hosts lose or roll back their disks, and are removed while they live.

    Then addresses can be in use twice, and no protocol can help it. But the peers must go on talking, agree
    again, and keep exactly those addresses apart from the ring that really are in use twice.
    """

    @initialize(seed=st.integers(0, 1000))
    def begin(self, seed: int) -> None:
        seeds = Seed((PeerName(1), PeerName(2), PeerName(3)))
        self.cluster = Cluster(3, "10.0.0.0/28", lambda _number: seeds, seed)
        self.snapshots = {name: dict(host.disk) for name, host in self.cluster.hosts.items()}

    allocate = Chaos.allocate
    claim = Chaos.claim
    release = Chaos.release
    deliver = Chaos.deliver
    lose = Chaos.lose
    wait = Chaos.wait
    partition = Chaos.partition
    heal = Chaos.heal
    crash_or_start = Chaos.crash_or_start
    gossip = Chaos.gossip

    @rule(host=HOSTS, victim=HOSTS, force=st.booleans())
    def take_over(self, host: int, victim: int, force: bool) -> None:
        if self.cluster[host].up:
            self.cluster.takeover(host, victim, force)

    @rule(host=HOSTS)
    def start_with_empty_disk(self, host: int) -> None:
        self.cluster.stop(host)
        self.cluster.start(host, lose_disk=True)

    @rule(host=HOSTS)
    def take_snapshot(self, host: int) -> None:
        self.snapshots[PeerName(host)] = dict(self.cluster[host].disk)

    @rule(host=HOSTS)
    def roll_back(self, host: int) -> None:
        self.cluster.stop(host)
        self.cluster[host].disk = dict(self.snapshots[PeerName(host)])
        self.cluster.start(host)

    def teardown(self) -> None:
        if not hasattr(self, "cluster"):
            return
        self.cluster.recover()
        assert self.cluster.dropped_links == []
        assert self.cluster.agreed()
        assert self.cluster.double_owned() == []
        twice = self.cluster.duplicates()
        for _, ipam in self.cluster.running():
            for stray in ipam.status().strays:
                assert str(stray.address) in twice
                assert stray.denied


TestDisaster = Disaster.TestCase
TestDisaster.settings = TestChaos.settings
