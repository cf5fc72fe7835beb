"""The Docker API proxy with a real engine and the real command line: plain ``docker run`` is attached."""

import contextlib
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from proxy_client import Client, ended, proxied, runs

from lab.wait import wait_until

FORMS = {
    "nothing given": [],
    "not in PATH": ["nosuch", "argument"],
    "not there": ["/nosuch"],
    "a directory": ["/etc"],
    "not executable": ["/etc/passwd"],
    "empty": [""],
    "its status": ["sh", "-c", "exit 7"],
    "its signal": ["sh", "-c", "kill -9 $$"],
    "arguments": ["echo", "a b", "", "--", "-x"],
    "both streams": ["sh", "-c", "echo out; echo err >&2"],
}
"""Commands that have to end through the proxy as they do without."""


@pytest.fixture(scope="module")
def client() -> Generator[Client]:
    """One engine behind one proxy, shared by all tests that need no flags of their own."""
    with proxied() as made:
        yield made


# --- before the command runs --------------------------------------------------------------------------------


def test_a_container_has_address_name_and_resolver_before_its_command_runs(client: Client) -> None:
    script = "ip -4 address show dev tulle0; ip route; nslookup early; cat /etc/hosts"
    said = client("run", "--rm", "--name", "early", client.engine.image, "sh", "-c", script)
    address = re.findall(r"inet (\S+)/12", said)[0]
    assert "224.0.0.0/4 dev tulle0" in said
    assert re.search(rf"Name:\s+early.tulle.internal\nAddress: {address}\n", said)
    assert re.search(rf"^{address}\s+early.tulle.internal early$", said, re.MULTILINE)
    assert not re.search(r"^172\S+\s+early", said, re.MULTILINE)


def test_commands_end_as_without_the_proxy(client: Client) -> None:
    lines = [["run", "--rm", client.engine.image, *words] for words in FORMS.values()]
    direct = [client.start(*line, url=f"unix://{client.engine.socket}") for line in lines]
    expected = dict(zip(FORMS, map(ended, direct), strict=True))
    through = [client.start(*line) for line in lines]
    assert dict(zip(FORMS, map(ended, through), strict=True)) == expected


def test_the_images_own_command_is_found(client: Client) -> None:
    image = client.engine.image
    client("run", "--name", "plain", image, "true")
    changes = ['ENTRYPOINT ["echo", "entry"]', 'CMD ["of the image"]']
    client("commit", "plain", "plain:1")
    assert client.engine.inspect("plain")["Config"]["Entrypoint"] == ["/.tulle/wait"]
    assert client.engine.docker("run", "--rm", "plain:1").stdout == ""
    client("commit", *(f"--change={change}" for change in changes), "plain", "spoken:1")
    assert client.engine.docker("run", "--rm", "spoken:1").stdout == "entry of the image\n"
    for words in ([], ["mine"]):
        assert client("run", "--rm", "spoken:1", *words) == f"entry {''.join(words) or 'of the image'}"
    assert client("run", "--rm", "--entrypoint", "echo", "spoken:1") == ""
    assert client("run", "--rm", "--entrypoint", "", "spoken:1", "echo", "bare") == "bare"
    assert client("rm", "plain") == "plain"


def test_nothing_is_needed_in_the_container(client: Client) -> None:
    options = [
        "--user",
        "1000:1000",
        "--cap-drop",
        "ALL",
        "--read-only",
        "--security-opt",
        "no-new-privileges",
    ]
    said = client("run", "--rm", *options, client.engine.image, "sh", "-c", "id -u; ls /sys/class/net")
    assert said.split()[0] == "1000"
    assert "tulle0" in said.split()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-e", "TULLE_CIDR=none"], []),
        (["-e", "TULLE_CIDR=ip:10.32.7.7/12 net:10.40.0.0/16"], ["10.32.7.7/12", "10.40.0.1/16"]),
        (["-e", "WEAVE_CIDR=10.45.0.9/24"], ["10.45.0.9/24"]),
        (["--net", "none", "-e", "TULLE_CIDR=10.45.0.10/24"], ["10.45.0.10/24"]),
    ],
)
def test_the_environment_says_which_addresses(
    client: Client, options: list[str], expected: list[str]
) -> None:
    said = client("run", "--rm", *options, client.engine.image, "ip", "-4", "-o", "address")
    assert re.findall(r"tulle0 +inet (\S+)", said) == expected


def test_networks_of_others_are_left_alone(client: Client) -> None:
    client.run("base")
    for mode in ("host", "container:base"):
        made = client("create", "--net", mode, client.engine.image, "true")
        assert client.engine.inspect(made)["Config"]["Entrypoint"] is None
    client("rm", "--force", "base")


def test_an_address_that_cannot_be_had_ends_the_start(client: Client) -> None:
    client.run("holder", "-e", "TULLE_CIDR=10.32.8.8/12")
    options = ["--name", "late", "-e", "TULLE_CIDR=10.32.8.8/12"]
    status, _, said = ended(client.start("run", *options, client.engine.image, "echo", "never"))
    assert status == 125
    assert "10.32.8.8" in said
    assert client("logs", "late") == ""
    wait_until(lambda: client.engine.pid("late") == 0, 60, "it has ended")
    client("rm", "--force", "holder", "late")


# --- streams ------------------------------------------------------------------------------------------------


def test_input_ends_and_output_goes_on(client: Client) -> None:
    text = "".join(f"line {number}\n" for number in range(100_000))
    script = "cat | md5sum; echo after"
    said = client("run", "--rm", "-i", client.engine.image, "sh", "-c", script, given=text)
    assert said.split()[0] == hashlib.md5(text.encode()).hexdigest()
    assert said.endswith("after")


def test_terminals_and_exec(client: Client) -> None:
    assert client("run", "--rm", "-t", client.engine.image, "tty") == "/dev/pts/0"
    client.run("worker")
    assert client("exec", "-i", "worker", "sh", given="echo hello; exit 3", status=3) == "hello"
    assert client("exec", "worker", "nosuch", status=126).startswith("OCI runtime exec failed")
    client("rm", "--force", "worker")


def test_attach_logs_wait_and_events(client: Client) -> None:
    since = client("info", "--format", "{{.SystemTime}}")
    image = client.engine.image
    script = "read x; echo got $x; read y; exit 4"
    client("run", "--detach", "--interactive", "--name", "talker", image, "sh", "-c", script)
    attached = client.start("attach", "talker", stdin=subprocess.PIPE)
    following = client.start("logs", "--follow", "talker")
    waiting = client.start("wait", "talker")
    assert attached.stdin is not None
    assert following.stdout is not None
    attached.stdin.write("one\n")
    attached.stdin.flush()
    assert following.stdout.readline() == "got one\n"
    attached.stdin.write("two\n")
    attached.stdin.close()
    assert waiting.communicate(timeout=60)[0] == "4\n"
    assert (attached.wait(60), following.wait(60)) == (4, 0)
    for process in (attached, following):
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        process.stderr.close()
    assert "MEM" in client("stats", "--no-stream")
    until = client("info", "--format", "{{.SystemTime}}")
    options = ["--since", since, "--until", until, "--filter", "container=talker", "--format", "{{.Action}}"]
    assert client("events", *options).split() == ["create", "start", "attach", "die"]
    client("rm", "talker")


def test_files_go_in_and_out_and_images_are_built(client: Client, tmp_path: Path) -> None:
    content = os.urandom(1 << 20) * 24
    (tmp_path / "Dockerfile").write_text(
        f"FROM {client.engine.image}\nCOPY large /large\nRUN md5sum /large\n"
    )
    (tmp_path / "large").write_bytes(content)
    client("build", "--tag", "built:1", str(tmp_path))
    made = client("create", "built:1", "md5sum", "/large")
    client("cp", f"{made}:/large", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == content
    client("cp", str(tmp_path / "Dockerfile"), f"{made}:/large")
    text = (tmp_path / "Dockerfile").read_bytes()
    assert client("start", "--attach", made).split()[0] == hashlib.md5(text).hexdigest()
    client("rm", made)


# --- again and again ----------------------------------------------------------------------------------------


def test_the_address_stays_through_restarts(client: Client) -> None:
    client.run("again", "--restart", "always")
    before = client.addresses("again")
    assert len(before) == 1
    client("restart", "--time", "0", "again")
    assert client.addresses("again") == before
    pid = client.engine.pid("again")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: client.engine.pid("again") not in (0, pid), 60, "its policy started it again")
    wait_until(lambda: runs(client, "again", "sleep"), 60, "it was let through the gate")
    assert client.addresses("again") == before
    client("stop", "--time", "0", "again")
    client("start", "again")
    assert client.addresses("again") == before
    client("rm", "--force", "again")


def test_a_start_past_the_proxy_attaches_too(client: Client) -> None:
    client("create", "--name", "aside", client.engine.image, "sleep", "1000")
    client.engine.docker("start", "aside")
    wait_until(lambda: runs(client, "aside", "sleep"), 60, "it was let through the gate")
    assert client.addresses("aside")
    client("rm", "--force", "aside")


def test_signals_reach_the_command(client: Client) -> None:
    script = "trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
    client("run", "--detach", "--name", "trapper", client.engine.image, "sh", "-c", script)
    wait_until(lambda: client("logs", "trapper") == "ready", 60, "the trap is set")
    client("stop", "trapper")
    assert client("wait", "trapper") == "5"
    assert client("logs", "trapper") == "ready\ncaught"
    client("rm", "trapper")


# --- clients ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["", "v1.24/", "v1.41/"])
def test_api_versions(client: Client, version: str) -> None:
    ident = _api(client, f"{version}containers/create", {"Image": client.engine.image, "Cmd": "tty"}, 201)[
        "Id"
    ]
    assert client.engine.inspect(ident)["Config"]["Entrypoint"] == ["/.tulle/wait"]
    _api(client, f"{version}containers/{ident}/start", None, 204)
    client("rm", "--force", ident)


@pytest.mark.parametrize("body", [{"Binds": ["/etc/hostname:/x"]}, {"HostConfig": {}, "Memory": 0}])
def test_an_old_client_sends_the_host_config_with_the_start(client: Client, body: Any) -> None:
    asked = {"Image": client.engine.image, "Cmd": ["sh", "-c", "ip -4 -o address; cat /etc/resolv.conf"]}
    ident = _api(client, "v1.20/containers/create", asked, 201)["Id"]
    _api(client, f"v1.20/containers/{ident}/start", body, 204)
    assert client("wait", ident) == "0"
    said = client("logs", ident)
    assert " tulle0 " in said
    assert "search tulle.internal" in said
    client("rm", ident)


def _api(client: Client, path: str, body: object, status: int) -> Any:
    """One request to the proxy."""
    connection = http.client.HTTPConnection("docker", timeout=60)
    with contextlib.closing(connection):
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(client.url.removeprefix("unix://"))
        sent = "" if body is None else json.dumps(body)
        connection.request("POST", f"/{path}", sent, {"Content-Type": "application/json"} if sent else {})
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status == status, said
        return json.loads(said) if said else None


def test_docker_py(client: Client) -> None:
    script = Path(__file__).with_name("docker_py_client.py")
    words = [sys.executable, str(script), client.url, client.engine.image]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
