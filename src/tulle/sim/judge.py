"""What must hold at every moment of every run, looked at after everything that a daemon does."""

from collections import Counter, defaultdict
from ipaddress import IPv4Address, IPv4Interface

from tulle.ipam.config import network_range
from tulle.ipam.events import Done, Failed
from tulle.ipam.ring import Range, Ring, RingInvalid
from tulle.mesh.peername import PeerName
from tulle.sim.daemon import SPINNING
from tulle.sim.machine import Machine
from tulle.sim.settings import Settings, host_of
from tulle.sim.story import Story
from tulle.sim.watcher import Asked
from tulle.sim.weight import allowance, weight

WEIGHED_EVERY = 60.0
"""Seconds between two looks at how much a daemon keeps in memory."""

WEIGHED_AT_ONCE = 50
"""Daemons that are looked at in that time: all but those of large clusters, where they take turns."""


class Violation(Exception):
    """Something that must never be is so."""


class Judge:
    """Keeps the books. See ``watcher.Watcher`` for what it is told.

    ``excuse`` says why two containers may have one address from now on: somebody forced it, or a disk was
    lost or rolled back. What is found then is counted, and is no violation.
    """

    def __init__(self, settings: Settings, story: Story) -> None:
        self._universe = network_range(settings.universe)
        self._story = story
        self._holders: defaultdict[int, dict[tuple[int, str], None]] = defaultdict(dict)
        self._rings: dict[int, Ring] = {}
        self._seeds: tuple[PeerName, ...] = ()
        self.disks_lost = 0
        self._owned: dict[PeerName, list[Range]] = {}
        self._weigh_at: dict[int, float] = {}
        self._hosts = settings.hosts
        self._turns = -(-settings.hosts // WEIGHED_AT_ONCE)
        self._removed: set[PeerName] = set()
        self.excuse = ""
        self.asked = 0
        """How many containers users wanted to start on hosts that had a daemon."""
        self.granted = 0
        self.local = 0
        """Of those granted: at once, and without a byte sent."""
        self.total_granted = self.total_local = 0
        self.delays: list[float] = []
        self.refusals: Counter[str] = Counter()
        self.duplicates = 0
        self.closings: Counter[str] = Counter()
        self.errors: list[str] = []
        self.votes: list[str] = []

    # -- addresses

    def took(self, machine: Machine, ident: str, interface: IPv4Interface) -> None:
        """A container has this address now: nobody else may have it."""
        address = int(interface)
        holders = self._holders[address]
        holders[machine.number, ident] = None
        self._story.tell(machine.number, f"{ident} has {interface.ip}")
        if len(holders) > 1 and address in self._universe:
            who = " and ".join(f"{name} on h{number}" for number, name in holders)
            self._duplicate(f"{interface.ip} is held by {who}")

    def freed(self, machine: Machine, ident: str, interface: IPv4Interface) -> None:
        """It has it no more."""
        self._story.tell(machine.number, f"{ident} gave up {interface.ip}")
        self._holders[int(interface)].pop((machine.number, ident), None)

    def count_anew(self) -> None:
        """Count requests from zero again; the sums of the whole run go on."""
        self.total_granted, self.total_local = self.totals()
        self.asked = self.granted = self.local = 0
        self.refusals.clear()

    def totals(self) -> tuple[int, int]:
        """How many containers were started in the whole run, and how many of them locally."""
        return self.total_granted + self.granted, self.total_local + self.local

    def shared_addresses(self) -> set[IPv4Address]:
        """The addresses that two containers have now."""
        return {IPv4Address(address) for address, holders in self._holders.items() if len(holders) > 1}

    def _duplicate(self, text: str) -> None:
        self.duplicates += 1
        if not self.excuse:
            raise Violation(f"two containers have one address: {text}")

    # -- requests

    def settled(self, machine: Machine, asked: Asked, answer: Done | Failed) -> None:
        """A request was answered."""
        if isinstance(answer, Failed):
            self.refusals[f"{asked.what}: {answer.error}"] += 1
            self._story.tell(machine.number, f"{asked.what} {asked.ident} refused: {answer.error}")
            return
        if asked.what == "rmpeer":
            peer = PeerName(int(asked.ident))
            self._story.tell(machine.number, f"took over from h{host_of(peer)}: {answer.result}")
            self._removed.add(peer)
            self._owned.pop(peer, None)
        if asked.what in ("allocate", "claim"):
            self.granted += 1
            now = machine.now
            self.delays.append(now - asked.at)
            self.local += now == asked.at and machine.sent_bytes() == asked.sent

    # -- the ring

    def pumped(self, machine: Machine) -> None:
        """A daemon has done something."""
        daemon = machine.daemon
        if daemon is None:
            return
        if daemon.turns > SPINNING:
            raise Violation(
                f"h{machine.number} spins: {daemon.turns} turns within a second of its own accord"
            )
        if machine.now >= self._weigh_at.get(machine.number, self._first_weighing(machine.number)):
            self.weigh(machine)
        ring = daemon.ipam.ring
        if ring is not self._rings.get(machine.number):
            self._rings[machine.number] = ring
            self._judge_ring(machine, ring)

    def _first_weighing(self, number: int) -> float:
        return (1 + number % self._turns) * WEIGHED_EVERY

    def weigh(self, machine: Machine) -> None:
        """What a daemon remembers is bounded by what there is to know, however long it runs."""
        assert machine.daemon is not None
        self._weigh_at[machine.number] = machine.now + self._turns * WEIGHED_EVERY
        most = allowance(machine.daemon, self._hosts + self.disks_lost, len(machine.waiting))
        weighs = weight(machine.daemon.node)
        if weighs > most:
            raise Violation(
                f"h{machine.number} keeps {weighs} things in memory, and needs no more than {most}"
            )

    def _judge_ring(self, machine: Machine, ring: Ring) -> None:
        try:
            ring.check()
        except RingInvalid as error:
            raise Violation(f"the ring of h{machine.number} is broken: {error}") from None
        self._judge_seeds(machine, ring)
        if ring.entries and sum(piece.size for arc in ring.arcs() for piece in arc.ranges) != ring.range.size:
            raise Violation(f"the ring of h{machine.number} does not cover its range exactly once")
        owned = ring.owned_ranges(machine.name)
        if machine.name not in self._removed and owned != self._owned.get(machine.name, []):
            self._owned[machine.name] = owned
            self._judge_owners(machine.name, owned)

    def _judge_seeds(self, machine: Machine, ring: Ring) -> None:
        """There is one first division. Only when disks are lost there can be another, by those who forgot."""
        seeds = self._seeds = self._seeds or ring.seeds
        if ring.seeds and ring.seeds != seeds:
            if self.disks_lost:
                self.excuse = self.excuse or "those who lost their disks divided the range again"
                return
            raise Violation(
                f"the range was divided twice: h{machine.number} has seeds {ring.seeds}, others {seeds}"
            )

    def _judge_owners(self, name: PeerName, owned: list[Range]) -> None:
        """No range may be anybody's own in the eyes of two daemons."""
        if self.excuse:
            return
        for other, theirs in self._owned.items():
            shared = other != name and _overlap(owned, theirs)
            if shared:
                one, two = host_of(name), host_of(other)
                raise Violation(f"{shared} belongs to h{one} in its own eyes, and to h{two} in its own")

    def voted(self, machine: Machine) -> None:
        """A message of the election is sent."""
        self.votes.append(f"by h{machine.number}")

    def left(self, machine: Machine) -> None:
        """This host's disk is gone, and with it all that it owned."""
        self.disks_lost += 1
        self._owned.pop(machine.name, None)
        self._rings.pop(machine.number, None)

    # -- what was promised

    def started(self, machine: Machine) -> None:
        """A daemon has read its disk: everything acknowledged must be there, and nothing else."""
        daemon = machine.daemon
        assert daemon is not None
        held = {ident: set(addresses) for ident, addresses in daemon.ipam.held().items()}
        promised = {ident: addresses for ident, addresses in machine.promised.items() if addresses}
        known = {who: held.get(who, set()) for who in promised} if machine.disk.was_full else held
        if known != promised:
            before, after = _plain(promised), _plain(held)
            raise Violation(f"h{machine.number} acknowledged {before} and has {after} after its restart")
        for ident, hostname, address in sorted(machine.named):
            if address not in daemon.names.lookup(hostname):
                raise Violation(f"h{machine.number} acknowledged the name {hostname} of {ident} and lost it")
        strangers = set(daemon.names.containers()) - {name[0] for name in machine.named}
        if strangers and not machine.disk.was_full:
            raise Violation(f"h{machine.number} has names again that were removed: {sorted(strangers)}")

    # -- logs

    def noted(self, machine: Machine, level: str, text: str) -> None:
        """A line in a log."""
        if level != "debug":
            self._story.tell(machine.number, f"log {level}: {text}")
        if level == "error":
            self.errors.append(f"h{machine.number}: {text}")

    def closed_link(self, machine: Machine, reason: str) -> None:
        """A daemon closed a connection."""
        self.closings[reason] += 1
        self._story.tell(machine.number, f"closes a connection: {reason}")


def _overlap(one: list[Range], other: list[Range]) -> Range | None:
    for piece in one:
        for another in other:
            shared = piece.clip(another)
            if shared.size > 0:
                return shared
    return None


def _plain(held: dict[str, set[IPv4Interface]]) -> str:
    return ", ".join(f"{ident}: {sorted(map(str, held[ident]))}" for ident in sorted(held)) or "nothing"
