"""The plugin that Docker manages, on three engines of a swarm: services whose replicas find each other."""

import subprocess
import sys
from collections.abc import Generator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from lab import Lab, wait_until
from lab.engines import IMAGE, Engine, engines

BUILD = Path(__file__).parents[2] / "scripts" / "plugin"
DRIVER = "tulle:latest"


@pytest.fixture(scope="module")
def swarm() -> Generator[list[Engine]]:
    """Three engines in swarm mode, the first one the manager, with the plugin built here and enabled."""
    with Lab() as lab:
        made = engines(lab, 3)
        plugin = lab.directory / "plugin"
        subprocess.run([sys.executable, BUILD, plugin], check=True, stdout=subprocess.DEVNULL)
        manager = made[0]
        manager.docker("swarm", "init", "--advertise-addr", manager.host.address)
        token = manager.docker("swarm", "join-token", "--quiet", "worker").stdout.strip()
        for engine in made[1:]:
            engine.docker("swarm", "join", "--token", token, f"{manager.host.address}:2377")
        for engine in made:
            engine.docker("plugin", "create", DRIVER, plugin)
            settings = [f"docker.source={engine.socket}", "TULLE_PASSWORD=secret", "TULLE_MTU=1300"]
            engine.docker("plugin", "set", DRIVER, *settings)
        enabling = [engine.start_docker("plugin", "enable", "--timeout", "60", DRIVER) for engine in made]
        for command in enabling:
            said, _ = command.communicate(timeout=90)
            assert command.returncode == 0, said
        wait_until(lambda: offered(manager) == 3, 60, "the manager knows that all nodes have the driver")
        yield made


def offered(manager: Engine) -> int:
    """On how many nodes the manager may place tasks that need the driver."""
    nodes = manager.docker("node", "ls", "--quiet").stdout.split()
    said = manager.docker("node", "inspect", "--format", "{{.Description.Engine.Plugins}}", *nodes)
    return said.stdout.count(f"Network {DRIVER}")


def tasks(manager: Engine, service: str) -> list[str]:
    """The nodes on which tasks of a service run."""
    wanted = "desired-state=running"
    listed = manager.docker(
        "service", "ps", service, "--filter", wanted, "--format", "{{.Node}} {{.CurrentState}}"
    )
    return [line.split()[0] for line in listed.stdout.splitlines() if line.split()[1] == "Running"]


def task(engine: Engine, service: str) -> str:
    """The container of a service on one node."""
    found = engine.docker("ps", "--quiet", "--filter", f"label=com.docker.swarm.service.name={service}")
    return found.stdout.split()[0]


def resolved(engine: Engine, container: str, name: str) -> set[IPv4Address]:
    lines = engine.inside(container, "nslookup", "-type=a", name, check=False).splitlines()
    return {IPv4Address(line.split()[-1]) for line in lines[2:] if line.startswith("Address")}


def test_replicas_of_a_service_on_three_hosts(swarm: list[Engine]) -> None:
    manager = swarm[0]
    manager.docker("network", "create", "--driver", DRIVER, "--attachable", "net")
    manager.docker(
        "service", "create", "--detach", "--quiet", "--name", "web", "--network", "net",
        "--endpoint-mode", "dnsrr", "--replicas", "3", "--no-resolve-image", IMAGE,
        "httpd", "-f", "-p", "80", "-h", "/etc",
    )  # fmt: skip
    wait_until(lambda: sorted(tasks(manager, "web")) == ["h1", "h2", "h3"], 60, "a replica on each host")
    for engine in swarm:
        here = task(engine, "web")
        wait_until(
            lambda engine=engine, here=here: len(resolved(engine, here, "tasks.web")) == 3,
            what=f"all replicas are known on {engine.host.short}",
        )
        for address in resolved(engine, here, "web"):
            assert "root:" in engine.inside(here, "wget", "-qO-", f"http://{address}/passwd")
    here = task(manager, "web")
    assert manager.inside(here, "cat", "/sys/class/net/tulle0/mtu") == "1300"

    one = swarm[1]
    one.run("client", options=["--network", "net"])
    assert resolved(one, "client", "tasks.web") == resolved(manager, here, "tasks.web")
    manager.docker("service", "scale", "--detach", "web=1")
    wait_until(lambda: len(resolved(one, "client", "web")) == 1, 60, "one replica is left in DNS")
    assert "root:" in one.inside("client", "wget", "-qO-", "http://web/passwd")
    one.docker("rm", "--force", "client")
    manager.docker("service", "rm", "web")
    for engine in swarm:
        wait_until(lambda engine=engine: no_endpoints(engine), what=f"no pair is left on {engine.host.short}")


def no_endpoints(engine: Engine) -> bool:
    return not [line for line in engine.host.run("ip", "-o", "link").stdout.splitlines() if ": te" in line]
