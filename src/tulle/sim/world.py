"""A cluster: machines, the network between them, and the judge."""

from random import Random

from tulle.mesh.peername import PeerName
from tulle.sim.judge import Judge
from tulle.sim.machine import Machine
from tulle.sim.nat import Nat
from tulle.sim.network import Network
from tulle.sim.settings import Settings, host_of, ip_of, name_of, outside_of
from tulle.sim.story import Line, Story


class World:
    """Everything of one run. All chance comes from ``seed``."""

    def __init__(self, settings: Settings, seed: str, told: bool = False) -> None:
        self.settings = settings
        self.network = Network(settings.quality, Random(f"{seed}/network"))
        self.clock = self.network.clock
        self.story = Story(self.clock, told)
        self.judge = Judge(settings, self.story)
        self.machines: dict[int, Machine] = {}
        self.settle_times: list[float] = []
        self.seed = seed
        self._first_targets: dict[int, list[str]] = {}
        self.routers = [
            Nat(site.kind, outside_of(number), site.lifetime, site.hairpin)
            for number, site in enumerate(settings.sites, 1)
        ]
        for site, router in zip(settings.sites, self.routers, strict=True):
            for host in site.hosts:
                self.network.internet.settle(ip_of(host), router)
        chance = Random(f"{seed}/hosts")
        for number in range(1, settings.hosts + 1):
            rng = Random(chance.getrandbits(64))
            machine = Machine(number, settings, self.network, rng, self.judge)
            machine.targets = self._first_targets[number] = self._choose_targets(number, chance)
            self.machines[number] = machine
        self._by_ip = {machine.ip: machine for machine in self.machines.values()}

    def first_targets(self, number: int) -> list[str]:
        """What this host was told to connect to when it was launched for the first time."""
        return self._first_targets[number]

    def _choose_targets(self, number: int, chance: Random) -> list[str]:
        settings = self.settings
        if settings.links:
            earlier = range(1, number)
            chosen = {number - 1, *chance.sample(earlier, min(len(earlier), settings.links - 1))}
            return [ip_of(other) for other in sorted(chosen - {0})]
        known = settings.hosts if settings.targets is None else settings.targets
        return [ip_of(other) for other in range(1, known + 1) if other != number]

    def start(self, number: int, disk: str = "kept") -> None:
        """Start a daemon; see ``operations.Start``."""
        machine = self.machines[number]
        if machine.daemon is not None:
            return
        if disk in ("lost", "wiped"):
            machine.lose_disk(keep_name=disk == "wiped")
        elif disk == "old":
            machine.roll_back()
        if disk in ("wiped", "old"):
            self.judge.excuse = f"the disk of h{number} forgot what it had promised"
        machine.start(self.reaches)
        self.paths_changed()

    def crash(self, number: int, power: bool) -> None:
        """End a daemon, or a whole machine."""
        self.machines[number].crash(power)
        self.paths_changed()

    def rmpeer(self, number: int, peer: int, force: bool) -> None:
        """An operator removes a host."""
        machine = self.machines[number]
        if machine.daemon is None:
            return
        if force:
            self.judge.excuse = f"h{number} was told to take what h{peer} has by force"
        elif self.machines[peer].containers and self.machines[peer].daemon is None:
            self.judge.excuse = f"containers go on on h{peer}, which has no daemon to speak for them"
        machine.rmpeer(name_of(peer), force)

    def reset(self, number: int, force: bool) -> None:
        """An operator takes a host out."""
        machine = self.machines[number]
        if force and machine.daemon is not None:
            self.judge.excuse = f"h{number} was made to leave by force"
        machine.reset(force)

    def restart_router(self, site: int) -> None:
        """See ``operations.RestartRouter``."""
        inside = {ip_of(host) for host in self.settings.sites[site - 1].hosts}
        self.routers[site - 1].forget_all()
        self.network.reset_between((one, other) for one in inside for other in self._by_ip.keys() - inside)

    def paths_changed(self) -> None:
        """Some path works again or no more: those who look at paths look now."""
        self.network.retransmit()
        self.network.watch()
        for machine in self.machines.values():
            if machine.daemon is not None:
                machine.daemon.disturb()

    def reaches(self, one: str, other: str) -> bool:
        """Whether frames pass between two hosts, both ways."""
        far = self._by_ip.get(other)
        both = self.network.tunnels_pass(one, other) and self.network.tunnels_pass(other, one)
        return far is not None and far.powered and both

    def connects(self, one: str, other: str) -> bool:
        """Whether two hosts can talk."""
        return self.network.internet.may_link(one, other) and self.network.paths.both_ways(one, other)

    def reunite(self) -> None:
        """When disks were lost hosts may have begun anew, apart from the others: the fewer start over. So do
        those whose reset was not confirmed, and those that are done with theirs are launched again.
        """
        groups: dict[tuple[PeerName, ...], list[Machine]] = {}
        for machine in self.running():
            assert machine.daemon is not None
            if seeds := machine.daemon.ipam.ring.seeds:
                groups.setdefault(seeds, []).append(machine)
        fewer = [machine for group in sorted(groups.values(), key=len)[:-1] for machine in group]
        for machine in self.machines.values():
            if machine in fewer or machine.half_gone:
                machine.start_over()
            self.start(machine.number)

    def lost_owners(self) -> list[PeerName]:
        """Owners of ranges that nobody is any more: names that were lost with a disk."""
        owners = {
            owner for machine in self.running() if machine.daemon for owner in machine.daemon.ipam.ring.owners
        }
        return sorted(owners - {machine.name for machine in self.machines.values()})

    def beliefs(self) -> list[Line]:
        """What every daemon believes now."""
        return [line for machine in self.machines.values() for line in _beliefs(self.clock.mono, machine)]

    def running(self) -> list[Machine]:
        """Machines with a daemon."""
        return [machine for machine in self.machines.values() if machine.daemon is not None]

    def components(self) -> list[list[Machine]]:
        """Running machines that can reach each other, over others if need be."""
        left = {machine.number: machine for machine in self.running()}
        found: list[list[Machine]] = []
        while left:
            _, first = left.popitem()
            component, frontier = [first], [first]
            while frontier:
                here = frontier.pop()
                near = [one for one in left.values() if self.connects(here.ip, one.ip)]
                for one in near:
                    del left[one.number]
                component += near
                frontier += near
            found.append(sorted(component, key=lambda machine: machine.number))
        return found[::-1]


def _beliefs(now: float, machine: Machine) -> list[Line]:
    daemon = machine.daemon
    if daemon is None:
        return [Line(now, machine.number, "has no daemon" if machine.powered else "is off")]
    mesh, ring = daemon.node.mesh, daemon.ipam.ring
    peers = ", ".join(sorted(f"h{host_of(name)}" for name in mesh.peers() if name != machine.name))
    frames = ", ".join(sorted(f"h{host_of(name)}" for name in mesh.routes.unicast))
    owners = "; ".join(
        f"h{host_of(owner)} {', '.join(map(str, ring.owned_ranges(owner)))}" for owner in sorted(ring.owners)
    )
    held = ", ".join(f"{who} {one.ip}" for who, all_ in sorted(daemon.ipam.held().items()) for one in all_)
    waiting = ", ".join(f"{asked.what} {asked.ident}" for asked in machine.waiting.values())
    texts = (
        f"knows {peers or 'nobody'}; frames pass to {frames or 'nobody'}",
        f"ring: {owners or 'none'}",
        f"holds {held or 'nothing'}; waits for {waiting or 'nothing'}",
    )
    return [Line(now, machine.number, text) for text in texts]
