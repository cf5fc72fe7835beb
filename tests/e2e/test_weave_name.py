"""The program under its other name: a script for Weave Net, line by line, on two hosts."""

import os
import shlex
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from lab import Host, Lab, wait_until
from lab.namespace import CommandFailed

WEAVE = Path(sys.executable).with_name("weave")
"""Both names are installed."""


class WeaveHost:
    """A host on which somebody types ``weave``."""

    def __init__(self, host: Host) -> None:
        self.host = host
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("TULLE_", "WEAVE_"))
        }
        self.variables = {
            **kept,
            "WEAVE_SOCKET": str(host.socket_path),
            "WEAVE_STATE_DIR": str(host.state),
            "DOCKER_HOST": f"unix://{host.directory}/no-engine.sock",
        }

    def __call__(self, line: str, **variables: str) -> str:
        done = self.tried(line, **variables)
        if done.returncode != 0:
            raise CommandFailed(done)
        return done.stdout.strip()

    def tried(self, line: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return self.host.run(str(WEAVE), *shlex.split(line), env={**self.variables, **variables}, check=False)


@pytest.fixture(scope="module")
def pair() -> Generator[tuple[WeaveHost, WeaveHost]]:
    """Two hosts that were launched as the script's users do: set up first, in the background."""
    with Lab() as lab:
        one, two = (WeaveHost(host) for host in lab.make_hosts(2))
        one("setup")
        one("launch --nickname h1 --no-restart --proxy=false --plugin=false", WEAVE_MTU="1300")
        two(f"launch --nickname h2 {one.host.address}", WEAVE_NO_FASTDP="1", WEAVE_MTU="1300")
        lab.wait_connected([one.host, two.host])
        yield one, two
        for host in (one, two):
            host("stop")


def test_the_names_are_those_of_weave_net(pair: tuple[WeaveHost, WeaveHost]) -> None:
    one, _ = pair
    box = one.host.container("names")
    address = one(f"attach {box.reference}")
    shown = box.run("ip", "-o", "-4", "address", "show", "ethwe").stdout
    assert f"inet {address}/12 " in shown
    assert "mtu 1300" in box.run("ip", "link", "show", "ethwe").stdout
    assert "state UP" in one.host.run("ip", "link", "show", "weave").stdout
    assert one("report -f {{.DNS.Domain}}") == "weave.local."
    assert one("dns-args") == "--dns=169.254.53.53 --dns-search=weave.local."
    assert box.resolve(f"{box.name}.weave.local") == box.resolve(box.name) != []


def test_a_script_goes_through(pair: tuple[WeaveHost, WeaveHost]) -> None:
    one, two = pair
    a, b = one.host.container("a"), two.host.container("b")
    one("prime")
    assert one(f"attach --without-dns 10.2.1.1/24 net:default {a.reference}").split()[0] == "10.2.1.1"
    assert two(f"attach ip:10.2.1.2/24 {b.reference}") == "10.2.1.2"
    assert wait_until(lambda: a.pings("10.2.1.2"))
    two(f"dns-add 10.2.1.2 {b.reference} -h db.weave.local")
    wait_until(lambda: one("dns-lookup db") == "10.2.1.2", what="the name is known on the other host")
    two(f"dns-remove {b.reference} -h db.weave.local")
    listed = one(f"ps {a.reference}").split()
    assert (listed[0], listed[2]) == (a.reference, "10.2.1.1/24")
    gate = one("expose -h gate.weave.local")
    mac = one.host.run("ip", "-br", "link", "show", "weave").stdout.split()[2]
    assert f"weave:expose {mac} {gate}/12" in one("ps").splitlines()
    assert one("hide") == gate
    assert "10.2.1.1" in one(f"detach net:default 10.2.1.1/24 {a.reference}").split()
    assert one("forget 10.99.0.77") == one("connect 10.99.0.77") == one("forget 10.99.0.77") == ""
    assert "(h2)" in one("status peers")
    assert "Service: ipam" in one("status")
    assert one("--local status targets") == ""


def test_the_fast_path_can_be_turned_off(pair: tuple[WeaveHost, WeaveHost]) -> None:
    one, _ = pair
    template = '{{range .Router.Connections}}{{if eq .State "established"}}{{.Attrs.name}} {{end}}{{end}}'
    assert one(f"report -f '{template}'") == "sleeve"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("launch-router", "there is one daemon with everything in it"),
        ("run busybox", "start it with `docker`"),
        ("docker-bridge-ip", "`dns-args` prints"),
        ("launch --awsvpc", "there is no --awsvpc"),
        ("env", "the Docker API proxy is not running"),
        ("config", "the Docker API proxy is not running"),
        ("launch", "a daemon is already running"),
    ],
)
def test_what_does_not_make_sense_says_so(pair: tuple[WeaveHost, WeaveHost], line: str, words: str) -> None:
    done = pair[0].tried(line)
    assert done.returncode in (1, 2)
    assert words in done.stderr
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
