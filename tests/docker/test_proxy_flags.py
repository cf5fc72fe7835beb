"""The proxy as its flags want it: several listeners, TLS, host names, what is left alone, what is shown."""

from collections.abc import Generator
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from proxy_client import Client, proxied

from lab.certificates import make_certificates

PORT = 12376


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tls")
    make_certificates(made, IPv4Address("127.0.0.1"))
    return made


@pytest.fixture(scope="module")
def client(directory: Path) -> Generator[Client]:
    flags = [
        f"-H=tcp://127.0.0.1:{PORT}",
        f"-H=unix://{directory}/proxy.sock",
        "--tlsverify",
        f"--tlscacert={directory}/ca.pem",
        f"--tlscert={directory}/server.pem",
        f"--tlskey={directory}/server-key.pem",
        "--hostname-match=^prod-",
        "--hostname-replacement=",
        "--rewrite-inspect",
        "--no-default-ipalloc",
        "--no-rewrite-hosts",
    ]
    with proxied(*flags) as made:
        yield made


def test_the_environment_is_the_unix_socket(client: Client, directory: Path) -> None:
    assert client.url == f"unix://{directory}/proxy.sock"
    assert client.engine.host.tulle("config") == f"-H=unix://{directory}/proxy.sock"


def test_only_who_asks_is_attached(client: Client) -> None:
    script = "ls /sys/class/net"
    assert "tulle0" not in client("run", "--rm", client.engine.image, "sh", "-c", script).split()
    asks = ["-e", "TULLE_CIDR=net:default"]
    assert "tulle0" in client("run", "--rm", *asks, client.engine.image, "sh", "-c", script).split()


def test_names_hosts_and_what_is_shown(client: Client) -> None:
    client.run("prod-web", "-e", "TULLE_CIDR=10.32.9.9/12")
    assert client("exec", "prod-web", "hostname", "-f") == "web.tulle.internal"
    assert client.engine.host.tulle("dns-lookup", "web") == "10.32.9.9"
    assert "10.32.9.9" not in client("exec", "prod-web", "cat", "/etc/hosts")
    form = "{{.NetworkSettings.IPAddress}}/{{.NetworkSettings.IPPrefixLen}}"
    assert client("inspect", "--format", form, "prod-web") == "10.32.9.9/12"
    assert client.engine.inspect("prod-web")["NetworkSettings"]["IPAddress"] != "10.32.9.9"
    client("rm", "--force", "prod-web")


def test_tls_with_input_that_ends_first(client: Client, directory: Path) -> None:
    reached = ["-H", f"tcp://127.0.0.1:{PORT}", "--tlsverify", f"--tlscacert={directory}/ca.pem"]
    shown = [f"--tlscert={directory}/client.pem", f"--tlskey={directory}/client-key.pem"]
    text = "a line\n" * 50_000
    words = ["run", "--rm", "-i", client.engine.image, "sh", "-c", "cat | wc -c; echo after"]
    assert client(*reached, *shown, *words, given=text).split() == [str(len(text)), "after"]
    refused = [f"--tlscert={directory}/nobody.pem", f"--tlskey={directory}/nobody-key.pem"]
    other = directory / "other"
    other.mkdir()
    make_certificates(other, IPv4Address("127.0.0.1"))
    for name in ("nobody.pem", "nobody-key.pem"):
        (directory / name).write_bytes((other / name.replace("nobody", "client")).read_bytes())
    client(*reached, *refused, "ps", status=1)
