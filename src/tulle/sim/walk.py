"""Frames on their way through the kernels' tables, without sending any."""

from collections.abc import Mapping, Sequence

from tulle.datapath.tables import HopId, ShortId
from tulle.sim.kernel import HOPS
from tulle.sim.machine import Machine


def flood_faults(component: Sequence[Machine]) -> str:
    """A broadcast frame from each host comes to every other exactly once, by the tables as they are."""
    known_as = _known_as(component)
    for source in component:
        copies = _flood(source, known_as)
        for machine in component:
            times = copies.get(machine.number, 0)
            if times != (machine is not source):
                return f"a broadcast from h{source.number} comes to h{machine.number} {times} times"
    return ""


def _flood(source: Machine, known_as: Mapping[HopId, Machine]) -> dict[int, int]:
    """How many copies come to each host. No frame takes more hops than there are hosts."""
    short_id = source.kernel.tables.self_id
    if short_id is None:
        return {}
    copies: dict[int, int] = {}
    frontier = [source]
    for _ in range(len(known_as)):
        reached: list[Machine] = []
        for here in frontier:
            tree = here.kernel.tables.trees.get(short_id)
            for _, hop in tree.children if tree is not None else ():
                there = known_as.get(hop.id)
                if there is not None and _takes(there, short_id, known_as, here):
                    copies[there.number] = copies.get(there.number, 0) + 1
                    reached.append(there)
        frontier = reached
    return copies


def _takes(there: Machine, source: ShortId, known_as: Mapping[HopId, Machine], sender: Machine) -> bool:
    """Whether a host takes broadcasts of this source from that neighbour."""
    tree = there.kernel.tables.trees.get(source)
    return tree is not None and tree.parent is not None and known_as.get(tree.parent) is sender


def route_faults(machines: Sequence[Machine]) -> str:
    """A frame from each host gets to every other, over relays if need be; what does not, if any."""
    known_as = _known_as(machines)
    for source in machines:
        for target in machines:
            if source is not target and not _arrives(source, target, known_as):
                return f"frames from h{source.number} do not get to h{target.number}"
    return ""


def _arrives(source: Machine, target: Machine, known_as: Mapping[HopId, Machine]) -> bool:
    short_id = target.kernel.tables.self_id
    if short_id is None:
        return False
    here = source
    for _ in range(HOPS):
        hop = here.kernel.tables.routes.get(short_id)
        there = known_as.get(hop.id) if hop is not None else None
        if there is None or not here.kernel.reaches(there.ip):
            return False
        if there is target:
            return True
        here = there
    return False


def _known_as(machines: Sequence[Machine]) -> dict[HopId, Machine]:
    """Hosts by what their neighbours know them by."""
    known: dict[HopId, Machine] = {machine.ip: machine for machine in machines}
    for machine in machines:
        if machine.kernel.tables.self_id is not None:
            known[machine.kernel.tables.self_id] = machine
    return known
