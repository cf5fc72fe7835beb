"""How a simulated cluster is set up: what all its hosts were launched with."""

from dataclasses import dataclass
from ipaddress import IPv4Network

from tulle.ipam.config import Consensus, Observer, Seed
from tulle.mesh.peername import PeerName
from tulle.sim.nat import Kind
from tulle.sim.paths import Quality

PORT = 6783
DOMAIN = "tulle.internal."
UNIVERSE = IPv4Network("10.32.0.0/20")
WIRES = Quality(latency=0.002, spread=0.004)


@dataclass(frozen=True, slots=True)
class Site:
    """These hosts are behind one router; see ``nat.Nat``."""

    hosts: tuple[int, ...]
    kind: Kind
    lifetime: float = 30.0
    hairpin: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """``hosts`` are numbered from 1. Times in seconds.

    ``targets``: how many of the first hosts everybody is told to connect to (None: all of them). ``links``:
    instead each is told of so many hosts chosen by chance, such that all are connected.
    ``seeds``: share the range among these from the start instead of electing. ``observers`` take no part in
    the election. ``start_spread``: the hosts are started within so many seconds. ``frames``: every frame of
    the daemons is simulated, instead of only what they would find out; slow with many hosts. ``audit``:
    messages of the election are counted. ``sleeve``: hosts have the second carrier too, with every datagram
    of it. ``sites``: hosts that are not in the open.
    """

    hosts: int = 3
    universe: IPv4Network = UNIVERSE
    quality: Quality = WIRES
    targets: int | None = None
    links: int = 0
    quorum_of: int | None = None
    seeds: tuple[int, ...] = ()
    observers: tuple[int, ...] = ()
    password: bytes | None = None
    conn_limit: int = 10_000
    discovery: bool = True
    start_spread: float = 1.0
    frames: bool = False
    audit: bool = False
    sleeve: bool = False
    sites: tuple[Site, ...] = ()

    def bootstrap(self, number: int) -> Consensus | Seed | Observer:
        """How host ``number`` comes to a share of the address range."""
        if number in self.observers:
            return Observer()
        if self.seeds:
            return Seed(tuple(map(name_of, self.seeds)))
        return Consensus(self.quorum_of)


def name_of(number: int, life: int = 0) -> PeerName:
    """The name of host ``number``; every loss of its disk gives it another one."""
    return PeerName((life << 20) + number)


def host_of(name: PeerName) -> int:
    """The number of the host with this name, in whichever life."""
    return int(name) & 0xFFFFF


def ip_of(number: int) -> str:
    """The address of host ``number``."""
    return f"10.0.{number // 250}.{number % 250 + 1}"


def outside_of(site: int) -> str:
    """The address of the router of this site, counted from 1."""
    return f"198.51.{site // 250}.{site % 250 + 1}"
