"""The proxy when the daemon or the engine dies at a bad moment."""

import os
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest
from proxy_client import Client, ended, proxied, runs

from lab.wait import wait_until


@pytest.fixture(scope="module")
def client() -> Generator[Client]:
    with proxied() as made:
        yield made


def _waits(client: Client, name: str) -> bool:
    return runs(client, name, "/.tulle/wait")


def test_a_container_waits_for_a_daemon_that_is_dead(client: Client) -> None:
    client("create", "--name", "patient", client.engine.image, "sleep", "1000")
    client.engine.host.kill()
    client.engine.docker("start", "patient")
    wait_until(lambda: _waits(client, "patient"), 60, "its first process waits")
    client.engine.host.relaunch()
    wait_until(lambda: runs(client, "patient", "sleep"), 60, "it was let through the gate")
    assert client.addresses("patient")
    client("rm", "--force", "patient")


def test_who_waits_for_the_daemon_can_be_stopped(client: Client) -> None:
    client("create", "--name", "stopped", client.engine.image, "sleep", "1000")
    client.engine.host.kill()
    client.engine.docker("start", "stopped")
    wait_until(lambda: _waits(client, "stopped"), 60, "its first process waits")
    client.engine.docker("stop", "--time", "50", "stopped", timeout=40)
    assert client.engine.inspect("stopped")["State"]["ExitCode"] == 128 + signal.SIGTERM
    client.engine.host.relaunch()
    client("rm", "stopped")


def test_the_daemon_is_killed_during_docker_run(client: Client) -> None:
    running = client.start("run", "--name", "torn", client.engine.image, "sleep", "1000")
    wait_until(lambda: client.engine.api("GET", "/containers/torn/json")[0] == 200, 60, "it is made")
    client.engine.host.kill()
    assert ended(running)[0] != 0
    client.engine.host.relaunch()
    client("start", "torn")
    wait_until(lambda: runs(client, "torn", "sleep"), 60, "it was let through the gate")
    assert client.addresses("torn")
    client("rm", "--force", "torn")


def test_the_engine_is_killed_during_a_stream(client: Client) -> None:
    client.run("left", "--restart", "always")
    before = client.addresses("left")
    following = client.start("logs", "--follow", "left")
    attached = client.start("attach", "left", stdin=subprocess.PIPE)
    wait_until(lambda: _connections(client) >= 2, 60, "both are connected")
    client.engine.kill()
    ended(following)
    ended(attached)
    assert "cannot reach Docker" in ended(client.start("ps"))[2]
    client.engine.start()
    wait_until(lambda: runs(client, "left", "sleep"), 60, "its policy started it again, and it was attached")
    assert client.addresses("left") == before
    client("rm", "--force", "left")


def _connections(client: Client) -> int:
    """How many clients the proxy has now."""
    path = client.url.removeprefix("unix://")
    established = "03"
    process = client.engine.host.process
    assert process is not None
    rows = [row.split() for row in Path(f"/proc/{process.pid}/net/unix").read_text().splitlines()]
    return sum(row[-1] == path and row[5] == established for row in rows)


def test_a_client_that_is_killed_leaves_nothing_open(client: Client) -> None:
    client.run("quiet")
    wait_until(lambda: _connections(client) == 0, 60, "whoever started it is gone")
    following = client.start("logs", "--follow", "quiet")
    wait_until(lambda: _connections(client) > 0, 60, "it is connected")
    following.kill()
    ended(following)
    wait_until(lambda: _connections(client) == 0, 60, "the proxy has hung up as well")
    client("rm", "--force", "quiet")


def _shared(path: Path) -> tuple[int, int, int]:
    found = os.stat(path)
    return found.st_mode, found.st_uid, found.st_gid


def test_without_the_daemon_the_socket_is_gone(client: Client) -> None:
    path = Path(client.url.removeprefix("unix://"))
    assert path.is_socket()
    engine = os.stat(client.engine.socket)
    shared = (engine.st_mode, engine.st_uid, engine.st_gid)
    wait_until(lambda: _shared(path) == shared, 60, "whoever may use Docker may use the proxy")
    client.engine.host.tulle("stop")
    assert not path.exists()
    client.engine.host.relaunch()
    assert path.is_socket()
    client.engine.host.tulle("reset")
    assert not (client.engine.host.state / "wait").exists()
