"""A cluster of allocators in one process: virtual time, a network of messages, and a disk for each host.

Messages are delivered one by one in an order the test (or chance) chooses; hosts can be cut apart, crash
between any two steps, and come back with what was committed.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from itertools import count
from random import Random

from tulle.errors import BadMessage, StorageError
from tulle.instant import Instant
from tulle.ipam.allocator import Allocator
from tulle.ipam.config import Consensus, IpamConfig, Observer, Seed
from tulle.ipam.events import Done, Failed, Log, Save
from tulle.mesh.channel import Broadcast, Gossip, Keys, Unicast
from tulle.mesh.peername import PeerName

WALL = 1_700_000_000.0


@dataclass
class Message:
    """One delivery to come. ``keys``: state of the sender when it is sent; ``payload``: a unicast."""

    src: PeerName
    dst: PeerName
    kind: str
    payload: bytes


@dataclass
class Host:
    """A host: its allocator while it runs, its disk always."""

    config: IpamConfig
    disk: dict[tuple[str, str], bytes] = field(default_factory=dict)
    allocator: Allocator | None = None
    done: dict[int, object] = field(default_factory=dict)
    failed: dict[int, Exception] = field(default_factory=dict)
    logs: list[Log] = field(default_factory=list)
    disk_full: bool = False

    @property
    def up(self) -> bool:
        return self.allocator is not None

    @property
    def ipam(self) -> Allocator:
        assert self.allocator is not None
        return self.allocator


class Cluster:
    """Hosts 1..n with one range; see the module text."""

    def __init__(
        self,
        n: int,
        universe: str = "10.32.0.0/24",
        bootstrap: Callable[[int], Consensus | Seed | Observer] | None = None,
        seed: int = 1,
        subnet: str | None = None,
    ) -> None:
        self.random = Random(seed)
        self.now = Instant(100.0, WALL)
        self.net = IPv4Network(universe)
        self.subnet = IPv4Network(subnet or universe)
        self.queue: list[Message] = []
        self.sent: list[Message] = []
        self.dropped_links: list[str] = []
        self.groups: dict[PeerName, int] = {}
        self.tickets = count(1)
        self.uids = count(1000)
        choose = bootstrap or (lambda _number: Consensus(n))
        self.hosts = {PeerName(number): self._host(number, choose(number)) for number in range(1, n + 1)}
        for name in self.hosts:
            self.groups[name] = 0
            self.start(name)

    def _host(self, number: int, bootstrap: Consensus | Seed | Observer) -> Host:
        return Host(IpamConfig(PeerName(number), next(self.uids), self.net, self.subnet, bootstrap))

    def __getitem__(self, number: int) -> Host:
        return self.hosts[PeerName(number)]

    # -- life of hosts

    def start(self, name: int, lose_disk: bool = False) -> None:
        host = self[name]
        if lose_disk:
            host.disk.clear()
        config = host.config
        host.config = IpamConfig(
            config.peer, next(self.uids), config.universe, config.default_subnet, config.bootstrap
        )
        records = [(kind, key, value) for (kind, key), value in host.disk.items()]
        host.allocator = Allocator(host.config, Random(self.random.random()), records)
        self.reachability()

    def stop(self, name: int) -> None:
        self[name].allocator = None
        self.queue = [message for message in self.queue if PeerName(name) not in (message.src, message.dst)]
        self.reachability()

    def partition(self, *groups: Iterable[int]) -> None:
        for index, group in enumerate(groups):
            for name in group:
                self.groups[PeerName(name)] = index
        self.queue = [message for message in self.queue if self.connected(message.src, message.dst)]
        self.reachability()

    def heal(self) -> None:
        self.partition(list(self.hosts))

    def connected(self, a: PeerName, b: PeerName) -> bool:
        return self.hosts[a].up and self.hosts[b].up and self.groups[a] == self.groups[b]

    def reachability(self) -> None:
        nicknames = {name: f"h{name}" for name in self.hosts}
        for name, host in self.hosts.items():
            if host.up:
                before = host.ipam._asking.reachable
                reachable = frozenset(other for other in self.hosts if self.connected(name, other)) - {name}
                seen = {peer: nicknames[peer] for peer in reachable | {name}}
                host.ipam.peers_changed(reachable, seen, self.now, natives=reachable)
                self.settle(name)
                for other in reachable - before:
                    self._send_state(name, other)

    def _send_state(self, src: PeerName, dst: PeerName) -> None:
        for payload in self.hosts[src].ipam.encode_all("weave", self.now):
            self._post(Message(src, dst, "gossip", payload))

    # -- one host's turn

    def settle(self, name: int) -> None:
        """What the node does after every call: commit, answer, send."""
        host = self[name]
        for _ in range(3):
            events = host.ipam.collect()
            saves = [event for event in events if isinstance(event, Save)]
            if saves and host.disk_full:
                host.ipam.storage_failed(StorageError("disk full"))
                host.logs += [event for event in events if isinstance(event, Log)]
                host.failed |= {event.ticket: event.error for event in events if isinstance(event, Failed)}
                continue
            for save in saves:
                if save.value is None:
                    host.disk.pop((save.kind, save.key), None)
                else:
                    host.disk[save.kind, save.key] = save.value
            host.logs += [event for event in events if isinstance(event, Log)]
            host.done |= {event.ticket: event.result for event in events if isinstance(event, Done)}
            host.failed |= {event.ticket: event.error for event in events if isinstance(event, Failed)}
        self._transmit(PeerName(name), host)

    def _transmit(self, name: PeerName, host: Host) -> None:
        outbox, host.ipam.outbox[:] = list(host.ipam.outbox), []
        others = [other for other in self.hosts if other != name and self.connected(name, other)]
        for item in outbox:
            match item:
                case Unicast(dst, payload):
                    if dst in others:
                        self._post(Message(name, dst, "unicast", payload))
                case Broadcast(keys):
                    self._spread(name, others, "broadcast", keys)
                case Gossip(keys):
                    some = self.random.sample(others, min(2, len(others)))
                    self._spread(name, some, "gossip", keys)

    def _spread(self, name: PeerName, others: Iterable[PeerName], kind: str, keys: Keys) -> None:
        for payload in self.hosts[name].ipam.encode_some("weave", keys, self.now):
            for other in others:
                self._post(Message(name, other, kind, payload))

    def _post(self, message: Message) -> None:
        self.queue.append(message)
        self.sent.append(message)

    # -- time and messages

    def deliver(self, index: int = 0) -> None:
        message = self.queue.pop(index)
        host = self.hosts[message.dst]
        if not self.connected(message.src, message.dst):
            return
        try:
            if message.kind == "unicast":
                host.ipam.receive("weave", message.payload, message.src, self.now)
            else:
                broadcast = message.kind == "broadcast"
                merged = host.ipam.merge("weave", message.payload, message.src, broadcast, self.now)
                if not broadcast and merged.fresh:
                    host.ipam.outbox.append(Gossip(merged.fresh))
        except BadMessage as problem:
            self.dropped_links.append(str(problem))
        self.settle(message.dst)

    def lose(self, index: int = 0) -> None:
        """A message that never arrives."""
        self.queue.pop(index)

    def deliver_all(self, limit: int = 20_000) -> None:
        for _ in range(limit):
            if not self.queue:
                return
            self.deliver()
        raise AssertionError("messages never end")

    def advance(self, seconds: float) -> None:
        self.now = self.now.later(seconds)
        for name, host in self.hosts.items():
            if host.up and host.ipam.next_deadline() <= self.now.mono:
                host.ipam.tick(self.now)
                self.settle(name)

    def gossip_round(self) -> None:
        """The periodic exchange of whole states, here between all pairs."""
        for name in self.hosts:
            for other in self.hosts:
                if name != other and self.connected(name, other):
                    self._send_state(name, other)
        self.deliver_all()

    def run(self, seconds: float, step: float = 1.0) -> None:
        self.deliver_all()
        for _ in range(round(seconds / step)):
            self.advance(step)
            self.deliver_all()

    # -- what users do

    def allocate(self, name: int, ident: str, subnet: str | None = None) -> int:
        ticket = next(self.tickets)
        network = IPv4Network(subnet) if subnet else self.subnet
        self[name].ipam.allocate(ticket, ident, network, self.now)
        self.settle(name)
        return ticket

    def claim(self, name: int, ident: str, interface: str) -> int:
        ticket = next(self.tickets)
        address, _, length = interface.partition("/")
        self[name].ipam.claim(ticket, ident, IPv4Address(address), int(length), self.now)
        self.settle(name)
        return ticket

    def takeover(self, name: int, peer: int, force: bool = False) -> int:
        ticket = next(self.tickets)
        self[name].ipam.takeover(ticket, PeerName(peer), self.now, force=force)
        self.settle(name)
        return ticket

    def recover(self) -> None:
        """Start what is stopped, join what is cut, and let everything be said."""
        for name, host in self.hosts.items():
            if not host.up:
                self.start(name)
        self.heal()
        for _ in range(3):
            self.gossip_round()
            self.run(7)
        self.gossip_round()

    def result(self, name: int, ticket: int) -> object:
        """What became of a request: its result, its error, or None while it waits."""
        host = self[name]
        return host.done.get(ticket, host.failed.get(ticket))

    # -- what must hold

    def duplicates(self) -> dict[str, list[str]]:
        """Addresses in use more than once, with their holders."""
        holders: dict[str, list[str]] = {}
        for name, host in self.hosts.items():
            if host.up:
                for ident, held in host.ipam.held().items():
                    for interface in held:
                        holders.setdefault(str(interface.ip), []).append(f"h{name}:{ident}")
        return {address: who for address, who in holders.items() if len(who) > 1}

    def running(self) -> Iterator[tuple[PeerName, Allocator]]:
        for name, host in self.hosts.items():
            if host.allocator is not None:
                yield name, host.allocator

    def double_owned(self) -> list[str]:
        """Addresses that two running hosts both believe they own."""
        owners = Counter(
            address
            for name, ipam in self.running()
            for piece in ipam.ring.owned_ranges(name)
            for address in range(piece.start, piece.end)
        )
        return [str(IPv4Address(address)) for address, times in owners.items() if times > 1]

    def agreed(self) -> bool:
        """Whether all running hosts have the same view of who owns what."""
        views = {
            tuple((entry.token, entry.peer, entry.version) for entry in ipam.ring.entries)
            for _, ipam in self.running()
        }
        return len(views) == 1
