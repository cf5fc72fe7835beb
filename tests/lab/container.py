"""A container, as far as the network can tell: a network namespace with a resolver configuration."""

import math
import re
import signal
import socket
import struct
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from lab.namespace import NETNS_CONFIGURATION, Namespace, run

INTERFACE = "tulle0"


class Container(Namespace):
    """Programs run inside by ``ip netns exec``, which also gives them the container's resolv.conf."""

    @property
    def reference(self) -> str:
        """What the command line calls it."""
        return f"netns:{self.name}"

    def _enter(self) -> list[str]:
        return ["ip", "netns", "exec", self.name]

    def addresses(self) -> list[IPv4Interface]:
        """The IPv4 addresses on its interfaces, loopback left out."""
        shown = run(["ip", "-n", self.name, "-o", "-4", "address", "show", "scope", "global"]).stdout
        return [IPv4Interface(found) for found in re.findall(r"inet (\S+)", shown)]

    def pings(
        self, address: object, count: int = 1, wait: float = 4, size: int = 56, whole: bool = False
    ) -> bool:
        """Whether the address answers; ``whole``: the packet must not be fragmented.

        One answer is waited for as long as ``wait`` seconds, and a question that was lost is asked again; of
        several pings one must be answered.
        """
        fragments = ["-M", "do"] if whole else []
        patience = ["-w", str(math.ceil(wait))] if count == 1 else ["-W", str(wait)]
        sizes = ["-s", str(size), *fragments]
        command = ["ping", "-n", "-q", "-c", str(count), "-i", "0.2", *patience, *sizes]
        return self.run(*command, str(address), check=False).returncode == 0

    def resolver(self) -> IPv4Address | None:
        """The first name server in its resolv.conf, None when it has no such file of its own."""
        path = NETNS_CONFIGURATION / self.name / "resolv.conf"
        found = re.search(r"^nameserver\s+(\S+)", path.read_text(), re.MULTILINE) if path.exists() else None
        return IPv4Address(found[1]) if found else None

    def resolve(self, name: str) -> list[IPv4Address]:
        """The addresses that a program in the container gets for a name, sorted; empty if there are none."""
        done = self.run("getent", "ahostsv4", name, check=False, timeout=30)
        return sorted({IPv4Address(line.split()[0]) for line in done.stdout.splitlines()})

    def join(self, group: str, port: int) -> socket.socket:
        """A socket that receives a multicast group, IPv4 or IPv6, on the container's interface."""
        receiver = self.socket(socket.AF_INET6 if ":" in group else socket.AF_INET)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in group:
            receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        receiver.bind(("", port))
        if ":" in group:
            request = socket.inet_pton(socket.AF_INET6, group) + struct.pack("=I", self.index)
            receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
        else:
            request = struct.pack("4s4si", socket.inet_aton(group), b"\0" * 4, self.index)
            receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        return receiver

    def multicast_sender(self, ipv6: bool = False) -> socket.socket:
        """A socket whose multicast leaves by the container's interface and passes some routers."""
        sender = self.socket(socket.AF_INET6 if ipv6 else socket.AF_INET)
        if ipv6:
            sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, self.index)
            sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 4)
        else:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 4)
        return sender

    @property
    def index(self) -> int:
        """Of its interface."""
        return self.inside(lambda: socket.if_nametoindex(INTERFACE))

    def ping_stream(self, address: object, log: Path) -> "PingStream":
        return PingStream(self, address, log)


class PingStream:
    """Twenty pings a second until stopped, to see whether traffic is interrupted."""

    def __init__(self, container: Container, address: object, log: Path) -> None:
        self._log = log
        self._output = log.open("w")
        command = ["ping", "-n", "-i", "0.05", "-W", "1", str(address)]
        self._process = container.start(*command, output=self._output)

    @property
    def answers(self) -> int:
        """How many answers there have been."""
        return len(re.findall(r"icmp_seq=", self._log.read_text()))

    def stop(self) -> "tuple[int, int]":
        """How many were sent, and how many of them were answered."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=10)
        self._output.close()
        found = re.search(r"(\d+) packets transmitted, (\d+) received", self._log.read_text())
        assert found, f"ping said:\n{self._log.read_text()}"
        return int(found[1]), int(found[2])


def receive_all(receivers: Sequence[socket.socket], quiet: float = 0.5) -> list[list[bytes]]:
    """What each socket receives until it has been quiet for that many seconds."""
    heard: list[list[bytes]] = []
    for receiver in receivers:
        receiver.settimeout(quiet)
        payloads = []
        try:
            while True:
                payloads.append(receiver.recv(65536))
        except TimeoutError:
            heard.append(payloads)
    return heard
