"""Three engines that are managers of one swarm and have tulle beside them, and containers on them."""

from pathlib import Path
from types import TracebackType
from typing import Any

from lab.engines import Engine, engines
from lab.lab import Lab
from lab.namespace import Namespace
from lab.wait import wait_until

OVERLAY, TULLE, BRIDGE = "bench-overlay", "tulle", "bridge"
DOMAIN = "tulle.internal"


class Box(Namespace):
    """A container of an engine. Programs run in its network, with the machine's files."""

    def __init__(self, engine: Engine, name: str, network: str, *command: str) -> None:
        super().__init__(name)
        self.engine = engine
        self.network = network
        engine.run(name, *command, options=["--network", network])
        self._pid = engine.pid(name)

    @property
    def path(self) -> Path:
        return Path(f"/proc/{self._pid}/ns/net")

    @property
    def address(self) -> str:
        """On its network."""
        known: dict[str, Any] = self.engine.inspect(self.name)["NetworkSettings"]["Networks"]
        return str(known[self.network]["IPAddress"])

    def remove(self) -> None:
        """It and what was started in it."""
        self.end()
        self.engine.docker("rm", "--force", self.name)

    def resolver(self) -> str:
        """The name server that its programs ask."""
        lines = Path(f"/proc/{self._pid}/root/etc/resolv.conf").read_text().splitlines()
        return next(line.split()[1] for line in lines if line.startswith("nameserver"))


class Ground:
    """The lab of one run. Both networks are there on every host when it has been entered."""

    def __enter__(self) -> "Ground":
        self.lab = Lab()
        try:
            self._build()
        except BaseException:
            self.lab.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        if error is not None:
            print(self.lab.logs())
        self.lab.close()

    def _build(self) -> None:
        self.engines = engines(self.lab, 3)
        hosts = [engine.host for engine in self.engines]
        for host in hosts:
            host.begin_launch(*([hosts[0]] if host is not hosts[0] else []))
        for host in hosts:
            host.wait_ready()
        self.lab.wait_connected(hosts)
        for engine in self.engines:
            wait_until(lambda engine=engine: has_network(engine, TULLE), 30, "the network tulle is there")
        self._make_swarm()

    def _make_swarm(self) -> None:
        first, *others = self.engines
        first.docker("swarm", "init", "--advertise-addr", first.host.address)
        token = first.docker("swarm", "join-token", "--quiet", "manager").stdout.strip()
        for engine in others:
            own = ("--advertise-addr", engine.host.address)
            engine.docker("swarm", "join", "--token", token, *own, f"{first.host.address}:2377")
        first.docker("network", "create", "--driver", "overlay", "--attachable", OVERLAY)


def has_network(engine: Engine, name: str) -> bool:
    """Whether the engine knows a network of that name."""
    return engine.api("GET", f"/networks/{name}")[0] == 200


def proxy_of(engine: Engine) -> str:
    """The address of tulle's proxy on this host, as ``DOCKER_HOST`` has it."""
    return engine.host.tulle("config").removeprefix("-H=")
