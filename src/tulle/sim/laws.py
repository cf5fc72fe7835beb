"""Merging the states of all hosts, as they are at some moment, in any order and more than once."""

from collections.abc import Sequence
from random import Random

from tulle.instant import Instant
from tulle.ipam.merge import RingMismatch, repairing_merge
from tulle.ipam.ring import Ring
from tulle.mesh.peername import PeerName
from tulle.mesh.summary import PeerSummary
from tulle.mesh.topology import Topology
from tulle.names.nameserver import Nameserver
from tulle.sim.daemon import Daemon
from tulle.sim.settings import DOMAIN

BYSTANDER = PeerName(0xFFFF_FFFF_FFF0)
"""A peer that has nothing of its own and hears everything."""


def broken_law(daemons: Sequence[Daemon], rng: Random, now: Instant) -> str:
    """Which channel comes to different states when it hears the same in another order, twice over."""
    order = list(daemons)
    again = [*order, *rng.sample(order, len(order))]
    rng.shuffle(again)
    for what, merged in (("the topology", _topology), ("the ring", _ring), ("the names", _names)):
        if merged(order, now) != merged(again, now):
            return f"{what} depends on the order in which news comes"
    return ""


def _topology(daemons: Sequence[Daemon], now: Instant) -> object:
    topology = Topology(PeerSummary(BYSTANDER, "bystander", 1, 0, None, ()))
    for daemon in daemons:
        topology.merge(daemon.node.mesh.peers().values())
    return dict(topology.peers)


def _ring(daemons: Sequence[Daemon], now: Instant) -> object:
    rings = [daemon.ipam.ring for daemon in daemons if daemon.ipam.ring.entries]
    merged: Ring | None = None
    for ring in rings:
        try:
            merged = ring if merged is None else repairing_merge(merged, ring)[0]
        except RingMismatch:
            return None  # divided twice, which others judge
    return merged and [(entry.token, entry.peer, entry.version) for entry in merged.entries]


def _names(daemons: Sequence[Daemon], now: Instant) -> object:
    names = Nameserver(BYSTANDER, DOMAIN)
    names.known_peers({entry.key.origin for daemon in daemons for entry in daemon.names.entries()})
    for daemon in daemons:
        for payload in daemon.names.encode_all("weave", now):
            names.merge("weave", payload, daemon.name, False, now)
    return names.entries()
