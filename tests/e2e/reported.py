"""What real daemons report, in the shape in which the simulator's judge and agreement look at daemons."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from types import SimpleNamespace
from typing import Any, cast

from lab import Host
from tulle.datapath.tables import ShortId, Tables, Tree, sleeve_hop
from tulle.ipam.config import network_range
from tulle.ipam.ring import Entry as RingEntry
from tulle.ipam.ring import Ring
from tulle.mesh.peername import PeerName, parse_name
from tulle.mesh.routes import Routes
from tulle.mesh.summary import ConnectionSummary, PeerSummary
from tulle.mesh.topology import Topology
from tulle.names.entry import Entry, Key
from tulle.sim.agreement import component_fault, reach_fault
from tulle.sim.clock import Clock
from tulle.sim.judge import Judge
from tulle.sim.machine import Machine
from tulle.sim.settings import Settings
from tulle.sim.story import Story


@dataclass
class Promises:
    """What a host's daemon has acknowledged and not taken back."""

    held: dict[str, set[IPv4Interface]] = field(default_factory=dict)
    named: set[tuple[str, str, IPv4Address]] = field(default_factory=set)


class Observed:
    """The moment that one daemon's report shows; what it holds comes from its list of addresses."""

    def __init__(self, host: Host, promises: Promises) -> None:
        report = host.report()
        self.number, self.ip = host.number, str(host.address)
        self.name = parse_name(report["Router"]["Name"])
        self.promised, self.named = promises.held, promises.named
        self.waiting = _waiting(report["IPAM"])
        self.disk = SimpleNamespace(was_full=False)
        self.mesh = _Mesh(report["Router"])
        self.ring = _ring(report["IPAM"])
        self.held = _held(host)
        self.entries = [_entry(entry) for entry in report["DNS"]["Entries"]]
        self.now = 0.0  # so early the judge does not weigh what daemons remember, which no report tells
        self.kernel = SimpleNamespace(tables=_tables(report["Router"], self.mesh))
        self.daemon = SimpleNamespace(
            turns=0,
            node=SimpleNamespace(mesh=self.mesh),
            sleeve=SimpleNamespace(lands=self._lands, sender=lambda known_as: known_as),
            ipam=SimpleNamespace(ring=self.ring, held=lambda: self.held),
            names=SimpleNamespace(
                entries=lambda: self.entries, lookup=self._lookup, containers=self._containers
            ),
        )

    def _lands(self, to: ShortId) -> tuple[str, ShortId] | None:
        """Where a frame for this neighbour gets to, and what we are called there."""
        peers = self.mesh.peers()
        me = peers[self.name]
        for link in me.connections:
            if link.name in peers and peers[link.name].short_id == to and me.short_id is not None:
                return link.address.rpartition(":")[0], ShortId(me.short_id)
        return None

    def _lookup(self, hostname: str) -> tuple[IPv4Address, ...]:
        live = (entry.key for entry in self.entries if entry.live)
        return tuple({key.ip for key in live if key.hostname.partition(".")[0] == hostname})

    def _containers(self) -> list[str]:
        ours = (entry.key for entry in self.entries if entry.live and entry.key.origin == self.name)
        return sorted({key.container for key in ours})


def settled(hosts: Sequence[Host], promises: Mapping[Host, Promises]) -> list[Observed]:
    """Reports that belong together: of a moment in which nothing was changing hands."""
    before = [Observed(host, promises[host]) for host in hosts]
    while True:
        now = [Observed(host, promises[host]) for host in hosts]
        if [one.ring for one in now] == [one.ring for one in before]:
            return now
        before = now


def judge(observed: Iterable[Observed], universe: str) -> Judge:
    """Let the simulator's judge look at it all. Raises Violation."""
    made = Judge(Settings(universe=IPv4Network(universe)), Story(Clock(), False))
    for machine in cast("Iterable[Machine]", observed):
        made.started(machine)
        made.pumped(machine)
        for ident, addresses in machine.daemon.ipam.held().items():  # type: ignore[union-attr]
            for interface in addresses:
                made.took(machine, ident, interface)
    return made


def disagreement(
    components: Iterable[Iterable[Host]], promises: Mapping[Host, Promises], everything: bool = True
) -> str:
    """What still keeps hosts that can reach each other from having one state, in the simulator's words.

    Without ``everything``: from knowing whom they reach.
    """
    for component in components:
        observed = cast("list[Machine]", [Observed(host, promises[host]) for host in component])
        fault = component_fault(observed, True) if everything else reach_fault(observed)
        if fault:
            return fault
    return ""


class _Mesh:
    def __init__(self, report: Any) -> None:
        me = parse_name(report["Name"])
        self._peers = {peer.name: peer for peer in map(_peer, report["Peers"])}
        topology = Topology(self._peers[me])
        topology.merge(peer for name, peer in self._peers.items() if name != me)
        self.computed = Routes(topology.graph, me)
        ways = ((parse_name(route["Dest"]), route["Via"]) for route in report["UnicastRoutes"])
        self.routes = SimpleNamespace(unicast={name: parse_name(via) for name, via in ways if name != me})

    def peers(self) -> dict[PeerName, PeerSummary]:
        return self._peers


def _peer(peer: Any) -> PeerSummary:
    links = tuple(
        ConnectionSummary(parse_name(one["Name"]), one["Address"], one["Outbound"], one["Established"])
        for one in peer["Connections"]
    )
    return PeerSummary(
        parse_name(peer["Name"]), peer["NickName"], peer["UID"], peer["Version"], peer["ShortID"], links
    )


def _tables(report: Any, mesh: _Mesh) -> Tables:
    """Trees as they are reported; hops are named by short ids."""
    short = {name: ShortId(peer.short_id) for name, peer in mesh.peers().items() if peer.short_id is not None}
    trees = {}
    for route in report["BroadcastRoutes"]:
        source = parse_name(route["Source"])
        if source not in short:
            continue
        parent = mesh.computed.place(source).parent
        children = (short[parse_name(via)] for via in route["Via"])
        trees[short[source]] = Tree(
            None if parent is None else short[parent], tuple((one, sleeve_hop(one)) for one in children)
        )
    return Tables(self_id=short[parse_name(report["Name"])], trees=trees)


def _ring(report: Any) -> Ring:
    whole = network_range(IPv4Network(report["Range"]))
    entries = sorted(_ring_entries(report["Entries"]), key=lambda entry: entry.token)
    return Ring(whole.start, whole.end, tuple(entries))


def _ring_entries(entries: Any) -> Iterator[RingEntry]:
    for entry in entries:
        token, peer = int(IPv4Address(entry["Token"])), parse_name(entry["Peer"])
        yield RingEntry(token, peer, entry["Version"], entry["Free"] or 0)


def _held(host: Host) -> dict[str, tuple[IPv4Interface, ...]]:
    status, text = host.http("GET", "/ip")
    assert status == 200, text
    owned = json.loads(text)["owned"]
    return {one["containerid"]: tuple(map(IPv4Interface, one["addrs"])) for one in owned}


def _waiting(report: Any) -> dict[str, Any]:
    idents = [*report["PendingAllocates"], *(claim["Ident"] for claim in report["PendingClaims"])]
    return {ident: SimpleNamespace(what="a request of", ident=ident, at=0.0) for ident in idents}


def _entry(entry: Any) -> Entry:
    key = Key(
        origin=parse_name(entry["Origin"]),
        container=entry["ContainerID"],
        hostname=entry["Hostname"],
        address=int(IPv4Address(entry["Address"])),
    )
    return Entry(key, entry["Version"], entry["Tombstone"])
