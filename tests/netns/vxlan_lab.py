"""Hosts with nothing but the kernel data path: bridge, tunnel device, and tables written by hand."""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lab import Container, Host, Lab
from tulle.datapath.tables import Hop, ShortId, Tables, Tree
from tulle.host.bridge import BridgeConfig, ensure_bridge
from tulle.host.vxlan import KernelPath

BRIDGE = "tulle"
PORT = 6784
MTU = 1376
Links = Sequence[tuple[int, int]]


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

    def hop_to(self, other: "Node") -> Hop:
        return Hop(other.ip, self.ip)

    def reopen(self, mtu: int = MTU) -> None:
        """What a new daemon does: take over what is there."""
        self.path = open_path(self.host, mtu)

    def container(self, number: int | None = None) -> Container:
        """A container with the address 10.1.0.<number>, by default that of the host."""
        number = number or self.number
        made = self.host.container(f"c{number}")
        self.host.ip(
            f"link add v{number} type veth peer name tulle0 netns {made.name}",
            f"link set v{number} master {BRIDGE} up",
        )
        made.run("sysctl", "-qw", "net.ipv6.conf.tulle0.disable_ipv6=1")  # it speaks only when the test does
        made.ip(
            f"link set tulle0 address 02:00:00:00:00:{number:02x} mtu {MTU}",
            f"address add 10.1.0.{number}/24 dev tulle0",
            "link set tulle0 up",
        )
        self.containers.append(made)
        return made


def open_path(host: Host, mtu: int = MTU) -> KernelPath:
    """Bridge and data path of a host, made or taken over."""

    async def work() -> KernelPath:
        await ensure_bridge(BridgeConfig(BRIDGE, f"02:00:00:00:01:{host.number:02x}", mtu=mtu))
        return await KernelPath.ensure(BRIDGE, PORT, mtu)

    return host.inside(lambda: asyncio.run(work()))


def make_nodes(lab: Lab, count: int) -> list[Node]:
    return [Node(host, open_path(host)) for host in lab.make_hosts(count)]


def full_mesh(nodes: Sequence[Node]) -> None:
    """Everybody is everybody's neighbour."""
    numbers = [node.number for node in nodes]
    connect(nodes, [(one, other) for one in numbers for other in numbers if one < other])


def connect(nodes: Sequence[Node], links: Links) -> None:
    """Write the tables that follow from these links between host numbers."""
    by_number = {node.number: node for node in nodes}
    neighbours: dict[int, list[int]] = {node.number: [] for node in nodes}
    for one, other in links:
        neighbours[one].append(other)
        neighbours[other].append(one)
    parents = {node.number: _parents(neighbours, node.number) for node in nodes}
    for node in nodes:
        direct = {by_number[one].id: node.hop_to(by_number[one]) for one in neighbours[node.number]}
        node.path.apply(replace(_tables(node, by_number, parents), direct=direct))


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


def _tables(node: Node, by_number: Mapping[int, Node], parents: Mapping[int, Mapping[int, int]]) -> Tables:
    me = node.number
    routes = {}
    trees = {}
    for number in by_number:
        if number != me and me in parents[number]:
            routes[ShortId(number)] = node.hop_to(by_number[_first_step(parents[me], me, number)])
        tree = parents[number]
        children = [child for child, parent in tree.items() if parent == me and child != number]
        if me in tree:
            trees[ShortId(number)] = Tree(
                None if number == me else by_number[tree[me]].ip,
                tuple((ShortId(child), node.hop_to(by_number[child])) for child in sorted(children)),
            )
    return Tables(node.id, routes=routes, trees=trees)


def _first_step(parents: Mapping[int, int], me: int, target: int) -> int:
    while parents[target] != me:
        target = parents[target]
    return target


def transfer(sender: Container, receiver: Container, address: str, amount: int) -> int:
    """Send so many bytes over TCP; how many arrived."""
    with receiver.socket(kind=socket.SOCK_STREAM) as listener, sender.socket(kind=socket.SOCK_STREAM) as out:
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
