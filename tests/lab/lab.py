"""The lab: hosts, containers and the switch between them, all on one machine, removed at the end."""

import itertools
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from lab.container import Container
from lab.host import Host
from lab.namespace import Namespace, run
from lab.reaper import Reaper
from lab.switch import Pair, Switch
from lab.wait import wait_until

H = TypeVar("H", bound=Host)


def unique_prefix(kind: str = "t") -> str:
    """A prefix for namespaces that no other run on this machine has."""
    return f"{kind}{os.getpid()}{secrets.token_hex(2)}-"


class Lab:
    """Hosts are 10.99.0.1, 10.99.0.2, ... on one switch. Use as a context manager.

    All names start with ``prefix``. Whatever happens to this process, another (``Reaper``) removes it all.
    """

    def __init__(self, prefix: str | None = None) -> None:
        self.prefix = prefix or unique_prefix()
        self.directory = Path(tempfile.mkdtemp(prefix=f"tulle-lab-{self.prefix}"))
        self.hosts: list[Host] = []
        self._namespaces: list[Namespace] = []
        self._last_acts: list[Callable[[], None]] = []
        self._reaper = Reaper()
        self._reaper.remember("directory", str(self.directory))
        self.switch = Switch(f"{self.prefix}switch")
        self.adopt(self.switch)

    def __enter__(self) -> "Lab":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """End every daemon and remove everything; nothing is left when this returns."""
        while self._last_acts:
            self._last_acts.pop()()
        for namespace in self._namespaces:
            namespace.end()
        self._reaper.finish()

    def at_end(self, act: Callable[[], None]) -> None:
        """Call this before anything is removed."""
        self._last_acts.append(act)

    def adopt(self, namespace: Namespace) -> None:
        """Make a namespace that goes when the lab goes."""
        self._reaper.remember("netns", namespace.name)
        self._namespaces.append(namespace)
        namespace.create()

    def remember_engine(self, name: str) -> None:
        """What a container engine on the host ``name`` starts must go when the lab goes."""
        self._reaper.remember("engine", name)

    def host(
        self, short: str | None = None, mtu: int = 1500, plugged: bool = True, kind: type[H] = Host
    ) -> H:
        """A new host on the switch (or without a cable, for ``Nat.host``), without a daemon."""
        number = len(self.hosts) + 1
        address = IPv4Address("10.99.0.0") + number
        short = short or f"h{number}"
        directory = self.directory / short
        directory.mkdir()
        host = kind(self, short, number, address, directory)
        self.adopt(host)
        if plugged:
            self.switch.plug(host, "eth0", host.port, mtu)
            host.ip(f"address add {address}/24 dev eth0")
        self.hosts.append(host)
        return host

    def container(self, short: str) -> Container:
        """A new container that is named after the lab alone, not after a host."""
        made = Container(self.prefix + short)
        self.adopt(made)
        return made

    def make_hosts(self, count: int) -> list[Host]:
        return [self.host() for _ in range(count)]

    def network(self, count: int, *arguments: object) -> list[Host]:
        """Hosts whose daemons have joined one mesh through the first; the arguments are for ``launch``."""
        hosts = self.make_hosts(count)
        for host in hosts:
            host.begin_launch(*arguments, *([hosts[0]] if host is not hosts[0] else []))
        for host in hosts:
            host.wait_ready()
        self.wait_connected(hosts)
        return hosts

    def wait_connected(self, hosts: Sequence[Host], timeout: float = 40) -> None:
        """Until every one of these hosts has an established connection to every other one."""
        for host in hosts:
            wait_until(
                lambda host=host: self._sees_all(host, hosts), timeout, f"{host.short} is connected to all"
            )

    @staticmethod
    def _sees_all(host: Host, hosts: Sequence[Host]) -> bool:
        lines = host.view("connections").splitlines()
        established = [line for line in lines if " established " in f" {line} "]
        missing = [
            other.short
            for other in hosts
            if other is not host and not any(other.short in line for line in established)
        ]
        assert not missing, f"{host.short} lacks {missing}:\n" + "\n".join(lines)
        return True

    # --- faults ------------------------------------------------------------------------------------------

    def partition(self, *sides: Iterable[Host]) -> None:
        """From now on hosts of different sides cannot exchange a packet; replaces the partition there was."""
        groups = [tuple(side) for side in sides]
        pairs: list[Pair] = [
            (one.address, other.address)
            for here, there in itertools.permutations(groups, 2)
            for one in here
            for other in there
        ]
        self.switch.cut(pairs)

    def cut(self, one: Host, other: Host, both_ways: bool = True) -> None:
        """Drop all packets from one host to another (and back); replaces the cuts there were."""
        pairs: list[Pair] = [(one.address, other.address)]
        if both_ways:
            pairs.append((other.address, one.address))
        self.switch.cut(pairs)

    def heal(self) -> None:
        """Undo partitions and cuts."""
        self.switch.cut([])

    def small_state(self, host: Host, kilobytes: int) -> None:
        """Put a host's state directory on a file system of that size, to fill it up or make it read-only."""
        host.state.mkdir()
        self._reaper.remember("mount", str(host.state))
        run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,mode=0700", "tulle-lab", host.state])

    def router(self, short: str, outside: int, inside: str, nat: str = "", mtu: int = 1500) -> "Router":
        """A router with the outside address 10.99.0.``outside`` and a network of its own behind it."""
        router = Router(f"{self.prefix}{short}")
        self.adopt(router)
        self.switch.plug(router, "outside", f"r{outside}", mtu)
        behind = Switch(f"{self.prefix}{short}-lan")
        self.adopt(behind)
        behind.plug(router, "inside", "router")
        router.configure(IPv4Address("10.99.0.0") + outside, inside, nat)
        router.behind = behind
        return router

    def logs(self) -> str:
        """The ends of what the daemons logged, for a failed test."""
        parts = []
        for host in self.hosts:
            for log in (host.log, host.state / "tulle.log"):
                if log.exists():
                    lines = log.read_text(errors="replace").splitlines()[-60:]
                    parts.append("\n".join((f"--- {host.short} ({host.address})", *lines)))
        return "\n".join(parts)


class Router(Namespace):
    """Routes between the switch and a network of its own, with or without address translation."""

    behind: Switch

    def configure(self, outside: IPv4Address, inside: str, nat: str) -> None:
        """``inside``: its address with prefix there; ``nat``: what nftables does to outgoing packets."""
        self.ip(f"address add {outside}/24 dev outside", f"address add {inside} dev inside")
        self.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
        if nat:
            self.nft(
                "table ip nat { chain post { type nat hook postrouting priority 100; "
                f'oifname "outside" {nat}; }} }}'
            )
