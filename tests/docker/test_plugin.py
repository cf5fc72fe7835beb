"""The network plugin with real engines: plain ``docker run --network tulle`` on two hosts, and around it."""

import os
import signal
from collections.abc import Generator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from lab import Lab, wait_until
from lab.engines import IMAGE, Engine, joined_engines

RANGE = IPv4Network("10.32.0.0/16")
"""Of the network that is there by itself; it leaves room for others."""


@pytest.fixture(scope="module")
def joined() -> Generator[list[Engine]]:
    """Two engines on hosts of one mesh."""
    with Lab() as made:
        yield joined_engines(made, 2, "--ipalloc-default-subnet", RANGE)


@pytest.fixture(autouse=True)
def cleared(joined: list[Engine]) -> None:
    """No containers, and no networks but tulle's own, from the test before."""
    for engine in joined:
        for container in engine.api("GET", "/containers/json?all=1")[1]:
            engine.api("DELETE", f"/containers/{container['Id']}?force=1")
        for network in engine.api("GET", "/networks")[1]:
            if network["Driver"] == "tulle" and network["Name"] != "tulle":
                engine.api("DELETE", f"/networks/{network['Id']}")


def start(engine: Engine, name: str, *options: object, network: str = "tulle") -> IPv4Address:
    """A container that sleeps, and can be stopped at once, on a network: its address there."""
    engine.run(name, options=["--network", network, "--stop-timeout", "0", *options])
    return address(engine, name, network)


def address(engine: Engine, name: str, network: str = "tulle") -> IPv4Address:
    return IPv4Address(engine.inspect(name)["NetworkSettings"]["Networks"][network]["IPAddress"])


def create(engine: Engine, name: str, *options: object, check: bool = True) -> str:
    """``network create`` with our addresses: what it said."""
    done = engine.docker(
        "network", "create", "-d", "tulle", "--ipam-driver", "tulle", *options, name, check=check
    )
    return done.stdout + done.stderr


def refusal(engine: Engine, *words: object) -> str:
    """What Docker says to a command that must fail."""
    done = engine.docker(*words, check=False)
    assert done.returncode != 0
    return done.stderr


def resolved(engine: Engine, container: str, name: str) -> set[str]:
    """The addresses of a name, as a container finds them by the resolver that Docker gave it."""
    lines = engine.inside(container, "nslookup", "-type=a", name, check=False).splitlines()
    return {line.split()[-1] for line in lines[2:] if line.startswith("Address")}


def wait_resolved(engine: Engine, container: str, name: str, *addresses: object) -> None:
    wanted = set(map(str, addresses))
    wait_until(lambda: resolved(engine, container, name) == wanted, what=f"{name} is {wanted}")


def pings(engine: Engine, container: str, target: object) -> bool:
    return "1 packets received" in engine.inside(container, "ping", "-c1", "-W2", str(target), check=False)


def wait_reached(engine: Engine, container: str, target: object) -> None:
    wait_until(lambda: pings(engine, container, target), what=f"{container} reaches {target}")


def test_containers_find_and_reach_each_other_across_hosts_by_plain_names(joined: list[Engine]) -> None:
    one, two = joined
    web = start(one, "web", "--network-alias", "www")
    data = start(two, "db")
    assert web in RANGE
    assert data in RANGE
    assert web != data
    wait_resolved(two, "db", "web", web)
    wait_resolved(two, "db", "www", web)
    wait_resolved(one, "web", "db", data)
    wait_resolved(one, "web", "db.tulle.internal", data)
    wait_reached(one, "web", "db")
    shown = one.host.tulle("ps", "web").split()
    assert one.inspect("web")["Id"].startswith(shown[0])
    assert f"{web}/16" in shown
    wait_reached(two, "db", "www")
    one.docker("rename", "web", "shop")
    wait_resolved(two, "db", "shop", web)
    wait_resolved(two, "db", "web")
    one.docker("rm", "--force", "shop")
    wait_resolved(two, "db", "shop")
    assert str(web) not in one.host.tulle("status", "dns").split()


def test_a_name_of_replicas_has_all_their_addresses(joined: list[Engine]) -> None:
    one, two = joined
    start(one, "client")
    replicas = [start(two, f"web{number}", "--network-alias", "web") for number in (1, 2, 3)]
    wait_resolved(one, "client", "web", *replicas)
    here = start(one, "web4", "--network-alias", "web")
    wait_resolved(one, "client", "web.tulle.internal", *replicas, here)
    two.docker("kill", "web1")
    wait_resolved(one, "client", "web.tulle.internal", *replicas[1:], here)


def test_addresses_are_chosen_kept_and_refused(joined: list[Engine]) -> None:
    one, two = joined
    assert start(one, "fixed", "--ip", "10.32.77.7") == IPv4Address("10.32.77.7")
    said = refusal(two, "run", "--network", "tulle", "--ip", "10.32.77.7", IMAGE, "true")
    assert "10.32.77.7" in said
    assert "in use" in said or "taken" in said or "belongs" in said
    one.docker("restart", "--time", "0", "fixed")
    assert address(one, "fixed") == IPv4Address("10.32.77.7")
    one.docker("rm", "--force", "fixed")
    assert start(two, "fixed", "--ip", "10.32.77.7") == IPv4Address("10.32.77.7")


def test_further_networks_are_apart(joined: list[Engine]) -> None:
    one, two = joined
    for engine in joined:
        create(engine, "front", "--subnet", "10.40.1.0/24", "--label", "a=b")
        create(engine, "back", "--subnet", "10.40.2.0/24", "--ip-range", "10.40.2.128/25")
    front = start(one, "front1", network="front")
    back = start(two, "back1", network="back")
    other = start(two, "front2", network="front")
    assert front in IPv4Network("10.40.1.0/24")
    assert back in IPv4Network("10.40.2.128/25")
    wait_reached(one, "front1", other)
    assert not pings(one, "front1", back)
    assert not pings(two, "back1", front)
    said = create(one, "x", "--subnet", "10.40.0.0/22", check=False)
    assert "overlaps" in said
    assert "choose another --subnet" in said


def test_a_network_that_cannot_be_is_refused_with_a_reason(joined: list[Engine]) -> None:
    assert "not inside 10.32.0.0/12" in create(joined[0], "odd", "--subnet", "192.168.0.0/24", check=False)
    said = create(joined[0], "odd", "--subnet", "10.40.5.0/24", "--opt", "colour=blue", check=False)
    assert "no network option 'colour'" in said


def test_a_network_whose_addresses_docker_would_deal_out(joined: list[Engine]) -> None:
    one, two = joined
    assert "--ipam-driver tulle" in refusal(one, "network", "create", "-d", "tulle", "plain")
    for engine in joined:
        engine.docker("network", "create", "-d", "tulle", "--subnet", "10.41.0.0/24", "plain")
    taken = start(one, "first", network="plain")
    said = refusal(two, "run", "--network", "plain", "--ip", taken, IMAGE, "true")
    assert str(taken) in said
    assert "--ipam-driver tulle" in said


def test_options_of_a_network(joined: list[Engine]) -> None:
    one, two = joined
    create(one, "inner", "--subnet", "10.42.1.0/24", "--internal", "--opt", "tulle.mtu=1200")
    create(one, "routed", "--subnet", "10.42.2.0/24", "--gateway", "10.42.2.9", "--opt", "tulle.multicast=0")
    far = start(two, "far")
    start(one, "closed", network="inner")
    routes = one.inside("closed", "ip", "route")
    assert "default" not in routes
    assert "224.0.0.0/4" in routes
    assert one.inside("closed", "cat", "/sys/class/net/tulle0/mtu") == "1200"
    wait_resolved(one, "closed", "far", far)
    start(one, "open", network="routed")
    routes = one.inside("open", "ip", "route")
    assert "default via 10.42.2.9 dev tulle0" in routes
    assert "224.0.0.0/4" not in routes


def test_a_running_container_is_connected_and_disconnected(joined: list[Engine]) -> None:
    one, two = joined
    start(one, "near")
    two.run("roamer", options=["--network", "bridge"])
    two.docker("network", "connect", "--alias", "guest", "tulle", "roamer")
    roamer = address(two, "roamer")
    wait_resolved(one, "near", "guest", roamer)
    wait_reached(one, "near", roamer)
    create(two, "second", "--subnet", "10.43.0.0/24")
    two.docker("network", "connect", "second", "roamer")
    assert address(two, "roamer", "second") in IPv4Network("10.43.0.0/24")
    two.docker("network", "disconnect", "tulle", "roamer")
    wait_resolved(one, "near", "guest")
    assert not pings(one, "near", roamer)


COMPOSE = """
version: "3"
services:
  web:
    image: busybox:lab
    command: httpd -f -p 80 -h /etc
    scale: 2
  client:
    image: busybox:lab
    command: sleep 1000
    networks: [default, back]
networks:
  default:
    external: true
    name: tulle
  back:
    driver: tulle
    ipam:
      driver: tulle
      config:
        - subnet: 10.44.0.0/24
"""


def test_an_application_of_compose(joined: list[Engine]) -> None:
    one, two = joined
    file = one.host.directory / "app" / "docker-compose.yml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(COMPOSE)
    compose = ["/usr/bin/docker-compose", "--file", file]
    environment = one.host.environment()
    one.host.run(*compose, "up", "--detach", "--scale", "web=2", env=environment)
    try:
        far = start(two, "far")
        webs = [address(one, f"app_web_{number}") for number in (1, 2)]
        wait_resolved(two, "far", "web", *webs)
        assert "root:" in two.inside("far", "wget", "-qO-", "http://web/passwd")
        wait_resolved(one, "app_client_1", "far", far)
        assert "root:" in one.inside("app_client_1", "wget", "-qO-", "http://web/passwd")
    finally:
        one.host.run(*compose, "down", "--timeout", "0", env=environment)


def end_of_power(engine: Engine) -> None:
    """What a restart of the machine ends besides: whoever answers for the daemon, and its sockets."""
    for pid in engine.host.pids():
        if b"responder.py" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
    sockets = engine.host.private("/run/docker") / "plugins"
    for socket in sockets.iterdir():
        socket.unlink()


def test_docker_does_not_wait_for_a_daemon_that_died(joined: list[Engine]) -> None:
    one, two = joined
    stays, far = start(one, "stays", "--restart", "always"), start(two, "far")
    assert stays != far
    start(one, "goes")
    one.host.kill()
    one.docker("kill", "goes")
    said = refusal(one, "run", "--network", "tulle", IMAGE, "true")
    assert "tulle is not running on this host; start it with `tulle launch`" in said
    wait_reached(two, "far", stays)
    one.stop()
    end_of_power(one)
    one.host.relaunch()
    one.start()
    wait_until(lambda: one.inspect("stays")["State"]["Running"], what="the container is started again")
    again = address(one, "stays")
    wait_reached(two, "far", again)
    wait_resolved(two, "far", "stays", again)
    assert patient(one)


def test_endpoints_outlive_the_daemon_and_a_crash_of_docker(joined: list[Engine]) -> None:
    one, two = joined
    kept, far = start(one, "kept"), start(two, "far")
    one.host.kill()
    one.host.relaunch()
    one.host.lab.wait_connected([engine.host for engine in joined])
    wait_reached(two, "far", kept)
    wait_reached(one, "kept", far)
    wait_resolved(two, "far", "kept", kept)
    assert start(one, "new") != kept
    one.kill()
    one.start()
    wait_resolved(two, "far", "kept")
    assert start(one, "fixed", "--ip", kept) == kept


def test_what_runs_keeps_its_address_when_the_state_was_lost(joined: list[Engine]) -> None:
    """The host has a new name then, and whoever removes the old one leaves it what its containers have."""
    one, two = joined
    kept, before = start(two, "kept"), two.host.report()["Router"]["Name"]
    two.host.kill()
    two.host.forget_state()
    two.host.relaunch()
    two.host.lab.wait_connected([engine.host for engine in joined])
    wait_until(lambda: two.host.report()["IPAM"]["PendingClaims"], what="what runs is claimed")
    one.host.tulle("rmpeer", before)
    wait_until(lambda: not two.host.report()["IPAM"]["PendingClaims"], what="it is held")
    assert "on this host has the address" in refusal(
        two, "run", "--network", "tulle", "--ip", kept, IMAGE, "true"
    )
    assert start(two, "new") != kept
    start(one, "far")
    wait_reached(one, "far", kept)


def test_a_stopped_daemon_leaves_no_network_and_no_socket(joined: list[Engine]) -> None:
    """The last test: it leaves a host without a daemon."""
    one = joined[0]
    sockets = one.host.private("/run/docker") / "plugins"
    start(one, "web")
    one.host.stop()
    assert (sockets / "tulle.sock").exists(), "Docker has a network of ours, and has to be answered"
    one.docker("rm", "--force", "web")
    one.host.relaunch()
    assert "tulle" in networks(one)
    one.host.stop()
    assert "tulle" not in networks(one)
    assert not (sockets / "tulle.sock").exists()
    assert not one.host.socket_path.with_name("docker-plugin.sock").exists()
    assert patient(one)


def networks(engine: Engine) -> list[str]:
    return engine.docker("network", "ls", "--format", "{{.Name}}").stdout.split()


def patient(engine: Engine) -> bool:
    """Whether the engine never waited for the plugin, but for a second when the daemon was just killed."""
    log = engine.log.read_text()
    return "retrying in 2s" not in log and "retrying in 4s" not in log
