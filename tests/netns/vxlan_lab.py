"""Hosts with nothing but the kernel data path: bridge, tunnel device, and tables written by hand.

Frames that go by the sleeve are carried by a ``Postman`` of the test's own.
"""

import asyncio
import selectors
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lab import Container, Host, Lab
from tulle.datapath.tables import Hop, ShortId, Tables, Tree, sleeve_hop
from tulle.host.bridge import BridgeConfig, ensure_bridge
from tulle.host.vxlan import KernelPath

BRIDGE = "tulle"
PORT = 6784
MTU = 1376
Links = Sequence[tuple[int, int]]


_open: list[KernelPath] = []


@dataclass
class Node:
    """One host of the lab, with its data path. Its short id is its number."""

    host: Host
    path: KernelPath
    containers: list[Container] = field(default_factory=list)

    @property
    def number(self) -> int:
        return self.host.number

    @property
    def id(self) -> ShortId:
        return ShortId(self.host.number)

    @property
    def ip(self) -> str:
        return str(self.host.address)

    def hop_to(self, other: "Node", sleeves: Links = ()) -> Hop:
        """The hop to a neighbour, by the sleeve if this pair is one of ``sleeves``."""
        if {self.number, other.number} in map(set, sleeves):
            return sleeve_hop(other.id)
        return Hop(other.ip, self.ip)

    def reopen(self, mtu: int = MTU) -> None:
        """What a new daemon does: take over what is there."""
        self.path = open_path(self.host, mtu)

    def container(self, number: int | None = None, *, bypass: bool = True) -> Container:
        """A container with the address 10.1.0.<number>, by default that of the host."""
        number = number or self.number
        made = self.host.container(f"c{number}")
        port = f"tl{number:012x}"
        self.host.ip(
            f"link add {port} type veth peer name tulle0 netns {made.name}",
            f"link set {port} master {BRIDGE} up",
        )
        if bypass:
            self.host.inside(lambda: self.path.bypass.put([socket.if_nametoindex(port)]))
        made.run("sysctl", "-qw", "net.ipv6.conf.tulle0.disable_ipv6=1")  # it speaks only when the test does
        made.ip(
            f"link set tulle0 address 02:00:00:00:00:{number:02x} mtu {MTU}",
            f"address add 10.1.0.{number}/24 dev tulle0",
            "link set tulle0 up",
        )
        self.containers.append(made)
        return made


def open_path(
    host: Host, mtu: int = MTU, keep: Callable[[Tables], Tables] = lambda found: found
) -> KernelPath:
    """Bridge and data path of a host, made or taken over."""

    async def work() -> KernelPath:
        await ensure_bridge(BridgeConfig(BRIDGE, f"02:00:00:00:01:{host.number:02x}", mtu=mtu))
        return await KernelPath.ensure(BRIDGE, PORT, mtu, keep)

    return opened(host.inside(lambda: asyncio.run(work())))


def opened(path: KernelPath) -> KernelPath:
    """Have this path closed when its lab ends: each holds a dozen descriptors."""
    _open.append(path)
    return path


def _close_paths() -> None:
    while _open:
        _open.pop().close()


def make_nodes(lab: Lab, count: int) -> list[Node]:
    lab.at_end(_close_paths)
    return [Node(host, open_path(host)) for host in lab.make_hosts(count)]


def full_mesh(nodes: Sequence[Node]) -> None:
    """Everybody is everybody's neighbour."""
    numbers = [node.number for node in nodes]
    connect(nodes, [(one, other) for one in numbers for other in numbers if one < other])


def connect(nodes: Sequence[Node], links: Links, sleeves: Links = ()) -> None:
    """Write the tables that follow from these links between host numbers; some of them go by the sleeve."""
    by_number = {node.number: node for node in nodes}
    neighbours: dict[int, list[int]] = {node.number: [] for node in nodes}
    for one, other in links:
        neighbours[one].append(other)
        neighbours[other].append(one)
    parents = {node.number: _parents(neighbours, node.number) for node in nodes}
    for node in nodes:
        direct = {by_number[one].id: node.hop_to(by_number[one]) for one in neighbours[node.number]}
        node.path.apply(replace(_tables(node, by_number, parents, sleeves), direct=direct))


def _parents(neighbours: Mapping[int, Sequence[int]], source: int) -> dict[int, int]:
    """Breadth first, lowest number first: each host's parent in the tree of ``source``."""
    found: dict[int, int] = {source: source}
    level = [source]
    while level:
        following = []
        for one in sorted(level):
            for other in sorted(neighbours[one]):
                if other not in found:
                    found[other] = one
                    following.append(other)
        level = following
    return found


def _tables(
    node: Node, by_number: Mapping[int, Node], parents: Mapping[int, Mapping[int, int]], sleeves: Links
) -> Tables:
    me = node.number
    routes = {}
    trees = {}
    for number in by_number:
        if number != me and me in parents[number]:
            routes[ShortId(number)] = node.hop_to(by_number[_first_step(parents[me], me, number)], sleeves)
        tree = parents[number]
        children = [child for child, parent in tree.items() if parent == me and child != number]
        if me in tree:
            trees[ShortId(number)] = Tree(
                None if number == me else node.hop_to(by_number[tree[me]], sleeves).id,
                tuple((ShortId(child), node.hop_to(by_number[child], sleeves)) for child in sorted(children)),
            )
    return Tables(node.id, routes=routes, trees=trees)


def _first_step(parents: Mapping[int, int], me: int, target: int) -> int:
    while parents[target] != me:
        target = parents[target]
    return target


class Postman:
    """Carries data frames between the TAPs of these hosts, as the sleeves of daemons would, until it ends.

    ``carried`` counts them by (from, to), ``largest`` is the length of the biggest; ``control`` has what came
    out of each TAP for the daemon.
    """

    HEADER = struct.Struct(">BBHHH4xH")
    NOTES = 10

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._taps = {node.number: node.path.tap for node in nodes}
        self.carried: Counter[tuple[int, int]] = Counter()
        self.largest = 0
        self.control: dict[int, list[bytes]] = {number: [] for number in self._taps}
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run)
        for number, tap in self._taps.items():
            tap.on_data(lambda frames, number=number: self._carry(number, frames))  # type: ignore[misc]
        self._thread.start()

    def __enter__(self) -> "Postman":
        return self

    def __exit__(self, *what: object) -> None:
        self._wake.close()
        self._thread.join()
        self._woken.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._woken, selectors.EVENT_READ)
            for number, tap in self._taps.items():
                waiting.register(tap, selectors.EVENT_READ, number)
            while True:
                for key, _ in waiting.select():
                    if key.data is None:
                        return
                    while (frame := self._taps[key.data].read()) is not None:
                        self.control[key.data].append(frame)

    def _carry(self, number: int, frames: list[memoryview]) -> None:
        for frame in frames:
            kind, hops_left, dst, src, via, ethertype = self.HEADER.unpack_from(frame, self.NOTES)
            self.carried[number, via] += 1
            self.largest = max(self.largest, len(frame))
            self.HEADER.pack_into(frame, self.NOTES, kind, hops_left, dst, src, number, ethertype)
            assert self._taps[via].write_data(frame)


def transfer(
    sender: Container, receiver: Container, address: str, amount: int, family: int = socket.AF_INET
) -> int:
    """Send so many bytes over TCP; how many arrived."""
    stream = socket.SOCK_STREAM
    with receiver.socket(family, stream) as listener, sender.socket(family, stream) as out:
        listener.bind(("", 0))
        listener.listen()
        out.connect((address, listener.getsockname()[1]))
        incoming, _ = listener.accept()
        got = sent = 0
        block = bytes(1 << 16)
        out.setblocking(False)
        incoming.settimeout(10)
        with incoming:
            while got < amount:
                while sent < amount:
                    try:
                        sent += out.send(block[: amount - sent])
                    except BlockingIOError:
                        break
                got += len(incoming.recv(1 << 20))
        return got
