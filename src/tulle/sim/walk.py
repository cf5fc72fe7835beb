"""Frames on their way through the kernels' tables and the sleeve's paths, without sending any."""

from collections.abc import Mapping, Sequence

from tulle.datapath.tables import CarrierKind, Hop, HopId, ShortId
from tulle.sim.kernel import HOPS
from tulle.sim.machine import Machine

Hosts = Mapping[str, Machine]
"""By address."""


def flood_faults(component: Sequence[Machine]) -> str:
    """A broadcast frame from each host comes to every other exactly once, by the tables as they are."""
    hosts = _hosts(component)
    for source in component:
        copies = _flood(source, hosts)
        for machine in component:
            times = copies.get(machine.number, 0)
            if times != (machine is not source):
                return f"a broadcast from h{source.number} comes to h{machine.number} {times} times"
    return ""


def _flood(source: Machine, hosts: Hosts) -> dict[int, int]:
    """How many copies come to each host. No frame takes more hops than there are hosts."""
    short_id = source.kernel.tables.self_id
    if short_id is None:
        return {}
    copies: dict[int, int] = {}
    frontier = [source]
    for _ in range(len(hosts)):
        reached: list[Machine] = []
        for here in frontier:
            tree = here.kernel.tables.trees.get(short_id)
            for _, hop in tree.children if tree is not None else ():
                there = _flooded(here, hop, short_id, hosts)
                if there is not None:
                    copies[there.number] = copies.get(there.number, 0) + 1
                    reached.append(there)
        frontier = reached
    return copies


def _flooded(here: Machine, hop: Hop, source: ShortId, hosts: Hosts) -> Machine | None:
    """Who gets a copy by this hop, and takes broadcasts of the source from the neighbour that we are."""
    there, known_as = _next_stop(here, hop, hosts)
    if there is None or known_as is None:
        return None
    tree = there.kernel.tables.trees.get(source)
    return there if tree is not None and tree.parent == known_as else None


def route_faults(machines: Sequence[Machine]) -> str:
    """A frame from each host gets to every other, over relays if need be; what does not, if any."""
    hosts = _hosts(machines)
    for source in machines:
        for target in machines:
            if source is not target and _relays(source, target, hosts) is None:
                return f"frames from h{source.number} do not get to h{target.number}"
    return ""


def direct_both_ways(one: Machine, other: Machine, machines: Sequence[Machine]) -> bool:
    """Whether frames between these two pass without a relay."""
    hosts = _hosts(machines)
    return _relays(one, other, hosts) == 0 == _relays(other, one, hosts)


def _relays(source: Machine, target: Machine, hosts: Hosts) -> int | None:
    """How many hosts pass a frame on until it is there; None if it gets lost."""
    short_id = target.kernel.tables.self_id
    here: Machine | None = source
    for relays in range(HOPS):
        hop = here.kernel.tables.routes.get(short_id) if here is not None and short_id is not None else None
        if here is None or hop is None:
            return None
        here, _ = _next_stop(here, hop, hosts)
        if here is target:
            return relays
    return None


def _next_stop(here: Machine, hop: Hop, hosts: Hosts) -> tuple[Machine | None, HopId | None]:
    """Where a frame gets by this hop now, and what its sender is known as there."""
    if hop.carrier is CarrierKind.VXLAN:
        return (hosts.get(hop.remote_ip), here.ip) if here.kernel.reaches(hop.remote_ip) else (None, None)
    assert hop.peer is not None
    landing = here.daemon.sleeve.lands(hop.peer) if here.daemon is not None else None
    there = hosts.get(landing[0]) if landing is not None else None
    if landing is None or there is None or there.daemon is None:
        return None, None
    return there, there.daemon.sleeve.sender(landing[1])


def _hosts(machines: Sequence[Machine]) -> Hosts:
    return {machine.ip: machine for machine in machines}
