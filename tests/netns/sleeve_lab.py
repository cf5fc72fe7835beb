"""Hosts whose sleeves carry all frames between them, without a daemon; and somebody who sees the wire."""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from lab import Lab
from netns.vxlan_lab import Node, connect, make_nodes
from tulle.datapath.sleeve.orders import (
    AimPath,
    Arrival,
    Endpoint,
    Keys,
    KnowPeers,
    NativePath,
    OpenPath,
    PathId,
    Refused,
)
from tulle.host.sleeve.sleeve import Sleeve
from tulle.mesh.peername import PeerName

Result = TypeVar("Result")
PORT = 6783
SIZE = 1472


def index(one: int, other: int) -> int:
    """The index by which ``other`` knows datagrams from ``one``."""
    return 0x5EC2E7 << 32 | one << 16 | other


def secret(one: int, other: int) -> bytes:
    return bytes([one, other]) * 16


def path_id(other: int) -> PathId:
    return PathId(100 + other)


class SleeveLab:
    """A full mesh of sleeves, and the thread in which their event loop runs. Use as a context manager."""

    def __init__(self, lab: Lab, count: int, *, sealed: bool = True, group: int = 0) -> None:
        self.nodes = make_nodes(lab, count)
        numbers = [node.number for node in self.nodes]
        pairs = [(one, other) for one in numbers for other in numbers if one < other]
        connect(self.nodes, pairs, pairs)
        self.sleeves = {node.number: node.host.inside(lambda: Sleeve(PORT)) for node in self.nodes}
        self.reports: dict[int, list[Arrival | Refused]] = {number: [] for number in numbers}
        self._sealed = sealed
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.inside(lambda: self._start(group))

    def __enter__(self) -> "SleeveLab":
        return self

    def __exit__(self, *what: object) -> None:
        self.inside(self._stop)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def inside(self, work: Callable[[], Result]) -> Result:
        """The result of ``work()``, done where the sleeves live."""

        async def visit() -> Result:
            return work()

        return asyncio.run_coroutine_threadsafe(visit(), self._loop).result(20)

    def count(self, here: int, there: int) -> Any:
        """What ``here`` counts of its path to ``there``."""
        return self.inside(lambda: self.sleeves[here].count(path_id(there)))

    def _start(self, group: int) -> None:
        names = KnowPeers({node.id: PeerName(node.number) for node in self.nodes})
        for node in self.nodes:
            me, sleeve = node.number, self.sleeves[node.number]
            node.path.tap.on_frame(lambda frame: None)
            sleeve.start(node.path.tap, self.reports[me].append)
            sleeve.do(names)
            for other in self.nodes:
                if other is not node:
                    self._open(sleeve, me, other, group)

    def _open(self, sleeve: Sleeve, me: int, other: Node, group: int) -> None:
        there = other.number
        keys = Keys(send=secret(me, there), receive=secret(there, me)) if self._sealed else None
        native = NativePath(PeerName(there), index(me, there), index(there, me), keys)
        sleeve.do(OpenPath(path_id(there), native))
        sleeve.do(AimPath(path_id(there), other.id, Endpoint(other.ip, PORT), SIZE, group))

    def _stop(self) -> None:
        for node in self.nodes:
            self.sleeves[node.number].close()
            node.path.tap.close()


class Eavesdropper:
    """Sees every datagram that reaches a host, and can send it others. Use as a context manager."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._tap = node.host.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        self._tap.bind(("eth0", 0x0800))
        self._tap.settimeout(5)
        self._out = node.host.socket()

    def __enter__(self) -> "Eavesdropper":
        return self

    def __exit__(self, *what: object) -> None:
        self._tap.close()
        self._out.close()

    def hear(self, count: int = 1) -> list[bytes]:
        """The next datagrams for the host's sleeve."""
        heard: list[bytes] = []
        while len(heard) < count:
            packet = self._tap.recv(1 << 17)
            if packet[23] == socket.IPPROTO_UDP and packet[36:38] == PORT.to_bytes(2, "big"):
                heard.append(packet[42:])
        return heard

    def inject(self, datagrams: Sequence[bytes]) -> None:
        """Send the host these, from another address than its peers have."""
        for datagram in datagrams:
            self._out.sendto(datagram, (self._node.ip, PORT))
