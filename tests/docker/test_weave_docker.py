"""Docker under Weave Net's name: what its users type, with a real engine."""

import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from lab import Lab, wait_until
from lab.engines import IMAGE, Engine, engines

WEAVE = Path(sys.executable).with_name("weave")


@pytest.fixture(scope="module")
def launched() -> Generator[Engine]:
    """An engine beside which somebody has typed ``weave launch``."""
    with Lab() as lab:
        (engine,) = engines(lab, 1)
        shell(engine, "weave launch")
        yield engine
        shell(engine, "weave stop")


def shell(engine: Engine, *lines: str) -> str:
    """What the lines print, typed in one shell on the host."""
    host = engine.host
    variables = {
        **host.environment(),
        "WEAVE_SOCKET": str(host.socket_path),
        "WEAVE_STATE_DIR": str(host.state),
        "PATH": f"{WEAVE.parent}:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    done = subprocess.run(
        [*host._enter(), "sh", "-euc", "\n".join(lines)],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_the_network_is_called_weave(launched: Engine) -> None:
    listed = launched.docker("network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}").stdout
    assert "weave weave local" in listed.splitlines()
    launched.run("plain", options=["--network", "weave"])
    wait_until(lambda: shell(launched, "weave dns-lookup plain"), what="the container has a name")
    assert launched.inside("plain", "ping", "-c", "1", "plain.weave.local")


def test_a_shell_uses_the_proxy_and_goes_back(launched: Engine) -> None:
    address = shell(
        launched,
        "before=$DOCKER_HOST",
        "eval $(weave env)",
        '[ "$DOCKER_HOST" != "$before" ]',
        f"docker run --rm --env WEAVE_CIDR=10.2.1.7/24 {IMAGE} ip -o -4 address show ethwe",
        f"docker run --rm --env WEAVE_CIDR=none {IMAGE} ip -o -4 address show ethwe 2>&1 || echo alone",
        "eval $(weave env --restore)",
        '[ "$DOCKER_HOST" = "$before" ]',
    )
    assert "inet 10.2.1.7/24 " in address
    assert address.splitlines()[-1] == "alone"
    assert "10.32." in shell(launched, f"docker $(weave config) run --rm {IMAGE} ip -o -4 address show ethwe")


def test_attach_and_ps_by_name(launched: Engine) -> None:
    ident = launched.run("byhand")
    address = shell(launched, "weave attach byhand")
    assert address in launched.inside("byhand", "ip", "-o", "-4", "address", "show", "ethwe")
    assert address in shell(launched, "weave ps byhand")
    assert address in shell(launched, f"weave ps {ident[:12]}")
    assert shell(launched, "weave detach byhand") == address
