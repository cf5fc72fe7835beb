"""The way out of our networks with real engines: through the host, and not to containers of others."""

import contextlib
import http.client
from collections.abc import Generator
from ipaddress import IPv4Address

import pytest

from lab import Lab, wait_until
from lab.engines import IMAGE, Engine, joined_engines

PAGE = "tests of the way out"
OUTSIDE = "10.98.0.1"
"""An address of the second host, to which the first has a default route."""


@pytest.fixture(scope="module")
def pair() -> Generator[list[Engine]]:
    """Two engines; the first host's way to everywhere is the second, which answers as the world."""
    with Lab() as made:
        one, two = joined_engines(made, 2, "--ipalloc-default-subnet", "10.32.0.0/16")
        two.host.ip(f"address add {OUTSIDE}/32 dev lo")
        one.host.ip(f"route add default via {two.host.address}")
        one.docker("network", "create", "zone")
        for name, *options in (
            ("front", "--subnet", "10.40.1.0/24"),
            ("back", "--subnet", "10.40.2.0/24"),
            ("inner", "--subnet", "10.40.3.0/24", "--internal"),
        ):
            one.docker("network", "create", "-d", "tulle", "--ipam-driver", "tulle", *options, name)
        yield [one, two]


@pytest.fixture
def one(pair: list[Engine]) -> Generator[Engine]:
    yield pair[0]
    for container in pair[0].api("GET", "/containers/json?all=1")[1]:
        pair[0].api("DELETE", f"/containers/{container['Id']}?force=1")


def start(engine: Engine, name: str, network: str, *options: object) -> IPv4Address:
    """A container that serves a page on port 80: its address on the network."""
    serving = f"echo {PAGE} >/page; exec httpd -f -p 80 -h /"
    engine.run(name, "sh", "-c", serving, options=["--network", network, "--stop-timeout", "0", *options])
    return address(engine, name, network)


def address(engine: Engine, name: str, network: str) -> IPv4Address:
    return IPv4Address(engine.inspect(name)["NetworkSettings"]["Networks"][network]["IPAddress"])


def interfaces(engine: Engine, name: str) -> set[str]:
    """All but the loopback."""
    return set(engine.inside(name, "ls", "/sys/class/net").split()) - {"lo"}


def default_route(engine: Engine, name: str) -> str:
    lines = engine.inside(name, "ip", "route").splitlines()
    return next(line for line in lines if line.startswith("default"))


def pings(engine: Engine, name: str, target: object) -> bool:
    return "1 packets received" in engine.inside(name, "ping", "-c1", "-W1", str(target), check=False)


def reads(engine: Engine, name: str, target: object) -> bool:
    """Whether a container gets the page from there."""
    return PAGE in engine.inside(name, "timeout", "2", "wget", "-qO-", f"http://{target}/page", check=False)


def is_published(engine: Engine, port: int) -> bool:
    """Whether the page is to be had at a port of the host, by another host."""
    other = next(host for host in engine.host.lab.hosts if host is not engine.host)

    def read() -> bytes:
        connection = http.client.HTTPConnection(str(engine.host.address), port, timeout=2)
        with contextlib.closing(connection):
            connection.request("GET", "/page")
            return connection.getresponse().read()

    with contextlib.suppress(OSError, http.client.HTTPException):
        return PAGE.encode() in other.inside(read)
    return False


def test_containers_get_out_by_their_only_interface(one: Engine) -> None:
    start(one, "near", "tulle")
    start(one, "deep", "front")
    for name in ("near", "deep"):
        assert interfaces(one, name) == {"tulle0"}
        wait_until(lambda name=name: pings(one, name, OUTSIDE), what=f"{name} gets out")
        assert pings(one, name, one.host.address)


def test_a_network_without_a_way_out_has_none(one: Engine) -> None:
    start(one, "closed", "inner")
    assert not pings(one, "closed", OUTSIDE)
    one.run("sly", options=["--network", "inner", "--cap-add", "NET_ADMIN"])
    one.inside("sly", "ip", "route", "add", "default", "via", "169.254.53.53", "dev", "tulle0")
    assert not pings(one, "sly", OUTSIDE)


def test_networks_stay_apart_exposed_or_not(one: Engine) -> None:
    front, back, inner = (start(one, f"in-{name}", name) for name in ("front", "back", "inner"))
    others = start(one, "others", "zone")
    for _exposed in (False, True):
        assert not reads(one, "in-front", back)
        assert not reads(one, "in-front", inner)
        assert not reads(one, "in-back", front)
        assert not reads(one, "in-front", others)
        one.host.tulle("expose", "net:10.40.1.0/24", "net:10.40.2.0/24")
    assert pings(one, "in-front", OUTSIDE)
    one.host.tulle("hide", "net:10.40.1.0/24", "net:10.40.2.0/24")


def test_published_ports(one: Engine) -> None:
    """Docker's own bridge publishes them; they are reached from everywhere."""
    start(one, "shop", "tulle", "--publish", "8081:80")
    start(one, "else", "zone", "--publish", "8082:80")
    start(one, "guest", "tulle")
    assert interfaces(one, "shop") == {"tulle0", "eth0"}
    assert pings(one, "shop", OUTSIDE)
    for port in (8081, 8082):
        wait_until(lambda port=port: is_published(one, port), what=f"port {port} is published")
        assert reads(one, "guest", f"{one.host.address}:{port}")


@pytest.mark.parametrize("further", ["bridge", "zone"])
def test_a_network_of_dockers_comes_and_goes(one: Engine, further: str) -> None:
    """One of its names is before ours in the alphabet, by which Docker chooses, and one is behind it."""
    start(one, "roamer", "tulle")
    one.docker("network", "connect", further, "roamer")
    assert pings(one, "roamer", OUTSIDE)
    one.docker("network", "disconnect", further, "roamer")
    assert pings(one, "roamer", OUTSIDE)
    one.docker("network", "connect", further, "roamer")
    one.docker("network", "disconnect", "tulle", "roamer")
    assert pings(one, "roamer", OUTSIDE)


@pytest.mark.parametrize("first", ["bridge", "zone"])
def test_connecting_disturbs_neither_ports_nor_connections(one: Engine, first: str) -> None:
    start(one, "shop", first, "--publish", "8083:80")
    wait_until(lambda: is_published(one, 8083), what="the port is published")
    before = default_route(one, "shop")
    one.docker("network", "connect", "tulle", "shop")
    assert default_route(one, "shop") == before
    assert is_published(one, 8083)
    assert pings(one, "shop", OUTSIDE)
    start(one, "guest", "tulle")
    assert reads(one, "guest", address(one, "shop", "tulle"))


def test_without_a_daemon_and_after_it(one: Engine) -> None:
    start(one, "near", "tulle")
    one.host.kill()
    assert pings(one, "near", OUTSIDE)
    one.host.run("nft", "flush", "table", "inet", "tulle")
    one.host.relaunch()
    wait_until(lambda: pings(one, "near", OUTSIDE), what="the way out is back")
    one.host.ip("link del tulle")
    wait_until(lambda: pings(one, "near", OUTSIDE), what="the way out leads over the new bridge")
    start(one, "next", "tulle")
    assert interfaces(one, "next") == {"tulle0"}
    assert pings(one, "next", OUTSIDE)


def test_docker_starts_again(one: Engine) -> None:
    """It puts its rules before ours; and the names of the world are asked through the host."""
    start(one, "near", "tulle", "--restart", "always")
    one.stop()
    one.start()
    wait_until(lambda: one.inspect("near")["State"]["Running"], what="the container is started again")
    wait_until(lambda: pings(one, "near", OUTSIDE), what="the way out is there again")
    done = one.docker("run", "--rm", "--network", "tulle", IMAGE, "nslookup", "near.tulle.internal")
    assert str(address(one, "near", "tulle")) in done.stdout
