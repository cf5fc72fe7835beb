"""`tulle attach` and its like for containers of Docker: by id, beginning of the id, or name."""

import json
from collections.abc import Iterator

import pytest

from lab import Lab, wait_until
from lab.engines import Engine
from tulle.docker.engine import DEFAULT_SOCKET


@pytest.fixture
def name(engine_pair: list[Engine], request: pytest.FixtureRequest) -> Iterator[str]:
    """A name for the containers of one test, which are gone after it, with all that they had."""
    made = request.function.__name__.removeprefix("test_")[:30]
    yield made
    for engine in engine_pair:
        found = engine.docker("ps", "--all", "--quiet", "--filter", f"name={made}").stdout.split()
        if found:
            engine.docker("rm", "--force", *found)
            wait_until(lambda engine=engine: not held(engine), what="nothing is held any more")


@pytest.fixture(scope="module")
def engine_pair(joined: list[Engine]) -> list[Engine]:
    return joined


def held(engine: Engine) -> list[str]:
    """The containers that hold an address on this host."""
    return [row["containerid"] for row in json.loads(engine.host.http("GET", "/ip")[1])["owned"]]


def attached(engine: Engine, container: str) -> list[str]:
    """What `tulle attach` printed for a container, and the container has indeed."""
    printed = engine.host.tulle("attach", container).split()
    shown = engine.inside(container, "ip", "-4", "address", "show", "tulle0")
    assert all(f"inet {address}/" in shown for address in printed)
    return printed


def test_containers_of_two_hosts_meet_by_name(engine_pair: list[Engine], name: str) -> None:
    one, two = engine_pair
    resolver = one.host.tulle("dns-args").split()
    one.run(f"{name}-a", options=resolver)
    ident = two.run(f"{name}-b", options=[*resolver, "--hostname", "db"])
    one.host.tulle("attach", f"{name}-a")
    [address] = two.host.tulle("attach", ident[:8]).split()
    wait_until(lambda: one.host.knows("db"), what="the name arrives")
    assert {str(ip) for ip in one.host.knows("db")} == {address}
    assert one.inside(f"{name}-a", "ping", "-c", "1", "-W", "5", "db")
    wait_until(lambda: two.host.knows(f"{name}-a"), what="its own name is the container's")


def test_ps_shows_ids_as_docker_does(engine_pair: list[Engine], name: str) -> None:
    engine = engine_pair[0]
    ident = engine.run(name)
    [address] = attached(engine, name)
    row = next(line for line in engine.host.tulle("ps").splitlines() if line.startswith(ident[:12] + " "))
    assert row.split()[2] == f"{address}/12"
    for word in (name, ident, ident[:5]):
        assert engine.host.tulle("ps", word) == row
    assert engine.host.tulle("detach", ident[:10]) == address
    assert engine.host.tulle("ps", name) == ""
    assert "tulle0" not in engine.inside(name, "ip", "link")


def test_names_are_added_and_removed_by_docker_name(engine_pair: list[Engine], name: str) -> None:
    engine = engine_pair[0]
    engine.run(name)
    [address] = attached(engine, name)
    engine.host.tulle("dns-add", name, "-h", "other")
    assert engine.host.tulle("dns-lookup", "other") == address
    engine.host.tulle("dns-remove", name)
    assert not engine.host.knows("other")
    engine.host.tulle("dns-add", name)
    assert engine.host.tulle("dns-lookup", name) == address


@pytest.mark.parametrize(
    ("options", "name_in_dns"),
    [
        (["--hostname", "chosen"], "chosen"),
        (["--hostname", "full.tulle.internal"], "full"),
        (["--hostname", "split", "--domainname", "tulle.internal"], "split"),
        (["--hostname", "elsewhere.example.com"], None),
    ],
)
def test_the_host_name_counts_if_somebody_chose_it(
    engine_pair: list[Engine], name: str, options: list[str], name_in_dns: str | None
) -> None:
    engine = engine_pair[0]
    engine.run(name, options=options)
    attached(engine, name)
    [row] = engine.host.json("ps", name)
    assert row["Names"] == ([] if name_in_dns is None else [f"{name_in_dns}.tulle.internal."])


def test_what_cannot_be_attached_is_said_in_one_line(engine_pair: list[Engine], name: str) -> None:
    host, engine = engine_pair[0].host, engine_pair[0]
    assert "has no container 'nosuch'" in host.refuses("attach", "nosuch").stderr
    engine.docker("create", "--name", f"{name}-created", engine.image, "true")
    assert "does not run; start it first" in host.refuses("attach", f"{name}-created").stderr
    engine.run(f"{name}-host", options=["--net", "host"])
    assert "this host's own network" in host.refuses("attach", f"{name}-host").stderr
    parent = engine.run(f"{name}-parent")
    engine.run(f"{name}-child", options=["--net", f"container:{name}-parent"])
    assert f"attach that one: {parent[:12]}" in host.refuses("attach", f"{name}-child").stderr
    for refused in ("detach nosuch", "ps nosuch", "dns-add nosuch", "dns-remove nosuch"):
        failed = host.refuses(*refused.split())
        assert (failed.returncode, len(failed.stderr.splitlines())) == (1, 1)


def test_a_container_without_any_network_gets_this_one(engine_pair: list[Engine], name: str) -> None:
    engine = engine_pair[0]
    engine.run(name, options=["--net", "none"])
    assert attached(engine, name)


def test_the_default_socket_is_the_one_of_docker() -> None:
    assert DEFAULT_SOCKET == "/var/run/docker.sock"


def test_what_scripts_hold_for_a_container_goes_with_it(engine_pair: list[Engine], name: str) -> None:
    """Weave Net's own way: an address and a name under a full id, without any interface of ours."""
    engine = engine_pair[0]
    ident = engine.run(name)
    status, address = engine.host.http("POST", f"/ip/{ident}?check-alive=true")
    assert status == 200
    ip = address.partition("/")[0]
    engine.host.http("PUT", f"/name/{ident}/{ip}?fqdn=scripted.tulle.internal")
    assert engine.host.tulle("dns-lookup", "scripted") == ip
    assert engine.host.http("POST", f"/ip/{'0' * 64}?check-alive=true") == (200, "cancelled")
    engine.docker("rm", "--force", name)
    wait_until(lambda: not held(engine) and not engine.host.knows("scripted"), what="both are gone")


def test_its_hosts_file_says_what_was_asked_for(engine_pair: list[Engine], name: str) -> None:
    engine = engine_pair[0]
    engine.run(name, options=["--hostname", "box"])
    address = engine.host.tulle("attach", "--rewrite-hosts", "--add-host", "other:10.1.2.3", name)
    for _ in range(2):
        rows = [line.split() for line in engine.inside(name, "cat", "/etc/hosts").splitlines()]
        assert [row[0] for row in rows if "box" in row] == [address]
        assert ["10.1.2.3", "other"] in rows
        engine.docker("restart", "--time", "0", name)
        wait_until(lambda: "10.1.2.3" in engine.inside(name, "cat", "/etc/hosts"), what="it is written again")


def test_docker_can_be_left_alone(lab: Lab) -> None:
    host = lab.host()
    host.launch("--docker-api", "")
    failed = host.refuses("attach", "web")
    assert "web would be a container of Docker" in failed.stderr
    assert len(failed.stderr.splitlines()) == 1
