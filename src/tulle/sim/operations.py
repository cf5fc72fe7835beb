"""What can happen to a cluster: values, so that a schedule can be printed, repeated and made shorter."""

from dataclasses import dataclass
from ipaddress import IPv4Interface
from typing import ClassVar

from tulle.sim.paths import Quality
from tulle.sim.settings import ip_of
from tulle.sim.world import World


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that happens at one moment. ``is_check``: it only looks, and no schedule loses it.

    Hosts are given by their numbers.
    """

    is_check: ClassVar[bool] = False

    def apply(self, world: World) -> None:
        """Let it happen."""
        raise NotImplementedError


# -- daemons and machines


@dataclass(frozen=True, slots=True)
class Start(Operation):
    """A daemon is started. ``disk``: "kept", "lost" (and with it the name), "wiped" (same name) or "old"."""

    host: int
    disk: str = "kept"

    def apply(self, world: World) -> None:
        """See ``Operation``."""
        world.start(self.host, self.disk)


@dataclass(frozen=True, slots=True)
class Crash(Operation):
    """A daemon is killed; with ``power`` its machine goes off."""

    host: int
    power: bool = False

    def apply(self, world: World) -> None:
        """See ``Operation``."""
        world.crash(self.host, self.power)


@dataclass(frozen=True, slots=True)
class Stall(Operation):
    """A daemon does not run for a while; its kernel goes on."""

    host: int
    seconds: float

    def apply(self, world: World) -> None:
        """See ``Operation``."""
        daemon = world.machines[self.host].daemon
        if daemon is not None:
            daemon.sleep(self.seconds)


@dataclass(frozen=True, slots=True)
class Snapshot(Operation):
    """Somebody makes a backup of a host's disk, which ``Start(host, "old")`` brings back."""

    host: int

    def apply(self, world: World) -> None:
        """See ``Operation``."""
        world.machines[self.host].disk.snapshot()


@dataclass(frozen=True, slots=True)
class DiskFull(Operation):
    """The disk refuses to be written to, or no longer does."""

    host: int
    full: bool = True

    def apply(self, world: World) -> None:
        """See ``Operation``."""
        world.machines[self.host].disk.fill(self.full)


@dataclass(frozen=True, slots=True)
class Clock(Operation):
    """A host's wall clock is wrong by so many seconds from now on."""

    host: int
    offset: float

    def apply(self, world: World) -> None:
        """See ``Operation``."""
        world.machines[self.host].clock_offset = self.offset


# -- the network


@dataclass(frozen=True, slots=True)
class Partition(Operation):
    """Only hosts of one group reach each other; those in no group are one more."""

    groups: tuple[tuple[int, ...], ...]

    def apply(self, world: World) -> None:
        """See ``Operation``."""
        world.network.paths.partition([map(ip_of, group) for group in self.groups])
        world.paths_changed()


@dataclass(frozen=True, slots=True)
class Block(Operation):
    """Nothing gets from one host to another; the way back is open."""

    source: int
    target: int

    def apply(self, world: World) -> None:
        """See ``Operation``."""
        world.network.paths.block(ip_of(self.source), ip_of(self.target))
        world.paths_changed()


@dataclass(frozen=True, slots=True)
class Unblock(Operation):
    """The opposite."""

    source: int
    target: int

    def apply(self, world: World) -> None:
        """See ``Operation``."""
        world.network.paths.unblock(ip_of(self.source), ip_of(self.target))
        world.paths_changed()


@dataclass(frozen=True, slots=True)
class Heal(Operation):
    """Everybody reaches everybody."""

    def apply(self, world: World) -> None:
        """See ``Operation``."""
        world.network.paths.heal()
        world.paths_changed()


@dataclass(frozen=True, slots=True)
class BreakLinks(Operation):
    """A box in the middle resets every connection between two hosts."""

    one: int
    other: int

    def apply(self, world: World) -> None:
        """See ``Operation``."""
        world.network.reset_between([(ip_of(self.one), ip_of(self.other))])


@dataclass(frozen=True, slots=True)
class Filter(Operation):
    """A firewall between two hosts lets no tunnels of the kernel through any more; with ``datagrams`` no UDP
    at all. Connections are not touched.
    """

    one: int
    other: int
    datagrams: bool = False

    def apply(self, world: World) -> None:
        """See ``Operation``."""
        world.network.paths.filter(ip_of(self.one), ip_of(self.other), self.datagrams)
        world.paths_changed()


@dataclass(frozen=True, slots=True)
class RestartRouter(Operation):
    """The router of a site (counted from 1) is restarted, and forgets all connections through it."""

    site: int

    def apply(self, world: World) -> None:
        """See ``Operation``."""
        world.restart_router(self.site)


@dataclass(frozen=True, slots=True)
class Weather(Operation):
    """Every path is like this from now on."""

    quality: Quality

    def apply(self, world: World) -> None:
        """See ``Operation``."""
        world.network.paths.improve(self.quality)


# -- containers


@dataclass(frozen=True, slots=True)
class Launch(Operation):
    """A container is started; ``address`` None takes any."""

    host: int
    ident: str
    hostname: str = ""
    address: IPv4Interface | None = None

    def apply(self, world: World) -> None:
        """See ``Operation``."""
        machine = world.machines[self.host]
        if machine.daemon is not None and self.ident not in machine.containers:
            world.judge.asked += 1
            machine.launch(self.ident, self.hostname, self.address)


@dataclass(frozen=True, slots=True)
class LaunchChosen(Operation):
    """A container is started with an address of its user's choice: the last free one of the host's share."""

    host: int
    ident: str
    hostname: str = ""

    def apply(self, world: World) -> None:
        """See ``Operation``."""
        machine = world.machines[self.host]
        address = machine.last_free()
        if address is not None:
            Launch(self.host, self.ident, self.hostname, address).apply(world)


@dataclass(frozen=True, slots=True)
class End(Operation):
    """A container ends, or nobody waits for its start any more."""

    host: int
    ident: str

    def apply(self, world: World) -> None:
        """See ``Operation``."""
        machine = world.machines[self.host]
        machine.give_up(self.ident)
        machine.end(self.ident)


# -- operators


@dataclass(frozen=True, slots=True)
class Rmpeer(Operation):
    """``tulle rmpeer`` of another host, as it was called when the run began."""

    host: int
    peer: int
    force: bool = False

    def apply(self, world: World) -> None:
        """See ``Operation``."""
        world.rmpeer(self.host, self.peer, self.force)


@dataclass(frozen=True, slots=True)
class Reset(Operation):
    """``tulle reset``."""

    host: int
    force: bool = False

    def apply(self, world: World) -> None:
        """See ``Operation``."""
        world.reset(self.host, self.force)


@dataclass(frozen=True, slots=True)
class Connect(Operation):
    """``tulle connect``."""

    host: int
    targets: tuple[int, ...]
    replace: bool = False

    def apply(self, world: World) -> None:
        """See ``Operation``."""
        world.machines[self.host].connect(map(ip_of, self.targets), self.replace)


@dataclass(frozen=True, slots=True)
class Forget(Operation):
    """``tulle forget``."""

    host: int
    targets: tuple[int, ...]

    def apply(self, world: World) -> None:
        """See ``Operation``."""
        world.machines[self.host].forget(map(ip_of, self.targets))
