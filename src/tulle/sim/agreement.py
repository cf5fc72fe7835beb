"""Whether everybody who can talk knows the same, and what is missing if not."""

from collections.abc import Callable, Sequence
from typing import Any

from tulle.sim.daemon import Daemon
from tulle.sim.machine import Machine
from tulle.sim.walk import flood_faults
from tulle.sim.world import World

View = Callable[[Daemon], Any]


def disagreement(world: World, everything: bool) -> str:
    """What still keeps the hosts that can reach each other from having one state; empty if nothing does.

    ``everything``: also nobody may wait for an answer.
    """
    for component in world.components():
        found = component_fault(component, everything)
        if found:
            return found
    return ""


def component_fault(component: Sequence[Machine], everything: bool) -> str:
    """The same for hosts that can all reach each other, over others if need be."""
    for found in (reach_fault(component), _unanswered(component) if everything else ""):
        if found:
            return found
    for what, view in (("the topology", _topology), ("the ring", _ring), ("the names", _names)):
        odd = _odd_one(component, view)
        if odd:
            return f"{what} of {odd} differ"
    return _wrong_names(component) or flood_faults(component)


def reach_fault(component: Sequence[Machine]) -> str:
    """Who does not know yet whom frames get to."""
    names = {machine.name for machine in component}
    for machine in component:
        daemon = _daemon(machine)
        missing = names - {machine.name} - set(daemon.node.mesh.routes.unicast)
        if missing:
            return f"{_who(machine)} has no way for frames to {len(missing)} hosts, {min(missing)} among them"
        strangers = set(daemon.node.mesh.peers()) - names
        if strangers:
            return f"{_who(machine)} still counts {len(strangers)} peers that cannot be reached"
    return ""


def _unanswered(component: Sequence[Machine]) -> str:
    for machine in component:
        if machine.waiting:
            asked = next(iter(machine.waiting.values()))
            return f"{_who(machine)} has not answered {asked.what} {asked.ident} since {asked.at:.1f} s"
    return ""


def _daemon(machine: Machine) -> Daemon:
    assert machine.daemon is not None
    return machine.daemon


def _who(machine: Machine) -> str:
    return f"h{machine.number}"


def _odd_one(component: Sequence[Machine], view: View) -> str:
    first = view(_daemon(component[0]))
    for machine in component[1:]:
        if view(_daemon(machine)) != first:
            return f"{_who(component[0])} and {_who(machine)}"
    return ""


def _topology(daemon: Daemon) -> object:
    return {name: (peer.uid, peer.version) for name, peer in daemon.node.mesh.peers().items()}


def _ring(daemon: Daemon) -> object:
    return [(entry.token, entry.peer, entry.version) for entry in daemon.ipam.ring.entries]


def _names(daemon: Daemon) -> object:
    return {entry.key: entry.version for entry in daemon.names.entries() if entry.live}


def _wrong_names(component: Sequence[Machine]) -> str:
    """Every name of a container on a reachable host is answered, and no other."""
    wanted: dict[str, set[int]] = {}
    for machine in component:
        for _, hostname, address in machine.named:
            wanted.setdefault(hostname, set()).add(int(address))
    some = _daemon(component[0])
    for hostname, addresses in wanted.items():
        answered = set(map(int, some.names.lookup(hostname)))
        if answered != addresses:
            return f"{hostname} has {len(addresses)} addresses, and {len(answered)} are answered"
    live = {entry.key.hostname.partition(".")[0] for entry in some.names.entries() if entry.live}
    gone = live - set(wanted)
    return f"{min(gone)} is answered, and there is no such container" if gone else ""
