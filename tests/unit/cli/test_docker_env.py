"""What points Docker clients at the proxy, as a shell understands it."""

import json
import subprocess
from pathlib import Path

import pytest

from cli.conftest import Run
from tulle.api.client import Client, Refused
from tulle.cli import docker_env
from tulle.cli.docker_env import chosen, exported, restored, tls_flags
from tulle.cli.personality import WEAVE

PROXY = "unix:///run/tulle/docker.sock"


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon whose proxy listens on two addresses."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("ORIG_DOCKER_HOST", raising=False)
    monkeypatch.setattr(Client, "get", lambda self, *steps: f"tcp://0.0.0.0:12375\n{PROXY}\n")


def in_shell(*lines: str, **environment: str) -> str:
    """The two variables after these lines; DOCKER_HOST is shown as - where it is not set."""
    script = "\n".join(["eval $(cat)", 'echo "${DOCKER_HOST--} <${ORIG_DOCKER_HOST--}>"'])
    done = subprocess.run(
        ["sh", "-euc", script],
        input="\n".join(lines),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_env_and_config(tulle: Run, proxied: None) -> None:
    assert tulle("env").out == f"export DOCKER_HOST={PROXY} ORIG_DOCKER_HOST=\n"
    assert tulle("config", personality=WEAVE).out == f"-H={PROXY}\n"


@pytest.mark.parametrize("before", ["", "tcp://10.0.0.1:2375", "unix:///odd path/$HOME.sock"])
def test_a_shell_goes_there_and_back(before: str) -> None:
    start = {"DOCKER_HOST": before} if before else {}
    there = exported(PROXY, start)
    assert in_shell(there, **start) == f"{PROXY} <{before}>"
    within = {"DOCKER_HOST": PROXY, "ORIG_DOCKER_HOST": before}
    assert in_shell(exported(PROXY, within), **within) == f"{PROXY} <{before}>", "evaluated twice"
    assert in_shell(restored(within), **within) == f"{before or '-'} <->"


def test_nothing_to_restore(tulle: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORIG_DOCKER_HOST", raising=False)
    got = tulle("env", "--restore")
    assert (got.status, got.out) == (0, "")
    assert got.err == "note: nothing to restore: the proxy is not in use in this shell\n"


@pytest.mark.parametrize(
    ("addresses", "environment", "address"),
    [
        (["tcp://0.0.0.0:12375", PROXY], {}, PROXY),
        (["tcp://0.0.0.0:12375"], {}, "tcp://127.0.0.1:12375"),
        (["tcp://10.0.0.7:12375"], {}, "tcp://10.0.0.7:12375"),
        (["tcp://0.0.0.0:12375"], {"PROXY_HOST": "machine"}, "tcp://machine:12375"),
    ],
)
def test_the_address_for_clients(addresses: list[str], environment: dict[str, str], address: str) -> None:
    assert chosen(addresses, environment) == address


@pytest.mark.parametrize("command", ["env", "config"])
@pytest.mark.parametrize("missing", [True, False], ids=["no such row", "no address"])
def test_without_a_proxy(tulle: Run, monkeypatch: pytest.MonkeyPatch, command: str, missing: bool) -> None:
    def get(self: Client, *steps: str) -> str:
        if missing:
            raise Refused("not found", 404)
        return ""

    monkeypatch.setattr(Client, "get", get)
    got = tulle(command)
    assert (got.status, got.out) == (1, "")
    assert got.err.startswith("tulle: the Docker API proxy is not running")


@pytest.mark.parametrize(
    ("words", "configured", "flags"),
    [
        (["-H", "unix://"], None, []),
        (["--tlsverify", "--tlscacert=/a b", "--tlscert", "/c", "--tlskey=/k"], None,
         ["--tlsverify", "--tlscacert=/a b", "--tlscert=/c", "--tlskey=/k"]),
        (["--tls=false", "--tlsverify=false"], None, []),
        ([], {"tls": True, "tlscacert": "/ca", "hosts": ["fd://"]}, ["--tls", "--tlscacert=/ca"]),
        (["--tls=false"], {"tls": True}, []),
    ],
)  # fmt: skip
def test_tls_flags_of_an_engine(
    tmp_path: Path, words: list[str], configured: dict[str, object] | None, flags: list[str]
) -> None:
    path = tmp_path / "daemon.json"
    if configured is not None:
        path.write_text(json.dumps(configured))
    assert tls_flags(words, path) == flags


def test_an_engine_is_found_by_its_process(
    tulle: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for pid, comm, words in (("7", "sh", "sh\0--tls\0"), ("12", "dockerd", "dockerd\0--tlscert\0/c d\0")):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "comm").write_text(f"{comm}\n")
        (tmp_path / pid / "cmdline").write_text(words)
    (tmp_path / "9").mkdir()  # a process that has just ended
    engines = docker_env._engines
    monkeypatch.setattr(docker_env, "_engines", lambda proc: engines(tmp_path))
    assert tulle("docker-tls-args").out == "'--tlscert=/c d'\n"
    (tmp_path / "12" / "comm").write_text("bash\n")
    got = tulle("docker-tls-args")
    assert (got.status, got.err) == (1, "tulle: no Docker engine runs on this host\n")
